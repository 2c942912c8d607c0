//! The test client on tokio.

use std::process::ExitCode;

use enginewire_tests::client_program;
use enginewire_tokio::Tokio;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    client_program::run(Tokio::default()).await
}
