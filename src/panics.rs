//! A panic ends the process at once, wherever it is, so that nothing half-done goes on; only calls that are known to be guarded
//! (a record's decoding, a library on a corrupt file) come to an end of their own.

use std::panic;

/// Installs the hook. The message is printed as usual.
pub(crate) fn end_the_process() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if cartguard_engine::batch::decode_is_guarded() || cartguard_io::panic_is_caught() {
            return;
        }
        print(info);
        std::process::abort();
    }));
}
