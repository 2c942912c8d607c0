//! The Socket.IO test server on smol.

use std::{io, process::ExitCode};

use enginewire_tests::{runtimes, sio_program};

fn main() -> io::Result<ExitCode> {
    runtimes::on_smol(sio_program::run)
}
