//! The client that tests of any origin drive: options by the name of a scenario, a line of JSON for
//! whatever happens, and obedience to the server's commands. One source for all runtimes.

use std::{env, io::Write, process::ExitCode};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use enginewire::{
    CloseReason, Event, HttpCompression, Message, PerMessageDeflate, Revision, SendError,
    TransportKind,
};
use enginewire_driver::{Client, ClientBuilder, ConnectError, Runtime, Socket};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{script::counting_bytes, sio_client_program};

/// Exit status for arguments that are none.
const USAGE: u8 = 2;

/// Longer messages are reported by their hash.
const REPORTED_WHOLE: usize = 1000;

/// Connects as the arguments `URL SCENARIO` say, and goes on until the session is over.
pub async fn run<R: Runtime>(runtime: R) -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [url, scenario] = &arguments[..] else {
        eprintln!("usage: client URL SCENARIO");
        return ExitCode::from(USAGE);
    };
    let words: Vec<_> = scenario.split('-').collect();
    if words.first() == Some(&"sio") {
        let done = sio_client_program::run(runtime, url, &words).await;
        return done.unwrap_or_else(|| no_such(scenario));
    }
    let Some(builder) = configure(ClientBuilder::new(runtime, url), &words) else {
        return no_such(scenario);
    };
    let result = match builder.build() {
        Ok(client) => session(&client, words.contains(&"early")).await,
        Err(error) => Err(error),
    };
    if let Err(error) = result {
        report(&json!({ "event": "error", "message": error.to_string() }));
    }
    report(&json!({ "event": "done" }));
    ExitCode::SUCCESS
}

fn no_such(scenario: &str) -> ExitCode {
    eprintln!("there is no scenario {scenario}");
    ExitCode::from(USAGE)
}

/// The transports that the second word of a scenario's name asks for.
pub(crate) fn transports(words: &[&str]) -> Option<&'static [TransportKind]> {
    Some(match words {
        ["eio" | "sio", "polling", ..] => &[TransportKind::Polling],
        ["eio" | "sio", "websocket", ..] => &[TransportKind::WebSocket],
        ["eio" | "sio", "upgrade", ..] => &[TransportKind::Polling, TransportKind::WebSocket],
        _ => return None,
    })
}

/// The options that the words of a scenario's name ask for.
fn configure<R: Runtime>(builder: ClientBuilder<R>, words: &[&str]) -> Option<ClientBuilder<R>> {
    let mut builder = builder.transports(transports(words)?);
    if words.contains(&"options") {
        builder = builder.path("/custom/").query("foo", "bar baz").query("u", "€");
        builder = builder.header("X-Test", "held");
    }
    if words.contains(&"noslash") {
        builder = builder.add_trailing_slash(false);
    }
    if words.contains(&"protocols") {
        builder = builder.protocols(["chat", "v2.chat"]);
    }
    if words.contains(&"proxy") {
        builder = builder.proxy_from_env();
    }
    if words.contains(&"deflate") {
        let mut deflate = PerMessageDeflate::default();
        deflate.threshold = 0;
        deflate.server_context_takeover = words.contains(&"takeover");
        deflate.client_context_takeover = words.contains(&"takeover");
        builder = builder.per_message_deflate(deflate);
        let mut bodies = HttpCompression::default();
        bodies.posts = words.contains(&"posts");
        builder = builder.http_compression(bodies);
    }
    if words.contains(&"v3") {
        builder = builder.revision(Revision::V3);
    }
    Some(builder.force_base64(words.contains(&"b64")))
}

