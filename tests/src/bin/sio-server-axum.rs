//! The Socket.IO test server behind axum.

use std::{io, process::ExitCode};

use enginewire_tests::{front::Axum, runtimes, sio_program};

fn main() -> io::Result<ExitCode> {
    runtimes::on_tokio(|runtime, stop| sio_program::run_behind(Axum, runtime, stop))
}
