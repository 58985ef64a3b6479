//! The thread that the SDK's calls run on.
//!
//! One current-thread tokio runtime; the source's own thread never waits inside it. Dropping it ends every call.

use cartguard_io::Trouble;
use std::future::Future;
use std::thread::JoinHandle;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

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

    /// Runs a task and waits for it; not for the runtime's own thread.
    pub fn wait<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Trouble> {
        let (done, result) = crossbeam_channel::bounded(1);
        self.handle.spawn(async move {
            let _ = done.send(task.await);
        });
        result.recv().map_err(|error| Trouble::stop("a call to Kinesis was ended").because(error))
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