async fn session<R: Runtime>(client: &Client<R>, early: bool) -> Result<(), ConnectError> {
    let connecting = client.open();
    if early {
        let sender = connecting.sender();
        for i in 0..3 {
            // There is room for three, and nothing has been closed: the session has just begun.
            let _ = sender.try_send(format!("early-{i}"));
        }
    }
    let mut socket = connecting.await?;
    let transport = socket.transport().name();
    report(&json!({ "event": "open", "sid": socket.sid(), "transport": transport }));
    while let Some(event) = socket.recv_event().await {
        match event {
            Event::Message(message) => {
                match message.as_text().and_then(Command::parse) {
                    None => report(&described(&message)),
                    // What fails has failed because the session is over, which the next event tells.
                    Some(command) => {
                        let _ = obey(&socket, command).await;
                    }
                }
            }
            Event::Upgraded => {
                let transport = socket.transport().name();
                report(&json!({ "event": "upgrade", "transport": transport }));
            }
            Event::Closed(reason) => {
                // Until everything is out.
                socket.close().await;
                if let CloseReason::TransportError(fault) = &reason {
                    report(&json!({ "event": "error", "message": fault.to_string() }));
                }
                report(&json!({ "event": "close", "reason": reason.as_str() }));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What a server asks the client to do: text messages that begin with `!`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Command {
    /// `!send TEXT`
    Send(String),
    /// `!burst N`: every fifth of them binary.
    Burst(u64),
    /// `!texts N`
    Texts(u64),
    /// `!text N`: one text of N times `x`.
    Text(usize),
    /// `!bin N`: N bytes in one message.
    Binary(usize),
    /// `!burst-close N`: N texts, then close.
    BurstClose(u64),
    /// `!close`
    Close,
}

impl Command {
    /// Reads a command. `None` for everything else, which is reported.
    fn parse(message: &str) -> Option<Self> {
        let (name, rest) = message.split_once(' ').unwrap_or((message, ""));
        let number = || rest.parse::<u64>().ok();
        let size = || number().and_then(|number| usize::try_from(number).ok());
        Some(match name {
            "!send" => Self::Send(rest.into()),
            "!burst" => Self::Burst(number()?),
            "!texts" => Self::Texts(number()?),
            "!text" => Self::Text(size()?),
            "!bin" => Self::Binary(size()?),
            "!burst-close" => Self::BurstClose(number()?),
            "!close" if message == name => Self::Close,
            _ => return None,
        })
    }
}

async fn obey(socket: &Socket, command: Command) -> Result<(), SendError> {
    match command {
        Command::Send(text) => socket.send(text).await,
        Command::Burst(n) => {
            for i in 0..n {
                let text = format!("m{i}");
                match i % 5 {
                    4 => socket.send(text.into_bytes()).await?,
                    _ => socket.send(text).await?,
                }
            }
            Ok(())
        }
        Command::Texts(n) => send_texts(socket, n).await,
        Command::Text(n) => socket.send("x".repeat(n)).await,
        Command::Binary(n) => socket.send(counting_bytes(n)).await,
        Command::BurstClose(n) => {
            send_texts(socket, n).await?;
            socket.close().await;
            Ok(())
        }
        Command::Close => {
            socket.close().await;
            Ok(())
        }
    }
}

async fn send_texts(socket: &Socket, n: u64) -> Result<(), SendError> {
    for i in 0..n {
        socket.send(format!("m{i}")).await?;
    }
    Ok(())
}

fn described(message: &Message) -> Value {
    let (binary, bytes) = (message.is_binary(), message.payload());
    if bytes.len() > REPORTED_WHOLE {
        let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        return json!({ "event": "message", "binary": binary, "length": bytes.len(), "sha256": hash });
    }
    let data = match message.as_text() {
        Some(text) => text.to_owned(),
        None => STANDARD.encode(bytes),
    };
    json!({ "event": "message", "binary": binary, "data": data })
}

/// Prints a line at once, for whoever reads along.
pub(crate) fn report(line: &Value) {
    let mut out = std::io::stdout().lock();
    // Nobody reads any more: then nobody misses it.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_and_all_else_is_a_message() {
        assert_eq!(Command::parse("!send a b"), Some(Command::Send("a b".into())));
        assert_eq!(Command::parse("!burst-close 3"), Some(Command::BurstClose(3)));
        assert_eq!(Command::parse("!close"), Some(Command::Close));
        for message in ["", "close", "!close now", "!bin", "!bin -1", "!other 1"] {
            assert_eq!(Command::parse(message), None, "{message}");
        }
    }

    #[test]
    fn long_messages_are_described_by_their_hash() {
        let short = described(&Message::from("x".repeat(1000)));
        assert_eq!(short["data"].as_str().map(str::len), Some(1000));
        let long = described(&Message::from(vec![0u8; 1001]));
        assert_eq!((&long["binary"], &long["length"]), (&json!(true), &json!(1001)));
        assert_eq!(long["sha256"].as_str().map(str::len), Some(64));
    }
}
