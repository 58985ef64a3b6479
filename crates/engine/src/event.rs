//! A decoded event: fixed-size, no pointers into the record.
//!
//! decode -> **event** -> dedupe, window, features
//!
//! An event is a head, its keys (one word an entity) and its slots (one word a mapped field). A lane holds
//! many in three flat vectors, so that decoding allocates nothing once the vectors have grown.

/// A slot or a column without a value.
pub const MISSING: i64 = i64::MIN;

/// A key word of an entity that the event has no key for.
pub const NO_KEY: u64 = 0;

/// Bits of [`Head::marks`] and of an event's marks in outputs.
pub mod marks {
    /// Older than its key's newest by more than `time.lateness`: not stored under that key.
    pub const LATE: u8 = 1;
    /// Its time was past arrival + skew, and was taken as that.
    pub const EARLY: u8 = 2;
    /// A value lies across merged entries, or a distinct count is at its bound.
    pub const SATURATED: u8 = 4;
    /// A value reaches before what was evicted for want of memory.
    pub const DEGRADED: u8 = 8;
    /// The marks in the order in which outputs list them.
    pub const NAMES: [(u8, &str); 4] =
        [(LATE, "late"), (EARLY, "early"), (SATURATED, "saturated"), (DEGRADED, "degraded")];
}

/// Where the event id's text lies in the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdText {
    /// Offset in the record's bytes (inside the quotes for a string).
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
}

/// The fixed part of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Event time t, ms UTC, after the clamp to arrival + skew.
    pub time_ms: i64,
    /// The record's own time, ms UTC; outputs show it.
    pub shown_ms: i64,
    /// Amount in minor units of its currency.
    pub amount_minor: i64,
    /// Amount in the window scale.
    pub amount_scaled: i64,
    /// Keyed 64-bit hash of the decoded event id.
    pub id_hash: u64,
    /// The id's text in the record: a string's bytes as written (escapes included, which are valid JSON as they stand), or a
    /// number's digits.
    pub id: IdText,
    /// Index of the currency in the ISO table.
    pub currency: u16,
    /// [`marks::EARLY`] or 0.
    pub marks: u8,
}

/// An event to be filled by the decoder.
#[derive(Debug)]
pub struct EventMut<'a> {
    pub head: &'a mut Head,
    /// One keyed hash an entity, never 0 for a key that is there; [`NO_KEY`] without one.
    pub keys: &'a mut [u64],
    /// One word a slot: category: keyed hash of its text as `i64`; number: millionths; time: ms; [`MISSING`].
    pub slots: &'a mut [i64],
}

/// A decoded event.
#[derive(Clone, Copy, Debug)]
pub struct EventRef<'a> {
    pub head: &'a Head,
    pub keys: &'a [u64],
    pub slots: &'a [i64],
}

/// The texts of an event's keys, part after part in one buffer that is used again for the next event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyTexts {
    text: String,
    /// Where each part's text ends.
    ends: Vec<usize>,
    /// Where each entity's parts end, and whether it has all of them.
    keys: Vec<(usize, bool)>,
}

/// The text of one key.
#[derive(Clone, Copy, Debug)]
pub struct KeyText<'a> {
    text: &'a str,
    start: usize,
    ends: &'a [usize],
}

impl KeyTexts {
    /// Forgets the texts and keeps their room.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.keys.clear();
    }

    /// Begins the next entity's key with its first part. Without a part there is no key.
    pub fn begin(&mut self, part: Option<&[u8]>) {
        self.keys.push((0, true));
        self.add(part);
    }

    /// Adds a part to the key that was begun last.
    pub fn add(&mut self, part: Option<&[u8]>) {
        let Some((end, is_whole)) = self.keys.last_mut() else { return };
        self.text.push_str(&String::from_utf8_lossy(part.unwrap_or_default()));
        self.ends.push(self.text.len());
        *end = self.ends.len();
        *is_whole &= part.is_some();
    }

    /// Each entity's key, in order.
    pub fn iter(&self) -> impl Iterator<Item = Option<KeyText<'_>>> {
        let firsts = std::iter::once(0).chain(self.keys.iter().map(|(end, _)| *end));
        firsts.zip(&self.keys).map(|(first, &(end, is_whole))| {
            let start = if first == 0 { 0 } else { self.ends[first - 1] };
            is_whole.then(|| KeyText { text: &self.text, start, ends: &self.ends[first..end] })
        })
    }
}

impl<'a> KeyText<'a> {
    /// Its parts; of most keys one.
    pub fn parts(self) -> impl ExactSizeIterator<Item = &'a str> {
        let Self { text, start, ends } = self;
        (0..ends.len()).map(move |part| &text[if part == 0 { start } else { ends[part - 1] }..ends[part]])
    }
}
