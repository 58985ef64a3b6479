//! The bytes between two values of a record, and what follows them.
//!
//! layout -> **edge** -> guess
//!
//! From a spot of the layout, the bytes up to the next value alone decide where one comes out. So a way that was found
//! once is kept with its bytes, and where the same bytes stand again they are only compared, 16 at a time.
//!
//! Holds: an edge is taken only where all of its bytes are there; it never has a zero byte, which JSON has nowhere, so the
//! zeros that stand in for bytes behind the record differ from all of them.

use super::layout::Id;
use super::paths::LeafId;
use wide::u8x16;

/// Most bytes of an edge that is kept. Three loads; longer ways are found anew each time.
const BYTES_MAX: usize = 48;

/// The leaf of a value that goes to none; there are fewer.
pub(super) const NO_LEAF: LeafId = LeafId::MAX;

/// A way that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    /// The first 16 bytes.
    head: u8x16,
    /// The last 16 bytes; of fewer than 16 the bytes that do not count, all ones.
    last: u8x16,
    /// The bytes from the 16th on, past 32.
    middle: u8x16,
    pub(super) step: Step,
}

/// Where a way leads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// The bytes up to there: to a value, behind the opening bracket of one, behind the opening quote of a text.
    pub(super) len: u16,
    pub(super) next: Next,
    /// The leaf that the value goes to.
    pub(super) leaf: LeafId,
    /// The spot behind the value; `NONE` behind the record.
    pub(super) spot: Id,
    /// Whether any of the two below are; no leaf then.
    pub(super) is_of_basket: bool,
    /// Lines of the basket that began on the way, and the parts of the last one that the value goes to.
    pub(super) lines: u8,
    pub(super) parts: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The inside of a string.
    Text,
    /// Any scalar.
    Scalar,
    /// A scalar where a container is known too: the bytes before it do not tell, so the way is not kept.
    OddScalar,
    /// A mapped object, a mapped array: open now.
    Object,
    Array,
    /// The record is closed.
    End,
    /// The edge is none.
    Nothing,
}

/// Where a value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Nothing,
    Leaf(LeafId),
    /// Parts of the present line of the basket.
    Parts(u8),
}

impl Edge {
    pub(super) const NONE: Self = Self {
        head: u8x16::ZERO,
        last: u8x16::ZERO,
        middle: u8x16::ZERO,
        step: Step {
            len: 0,
            next: Next::Nothing,
            leaf: NO_LEAF,
            spot: 0,
            is_of_basket: false,
            lines: 0,
            parts: 0,
        },
    };

    /// The edge of a way that `bytes` were found to lead; `None` where it has too many of them, or they do not
    /// tell.
    pub(super) fn new(bytes: &[u8], step: Step) -> Option<Self> {
        let len = bytes.len();
        if len == 0 || len > BYTES_MAX || step.next == Next::OddScalar {
            return None;
        }
        let last = if len <= 16 {
            u8x16::new(std::array::from_fn(|at| if at < len { 0 } else { 0xff }))
        } else {
            padded(&bytes[len - 16..])
        };
        let middle = if len > 32 { padded(&bytes[16..32]) } else { u8x16::ZERO };
        Some(Self { head: padded(bytes), last, middle, step })
    }

    /// Whether the edge's bytes stand at the beginning of `rest`.
    #[inline(always)]
    pub(super) fn fits(&self, rest: &[u8]) -> bool {
        match rest.first_chunk() {
            Some(head) => self.fits_from(u8x16::new(*head), rest),
            None => self.fits_last(rest),
        }
    }

    #[inline(always)]
    fn fits_from(&self, head: u8x16, rest: &[u8]) -> bool {
        let same = head.simd_eq(self.head);
        if self.step.len <= 16 { all(same | self.last) } else { all(same) && self.fits_on(rest) }
    }

    /// The same of fewer than 16 bytes, the last ones of a record.
    #[inline(never)]
    fn fits_last(&self, rest: &[u8]) -> bool {
        self.fits_from(padded(rest), rest)
    }

    #[inline(always)]
    fn fits_on(&self, rest: &[u8]) -> bool {
        let len = usize::from(self.step.len);
        let Some((_, last)) = rest.get(..len).and_then(<[u8]>::split_last_chunk) else { return false };
        all(u8x16::new(*last).simd_eq(self.last))
            && (len <= 32
                || rest[16..]
                    .first_chunk()
                    .is_some_and(|middle| all(u8x16::new(*middle).simd_eq(self.middle))))
    }

    pub(super) fn is_none(&self) -> bool {
        self.step.next == Next::Nothing
    }
}

/// Whether all bytes of a comparison are ones.
#[inline(always)]
fn all(same: u8x16) -> bool {
    same.to_bitmask() == 0xffff
}

/// The first 16 bytes, zeros behind them where there are fewer.
fn padded(bytes: &[u8]) -> u8x16 {
    let mut head = [0; 16];
    let len = bytes.len().min(16);
    head[..len].copy_from_slice(&bytes[..len]);
    u8x16::new(head)
}
