//! `netq`: the hub and its clients as one command. See `netq help`.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
