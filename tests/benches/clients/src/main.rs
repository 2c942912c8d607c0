//! Costs of clients of Socket.IO beside each other, on the same server:
//!
//! ```text
//! cargo run --release --manifest-path tests/benches/clients/Cargo.toml -- [echo [ROUNDS] | idle | reconnect]
//! ```
//!
//! `echo`: CPU for each echoed event of 64 bytes, one and sixteen in flight, over WebSocket, of Enginewire on tokio,
//! rust_socketio's asynchronous client, and socket.io-client on Node.js (after `npm ci` in `tests/js`). `idle`: heap of
//! a client that is connected and says nothing. `reconnect`: 10 000 clients whose server is killed and comes again.
//!
//! The server is Enginewire's, in a process of its own. So is each client, which tells the CPU that its load has cost:
//! user and kernel, all threads. They take turns, and the figures are medians; compare ratios within one run.

mod echo;
mod heap;
mod idle;
mod reconnect;
mod server;

use std::{env, process::ExitCode};

/// What goes wrong here ends the run with a sentence; nothing recovers from it.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let args: Vec<_> = env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let done = match *args.as_slice() {
        [] | ["echo"] => echo::measure(9),
        ["echo", rounds] => rounds.parse().map_err(Into::into).and_then(echo::measure),
        ["idle"] => idle::measure(),
        ["reconnect"] => reconnect::measure(),
        // The processes that those start.
        ["serve", port] => port.parse().map_err(Into::into).and_then(server::serve),
        ["client", name, url, flight, count] => echo::run(name, url, flight, count),
        _ => Err("arguments are: echo [ROUNDS], idle or reconnect".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
