//! The test server behind axum.

use std::{io, process::ExitCode};

use enginewire_tests::{front::Axum, program, runtimes};

fn main() -> io::Result<ExitCode> {
    runtimes::on_tokio(|runtime, stop| program::run_behind(Axum, runtime, stop))
}
