//! The test server on tokio.

use std::{io, process::ExitCode};

use enginewire_tests::{program, runtimes};

fn main() -> io::Result<ExitCode> {
    runtimes::on_tokio(program::run)
}
