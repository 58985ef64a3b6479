//! The thread that the SDK's calls run on.
//!
//! One current-thread tokio runtime; the source's own thread never waits inside it. Dropping it ends every call.

use cartguard_io::Trouble;
use crossbeam_channel::RecvTimeoutError;
use std::future::Future;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// How soon a wait ends once all is to end. Arbitrary: at once, for a person.
const NOTICE: Duration = Duration::from_millis(50);

/// Runs until it is dropped.
pub struct Runtime {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Runtime {
    /// Starts the thread.
    pub fn start(name: &str) -> Result<Self, Trouble> {
        let why = |error: std::io::Error| Trouble::stop("no thread for calls to Kinesis").because(error);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(why)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let work = move || {
            // Whichever way the other end goes, it is over.
            let _ = runtime.block_on(stopped);
            // A name that nobody resolves holds no end up.
            runtime.shutdown_timeout(NOTICE);
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(why)?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Starts a task.
    pub fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.handle.spawn(task)
    }

    /// Runs a task and waits for it until `is_over`, which ends it and is trouble with that advice; not for the runtime's own thread.
    pub fn wait<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
        is_over: &dyn Fn() -> bool,
    ) -> Result<T, Trouble> {
        let (done, result) = crossbeam_channel::bounded(1);
        let task = self.handle.spawn(async move {
            let _ = done.send(task.await);
        });
        loop {
            match result.recv_timeout(NOTICE) {
                Ok(value) => return Ok(value),
                Err(RecvTimeoutError::Timeout) if is_over() => {
                    task.abort();
                    return Err(Trouble::over("Kinesis is waited for"));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(error @ RecvTimeoutError::Disconnected) => {
                    return Err(Trouble::stop("a call to Kinesis was ended").because(error));
                }
            }
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of a task was told by the hook already.
            let _ = thread.join();
        }
    }
}
