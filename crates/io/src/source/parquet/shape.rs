//! Which column types have a JSON text, and the names within them.
//!
//! schema -> **shape** -> cell
//!
//! Holds: a type that has a shape has a text for each of its values; a type that holds one without is without
//! too. Not here: the values.

use arrow_schema::{DataType, Field};

/// The names within a type: of a struct's members and of what a list or dictionary holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape {
    /// What stands before each member's value; empty for anything but a struct.
    pub(crate) heads: Vec<Vec<u8>>,
    /// Of the members, or of the one type that is held.
    pub(crate) members: Vec<Shape>,
}

impl Shape {
    /// The shape of a type, or the name of the type that has none.
    pub(crate) fn of(kind: &DataType) -> Result<Self, String> {
        match kind {
            DataType::Null
            | DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::UInt64
            | DataType::Float16
            | DataType::Float32
            | DataType::Float64
            | DataType::Timestamp(_, _)
            | DataType::Date32
            | DataType::Date64
            | DataType::Time32(_)
            | DataType::Time64(_)
            | DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::Decimal32(_, _)
            | DataType::Decimal64(_, _)
            | DataType::Decimal128(_, _)
            | DataType::Decimal256(_, _) => Ok(Self::default()),
            DataType::Dictionary(_, held) => Self::holding(held),
            DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
                Self::holding(field.data_type())
            }
            DataType::Struct(fields) => Self::of_members(fields.iter().map(AsRef::as_ref)),
            DataType::Duration(_)
            | DataType::Interval(_)
            | DataType::FixedSizeBinary(_)
            | DataType::ListView(_)
            | DataType::LargeListView(_)
            | DataType::Union(_, _)
            | DataType::Map(_, _)
            | DataType::RunEndEncoded(_, _) => Err(kind.to_string()),
        }
    }

    /// The shape of an object of these members.
    pub(crate) fn of_members<'a>(fields: impl Iterator<Item = &'a Field> + Clone) -> Result<Self, String> {
        let heads = crate::json::member_heads(fields.clone().map(|field| field.name().as_str()));
        let members = fields.map(|field| Self::of(field.data_type())).collect::<Result<_, _>>()?;
        Ok(Self { heads, members })
    }

    fn holding(kind: &DataType) -> Result<Self, String> {
        Ok(Self { heads: Vec::new(), members: vec![Self::of(kind)?] })
    }
}
