//! The command line, run as the processes that a user would run, against a hub that is such a process too.

mod closed_pipe;
mod demo;
mod errors;
mod queues;
mod serve;
#[cfg(feature = "status")]
mod status;
mod support;
#[cfg(unix)]
mod work;
