//! A chat in the terminal: `cargo run -p enginewire-tokio --example chat_client -- Ann`, with the example `chat` beside it.
//!
//! Arguments are a name and the URL of the server, http://127.0.0.1:3000 if there is none. Each line of the input is
//! said in the chat; `/quit` or the end of the input leaves it. What others do goes to the output, the state of the
//! connection to the standard error. It works with the server of the official chat example, too.

use std::{env, io, process::ExitCode, thread};

use enginewire_tokio::socketio::{ClientBuilder, ClientError, ClientEvent, ClientRef, Update};
use serde::Deserialize;
use tokio::sync::mpsc;

/// Events of the server, as the official example has them.
#[derive(Deserialize)]
enum FromServer {
    #[serde(rename = "login")]
    Login(Participants),
    #[serde(rename = "new message")]
    NewMessage { username: String, message: String },
    #[serde(rename = "user joined")]
    UserJoined(Participants),
    #[serde(rename = "user left")]
    UserLeft(Participants),
    #[serde(rename = "typing")]
    Typing,
    #[serde(rename = "stop typing")]
    StopTyping,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Participants {
    #[serde(default)]
    username: String,
    num_users: u32,
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "guest".into());
    let url = arguments.next().unwrap_or_else(|| "http://127.0.0.1:3000".into());
    match chat(&name, &url).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn chat(name: &str, url: &str) -> Result<(), ClientError> {
    let client = ClientBuilder::new(url).build()?;
    let mut socket = client.connect().await?;
    let mut lines = lines();
    loop {
        tokio::select! {
            update = socket.next() => match update {
                Some(Update::Event(event)) => show(&event),
                // The server knows no name yet, or has forgotten it.
                Some(Update::Connected { recovered: false, .. }) => join(&socket, name).await,
                Some(Update::Disconnected { reason, .. }) => eprintln!("- lost: {reason}"),
                Some(Update::Failed(error)) => eprintln!("- {error}"),
                Some(Update::Waiting { attempt, delay }) => {
                    eprintln!("- attempt {attempt} in {} ms", delay.as_millis());
                }
                Some(_) => {}
                None => return Err(socket.end_reason().unwrap_or(ClientError::Closed)),
            },
            line = lines.recv() => match line.as_deref() {
                None | Some("/quit") => break,
                // While there is no connection it waits.
                Some(line) => drop(socket.emit("new message", line).await),
            },
        }
    }
    match client.close().await {
        0 => {}
        unsent => eprintln!("- {unsent} messages were not sent"),
    }
    Ok(())
}

async fn join(socket: &ClientRef, name: &str) {
    drop(socket.emit("add user", name).await);
}

fn show(event: &ClientEvent) {
    match event.parse() {
        Ok(FromServer::Login(it)) => println!("* {} here", participants(it.num_users)),
        Ok(FromServer::NewMessage { username, message }) => println!("{username}: {message}"),
        Ok(FromServer::UserJoined(it)) => {
            println!("* {} joined, {} here", it.username, participants(it.num_users));
        }
        Ok(FromServer::UserLeft(it)) => {
            println!("* {} left, {} here", it.username, participants(it.num_users));
        }
        // There is no place for them in a terminal that scrolls.
        Ok(FromServer::Typing | FromServer::StopTyping) => {}
        Err(error) => eprintln!("- {error}"),
    }
}

fn participants(n: u32) -> String {
    if n == 1 { "1 participant".into() } else { format!("{n} participants") }
}

/// Reads the input on a thread of its own, which a read blocks.
fn lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(1);
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}
