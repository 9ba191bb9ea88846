//! Hubs with a store, as real processes: killed again and again under load, on a disk that is full, on one that fails.
//!
//! `NETQ_SOAK=1` kills twenty times as often.
#![cfg(feature = "journal")]

#[path = "../cli/support.rs"]
#[allow(dead_code, reason = "shared with the tests of the command line")]
mod cli;
mod disks;
mod kills;
#[cfg(target_os = "linux")]
mod larger;
#[path = "../common/pythons.rs"]
#[allow(dead_code, reason = "shared with the tests of Python programs")]
mod pythons;
