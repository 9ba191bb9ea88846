//! The command line, run as the processes that a user would run, against a hub that is such a process too.

mod closed_pipe;
mod cpython;
mod demo;
mod errors;
#[path = "../common/pythons.rs"]
#[allow(dead_code, reason = "shared with the tests of Python programs")]
mod pythons;
mod queues;
mod serve;
#[cfg(feature = "status")]
mod status;
#[cfg(feature = "journal")]
mod store;
mod support;
#[cfg(unix)]
mod work;
