//! A node of a cluster on tokio, for tests.

use std::{io, process::ExitCode};

use enginewire_tests::{runtimes, sio_cluster_program};

fn main() -> io::Result<ExitCode> {
    runtimes::on_tokio(sio_cluster_program::run)
}
