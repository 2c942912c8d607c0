//! The test client on async-std.

use std::process::ExitCode;

use enginewire_async_std::AsyncStd;
use enginewire_tests::client_program;

fn main() -> ExitCode {
    async_std::task::block_on(client_program::run(AsyncStd::default()))
}
