//! One value of a column -> its JSON text.
//!
//! column, shape -> **cell** -> records
//!
//! Holds: a column's type is looked at once a batch, not once a value. Integers are their digits, floats the
//! shortest text that reads back (not-a-number and infinities are null), decimals a string of exactly their
//! digits, times a string (`time`), null is null. Bytes that are not marked as text are text, as older writers
//! have it, where they are UTF-8, and null where not. Not here: which types have a text (`shape`).

use super::shape::Shape;
use super::time::{self, SecondsAnd};
use crate::json;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType,
    Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, BinaryArray, BinaryViewArray, BooleanArray, LargeBinaryArray, LargeStringArray, StringArray,
    StringViewArray,
};
use arrow_buffer::{NullBuffer, i256};
use arrow_schema::{DataType, TimeUnit};

/// A column's values, its type resolved.
pub(crate) struct Cells<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

enum Values<'a> {
    Null,
    Bool(&'a BooleanArray),
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
    F16(&'a arrow_array::Float16Array),
    F32(&'a [f32]),
    F64(&'a [f64]),
    D32(&'a [i32], i8),
    D64(&'a [i64], i8),
    D128(&'a [i128], i8),
    D256(&'a [i256], i8),
    Text(&'a StringArray),
    LargeText(&'a LargeStringArray),
    TextView(&'a StringViewArray),
    Bytes(&'a BinaryArray),
    LargeBytes(&'a LargeBinaryArray),
    BytesView(&'a BinaryViewArray),
    Timestamp(&'a [i64], i64),
    Days(&'a [i32]),
    DayMs(&'a [i64]),
    Clock32(&'a [i32], i64),
    Clock64(&'a [i64], i64),
    Keyed(Vec<usize>, Box<Cells<'a>>),
    Lists(Box<dyn Fn(usize) -> (usize, usize) + 'a>, Box<Cells<'a>>),
    Objects(&'a [Vec<u8>], Vec<Cells<'a>>),
}

impl<'a> Cells<'a> {
    /// Resolves a column that has the shape.
    pub(crate) fn of(array: &'a dyn Array, shape: &'a Shape) -> Self {
        Self { nulls: array.nulls(), values: Values::of(array, shape) }
    }

    /// Appends the text of one value.
    pub(crate) fn push(&self, row: usize, out: &mut Vec<u8>) {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            out.extend_from_slice(b"null");
        } else {
            self.values.push(row, out);
        }
    }
}

/// Appends one row as an object.
pub(crate) fn push_object(heads: &[Vec<u8>], columns: &[Cells<'_>], row: usize, out: &mut Vec<u8>) {
    for (head, cells) in heads.iter().zip(columns) {
        out.extend_from_slice(head);
        cells.push(row, out);
    }
    // An object without members has no head that opens it.
    out.extend_from_slice(if heads.is_empty() { b"{}" } else { b"}" });
}

impl<'a> Values<'a> {
    fn of(array: &'a dyn Array, shape: &'a Shape) -> Self {
        let held = |values: &'a dyn Array| Box::new(Cells::of(values, &shape.members[0]));
        match array.data_type() {
            DataType::Boolean => Self::Bool(array.as_boolean()),
            DataType::Int8 => Self::I8(of::<Int8Type>(array)),
            DataType::Int16 => Self::I16(of::<Int16Type>(array)),
            DataType::Int32 => Self::I32(of::<Int32Type>(array)),
            DataType::Int64 => Self::I64(of::<Int64Type>(array)),
            DataType::UInt8 => Self::U8(of::<UInt8Type>(array)),
            DataType::UInt16 => Self::U16(of::<UInt16Type>(array)),
            DataType::UInt32 => Self::U32(of::<UInt32Type>(array)),
            DataType::UInt64 => Self::U64(of::<UInt64Type>(array)),
            DataType::Float16 => Self::F16(array.as_primitive::<Float16Type>()),
            DataType::Float32 => Self::F32(of::<Float32Type>(array)),
            DataType::Float64 => Self::F64(of::<Float64Type>(array)),
            DataType::Decimal32(_, scale) => Self::D32(of::<Decimal32Type>(array), *scale),
            DataType::Decimal64(_, scale) => Self::D64(of::<Decimal64Type>(array), *scale),
            DataType::Decimal128(_, scale) => Self::D128(of::<Decimal128Type>(array), *scale),
            DataType::Decimal256(_, scale) => Self::D256(of::<Decimal256Type>(array), *scale),
            DataType::Utf8 => Self::Text(array.as_string()),
            DataType::LargeUtf8 => Self::LargeText(array.as_string()),
            DataType::Utf8View => Self::TextView(array.as_string_view()),
            DataType::Binary => Self::Bytes(array.as_binary()),
            DataType::LargeBinary => Self::LargeBytes(array.as_binary()),
            DataType::BinaryView => Self::BytesView(array.as_binary_view()),
            DataType::Timestamp(unit, _) => Self::Timestamp(
                match unit {
                    TimeUnit::Second => of::<TimestampSecondType>(array),
                    TimeUnit::Millisecond => of::<TimestampMillisecondType>(array),
                    TimeUnit::Microsecond => of::<TimestampMicrosecondType>(array),
                    TimeUnit::Nanosecond => of::<TimestampNanosecondType>(array),
                },
                per_second(*unit),
            ),
            DataType::Date32 => Self::Days(of::<Date32Type>(array)),
            DataType::Date64 => Self::DayMs(of::<Date64Type>(array)),
            DataType::Time32(TimeUnit::Second) => Self::Clock32(of::<Time32SecondType>(array), 1),
            DataType::Time32(unit) => Self::Clock32(of::<Time32MillisecondType>(array), per_second(*unit)),
            DataType::Time64(TimeUnit::Nanosecond) => {
                Self::Clock64(of::<Time64NanosecondType>(array), 1_000_000_000)
            }
            DataType::Time64(unit) => Self::Clock64(of::<Time64MicrosecondType>(array), per_second(*unit)),
            DataType::Dictionary(_, _) => {
                let dictionary = array.as_any_dictionary();
                let values = dictionary.values();
                // Without values every key is null, and no key is asked for.
                let keys = if values.is_empty() { Vec::new() } else { dictionary.normalized_keys() };
                Self::Keyed(keys, held(values))
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                let ends = list.value_offsets();
                Self::Lists(Box::new(|row| (ends[row] as usize, ends[row + 1] as usize)), held(list.values()))
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                let ends = list.value_offsets();
                Self::Lists(Box::new(|row| (ends[row] as usize, ends[row + 1] as usize)), held(list.values()))
            }
            DataType::FixedSizeList(_, _) => {
                let list = array.as_fixed_size_list();
                let length = list.value_length() as usize;
                Self::Lists(Box::new(move |row| (row * length, (row + 1) * length)), held(list.values()))
            }
            DataType::Struct(_) => {
                let columns = array.as_struct().columns().iter().zip(&shape.members);
                Self::Objects(&shape.heads, columns.map(|(column, shape)| Cells::of(column, shape)).collect())
            }
            // Null, and the types that have no shape and never come here.
            _ => Self::Null,
        }
    }

    fn push(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(values) => out.extend_from_slice(if values.value(row) { b"true" } else { b"false" }),
            Self::I8(values) => push_integer(values[row], out),
            Self::I16(values) => push_integer(values[row], out),
            Self::I32(values) => push_integer(values[row], out),
            Self::I64(values) => push_integer(values[row], out),
            Self::U8(values) => push_integer(values[row], out),
            Self::U16(values) => push_integer(values[row], out),
            Self::U32(values) => push_integer(values[row], out),
            Self::U64(values) => push_integer(values[row], out),
            Self::F16(values) => push_float(values.value(row).to_f32(), values.value(row).is_finite(), out),
            Self::F32(values) => push_float(values[row], values[row].is_finite(), out),
            Self::F64(values) => push_float(values[row], values[row].is_finite(), out),
            Self::D32(values, scale) => push_decimal(itoa::Buffer::new().format(values[row]), *scale, out),
            Self::D64(values, scale) => push_decimal(itoa::Buffer::new().format(values[row]), *scale, out),
            Self::D128(values, scale) => push_decimal(itoa::Buffer::new().format(values[row]), *scale, out),
            Self::D256(values, scale) => push_decimal(&values[row].to_string(), *scale, out),
            Self::Text(values) => json::push_string(out, values.value(row).as_bytes()),
            Self::LargeText(values) => json::push_string(out, values.value(row).as_bytes()),
            Self::TextView(values) => json::push_string(out, values.value(row).as_bytes()),
            Self::Bytes(values) => push_bytes(values.value(row), out),
            Self::LargeBytes(values) => push_bytes(values.value(row), out),
            Self::BytesView(values) => push_bytes(values.value(row), out),
            Self::Timestamp(values, per_second) => {
                time::push_timestamp(SecondsAnd::of(values[row], *per_second), out);
            }
            Self::Days(values) => time::push_date(i64::from(values[row]), out),
            Self::DayMs(values) => time::push_date(values[row].div_euclid(86_400_000), out),
            Self::Clock32(values, per_second) => {
                time::push_clock(SecondsAnd::of(i64::from(values[row]), *per_second), out);
            }
            Self::Clock64(values, per_second) => {
                time::push_clock(SecondsAnd::of(values[row], *per_second), out);
            }
            Self::Keyed(keys, values) => values.push(keys[row], out),
            Self::Lists(range, values) => {
                out.push(b'[');
                let (start, end) = range(row);
                for at in start..end {
                    if at > start {
                        out.push(b',');
                    }
                    values.push(at, out);
                }
                out.push(b']');
            }
            Self::Objects(heads, columns) => push_object(heads, columns, row, out),
        }
    }
}

fn of<T: ArrowPrimitiveType>(array: &dyn Array) -> &[T::Native] {
    array.as_primitive::<T>().values()
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

fn push_integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn push_float(value: impl zmij::Float, finite: bool, out: &mut Vec<u8>) {
    if finite {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

fn push_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => json::push_string(out, text.as_bytes()),
        Err(_) => out.extend_from_slice(b"null"),
    }
}

/// Appends a whole number of units of 10^-scale as a string.
fn push_decimal(digits: &str, scale: i8, out: &mut Vec<u8>) {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    out.push(b'"');
    out.extend_from_slice(sign.as_bytes());
    let decimals = usize::from(scale.max(0).unsigned_abs());
    let whole = digits.len().saturating_sub(decimals);
    out.extend_from_slice(if whole == 0 { b"0" } else { &digits.as_bytes()[..whole] });
    if decimals > 0 {
        out.push(b'.');
        out.resize(out.len() + decimals.saturating_sub(digits.len()), b'0');
        out.extend_from_slice(&digits.as_bytes()[whole..]);
    } else if digits != "0" {
        out.resize(out.len() + usize::from(scale.unsigned_abs()), b'0');
    }
    out.push(b'"');
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that unwraps says enough where it fails")]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_their_digits() {
        let table = [
            ("1234", 2, "\"12.34\""),
            ("-1", 2, "\"-0.01\""),
            ("-12", 2, "\"-0.12\""),
            ("0", 3, "\"0.000\""),
            ("7", 0, "\"7\""),
            ("12", -3, "\"12000\""),
            ("0", -3, "\"0\""),
        ];
        for (digits, scale, text) in table {
            let mut out = Vec::new();
            push_decimal(digits, scale, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
