//! ISO 4217: the currencies and their minor digits.

/// An index into the table of currencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Currency(pub u16);

impl Currency {
    /// The currency of an alphabetic code, capitals only.
    pub fn from_code(_code: &[u8]) -> Option<Self> {
        None
    }

    /// Its alphabetic code.
    pub fn code(self) -> &'static str {
        ""
    }

    /// Its minor digits, 0 to 4.
    pub fn digits(self) -> u32 {
        2
    }
}
