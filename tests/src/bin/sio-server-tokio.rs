//! The Socket.IO test server on tokio.

use std::{io, process::ExitCode};

use enginewire_tests::{runtimes, sio_program};

fn main() -> io::Result<ExitCode> {
    runtimes::on_tokio(sio_program::run)
}
