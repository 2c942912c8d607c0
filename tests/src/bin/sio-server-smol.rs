//! The Socket.IO test server on smol.

use std::{io, process::ExitCode};

use enginewire_tests::{sio_program, runtimes};

fn main() -> io::Result<ExitCode> {
    runtimes::on_smol(sio_program::run)
}
