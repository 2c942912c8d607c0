//! The Socket.IO test server on async-std.

use std::{io, process::ExitCode};

use enginewire_tests::{runtimes, sio_program};

fn main() -> io::Result<ExitCode> {
    runtimes::on_async_std(sio_program::run)
}
