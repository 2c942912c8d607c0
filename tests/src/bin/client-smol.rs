//! The test client on smol.

use std::process::ExitCode;

use enginewire_smol::Smol;
use enginewire_tests::client_program;

fn main() -> ExitCode {
    async_io::block_on(client_program::run(Smol::default()))
}
