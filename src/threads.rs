//! Starting threads.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread with a name and a stack of so many bytes. A box, because each type of function would come with 1 KiB of
/// std's code for threads.
pub(crate) fn spawn(name: String, stack: usize, run: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name).stack_size(stack).spawn(run)
}
