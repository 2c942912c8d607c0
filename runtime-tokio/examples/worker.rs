//! A worker that survives restarts of its server: `cargo run -p enginewire-tokio --example worker`.
//!
//! Argument is the URL of the server, http://127.0.0.1:3000 if there is none. It asks for a token at each connection,
//! acknowledges each `job` once it is done, and reports results with retries: each arrives at least once, whatever
//! happens to the connection. An id tells the server those that came twice.

use std::{env, process::ExitCode, time::Duration};

use enginewire_tokio::socketio::{ClientBuilder, ClientError, Offline, Update};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Job {
    id: u64,
    numbers: Vec<u64>,
}

#[derive(Serialize)]
struct Outcome {
    id: u64,
    sum: u64,
}

#[derive(Serialize)]
struct Auth {
    token: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    match work().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn work() -> Result<(), ClientError> {
    let url = env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:3000".into());
    let client = ClientBuilder::new(&url)
        // Progress is of no use later. Results have retries, and wait in any case.
        .offline(Offline::Drop)
        // A token that has expired meanwhile is refused: another is fetched.
        .refused_attempts(3)
        .build()?;
    let mut socket = client.socket("/").auth_with(token).open()?;
    while let Some(update) = socket.next().await {
        match update {
            Update::Event(mut event) if event.name() == "job" => {
                let Ok(Job { id, numbers }) = event.data::<Job>() else { continue };
                drop(socket.emit("progress", &(id, "started")).await);
                drop(event.ack().send(&"taken").await);
                let outcome = Outcome { id, sum: numbers.iter().sum() };
                // It is sent now or when the server is back, up to ten times.
                let sent = socket.retries(9).timeout(Duration::from_secs(5));
                let sent = sent.emit_with_ack::<String, _>("result", &outcome);
                tokio::spawn(async move {
                    match sent.await {
                        Ok(answer) => println!("job {id}: {answer}"),
                        Err(error) => println!("job {id} is not reported: {error}"),
                    }
                });
            }
            Update::Connected { .. } => println!("connected"),
            Update::Disconnected { reason, .. } => println!("lost: {reason}"),
            Update::Refused(error) => println!("refused: {}", error.message()),
            _ => {}
        }
    }
    match socket.end_reason() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Fetches a token, as from an authorization server.
async fn token() -> Auth {
    Auth { token: "secret".into() }
}
