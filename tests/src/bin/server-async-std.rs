//! The test server on async-std.

use std::{io, process::ExitCode};

use enginewire_tests::{program, runtimes};

fn main() -> io::Result<ExitCode> {
    runtimes::on_async_std(program::run)
}
