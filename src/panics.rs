//! A panic ends the process at once, wherever it is, so that nothing half-done goes on; only calls that are known to be guarded
//! (a record's decoding, a library on a corrupt file, a challenger that decides nothing) come to an end of their own.

use nix::sys::resource::{Resource, setrlimit};
use std::panic;

/// Installs the hook. The message is printed as usual.
pub(crate) fn end_the_process() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if cartguard_engine::batch::decode_is_guarded()
            || cartguard_io::panic_is_caught()
            || crate::shadow::is_guarded()
        {
            return;
        }
        print(info);
        std::process::abort();
    }));
}

/// Has the process leave no core dump, however it ends: its memory is full of what customers ordered.
pub(crate) fn leave_no_dump() {
    // A process may always lower a limit. Cores that are piped to a program disregard it, so the system is told besides.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_dumpable(false);
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    const ASKED: &str = "CARTGUARD_TEST_PANICS";

    /// O5: the process of the test below.
    #[test]
    fn a_thread_that_panics() {
        if std::env::var_os(ASKED).is_none() {
            return;
        }
        super::end_the_process();
        let thread = std::thread::spawn(|| panic!("a fault of no record"));
        let _ = thread.join();
        println!("went on");
    }

    /// D10: what is not guarded ends the process, on whatever thread it is.
    #[test]
    fn a_panic_outside_the_decoder_ends_the_process() {
        let mut command = Command::new(std::env::current_exe().expect("this test"));
        command.args(["--exact", "panics::tests::a_thread_that_panics", "--nocapture"]).env(ASKED, "1");
        let output = command.output().expect("the test runs");
        // SIGABRT
        assert_eq!(output.status.signal(), Some(6), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("a fault of no record"));
        assert!(!String::from_utf8_lossy(&output.stdout).contains("went on"));
    }
}
