//! Lines of an input are records of one stream: parsers agree on each, and what was learned from those before it
//! changes nothing.
#![no_main]

mod schema;

use cartguard_engine::decode::Decoder;
use cartguard_engine::decode::label::LabelDecoder;
use cartguard_engine::event::{EventMut, Head};
use cartguard_engine::record::{Form, NO_ARRIVAL};
use cartguard_engine::reject::Reject;
use cartguard_engine::schema::Schema;
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| Arc::new(schema::schema()));

/// The head, the keys and the slots of an event.
type Event = (Head, [u64; 4], [i64; 9]);

fn decode(decoder: &mut Decoder, record: &[u8], form: Form) -> Result<Event, Reject> {
    let (mut head, mut keys, mut slots) = (Head::default(), [0; 4], [0; 9]);
    let mut event = EventMut { head: &mut head, keys: &mut keys, slots: &mut slots };
    decoder.decode(record, form, NO_ARRIVAL, &mut event)?;
    Ok((head, keys, slots))
}

fuzz_target!(|bytes: &[u8]| {
    let mut stream = Decoder::new(Arc::clone(&SCHEMA));
    let mut labels = LabelDecoder::new(SCHEMA.hash_seed);
    for record in bytes.split(|&byte| byte == b'\n').take(16) {
        assert!(stream.parsers_agree(record));
        let label = Form::Label { is_row: false };
        assert_eq!(labels.decode(record, label), LabelDecoder::new(SCHEMA.hash_seed).decode(record, label));
        for form in [Form::Json, Form::Row] {
            let mut alone = Decoder::new(Arc::clone(&SCHEMA));
            assert_eq!(decode(&mut stream, record, form), decode(&mut alone, record, form));
        }
    }
});
