//! The test server on smol.

use std::{io, process::ExitCode};

use enginewire_tests::{program, runtimes};

fn main() -> io::Result<ExitCode> {
    runtimes::on_smol(program::run)
}
