//! CPU for each echoed event.

use std::{
    env,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use enginewire_tokio::{TransportKind, socketio};
use futures_util::FutureExt;
use nix::sys::{
    resource::{Usage, UsageWho, getrusage},
    time::TimeValLike,
};
use rust_socketio::{
    Payload, TransportType,
    asynchronous::{Client, ClientBuilder},
};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::{Result, server::Server};

/// Events of a load. Before it come a tenth as many that do not count.
const EVENTS: usize = 100_000;
const NAMES: [&str; 3] = ["enginewire", "rust_socketio", "socket.io-client"];

/// Microseconds of CPU.
#[derive(Clone, Copy)]
struct Spent {
    user: f64,
    whole: f64,
}

/// Measures all clients, and prints what an event has cost each, and its ratio to the first.
pub(crate) fn measure(rounds: usize) -> Result<()> {
    for flight in [1, 16] {
        let mut figures = NAMES.map(|_| Vec::new());
        for _ in 0..rounds {
            for (name, figures) in NAMES.iter().zip(&mut figures) {
                let server = Server::start(0)?;
                figures.push(measure_one(name, &server.url(), flight)?);
            }
        }
        println!("\nechoes of 64 bytes over WebSocket, {flight} in flight: microseconds an event");
        println!("  {:<20}{:>8}{:>8}   ratio of enginewire, user and whole", "", "user", "whole");
        for (name, rounds) in NAMES.iter().zip(&figures) {
            let ratio = |part: fn(&Spent) -> f64| {
                median(figures[0].iter().zip(rounds).map(|(ours, it)| part(ours) / part(it)))
            };
            let [user, whole] = [|it: &Spent| it.user, |it: &Spent| it.whole];
            let cost = |part| median(rounds.iter().map(part));
            println!(
                "  {name:<20}{:>8.2}{:>8.2}   {:.2} {:.2}",
                cost(user),
                cost(whole),
                ratio(user),
                ratio(whole),
            );
        }
    }
    Ok(())
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<_> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Has one client do its load in a process of its own.
fn measure_one(name: &str, url: &str, flight: usize) -> Result<Spent> {
    let (flight, count) = (flight.to_string(), EVENTS.to_string());
    let mut command;
    if name == "socket.io-client" {
        command = Command::new("node");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("npm.mjs")).args([url]);
    } else {
        command = Command::new(env::current_exe()?);
        command.args(["client", name, url]);
    }
    let output = command.args([flight, count]).stderr(Stdio::inherit()).output()?;
    let line = String::from_utf8(output.stdout)?;
    let (user, kernel) = line.trim().split_once(' ').ok_or_else(|| format!("{name}: {line:?}"))?;
    let each = |micros: f64| micros / EVENTS as f64;
    let (user, kernel): (f64, f64) = (user.parse()?, kernel.parse()?);
    Ok(Spent { user: each(user), whole: each(user + kernel) })
}

/// The other side: a client of Rust. Prints the microseconds of user and kernel that its load has cost.
pub(crate) fn run(name: &str, url: &str, flight: &str, count: &str) -> Result<()> {
    let (flight, count) = (flight.parse()?, count.parse()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let spent = runtime.block_on(async {
        match name {
            "enginewire" => enginewire(url, flight, count).await,
            "rust_socketio" => rust_socketio(url, flight, count).await,
            _ => Err(format!("there is no client {name}").into()),
        }
    })?;
    println!("{} {}", spent.0, spent.1);
    Ok(())
}

async fn enginewire(url: &str, flight: usize, count: usize) -> Result<(i64, i64)> {
    let builder = socketio::ClientBuilder::new(url).transports([TransportKind::WebSocket]);
    let client = builder.build()?;
    let mut socket = client.open()?;
    socket.connected().await?;
    let mut before = usage()?;
    for count in [count / 10, count] {
        before = usage()?;
        let (mut sent, mut came) = (0, 0);
        while sent < flight {
            socket.emit("echo", &text()).await?;
            sent += 1;
        }
        while came < count {
            let event = socket.recv().await.ok_or("the server has gone")?;
            let text: &str = event.data()?;
            came += 1;
            if sent < count {
                socket.emit("echo", text).await?;
                sent += 1;
            }
        }
    }
    Ok(since(&before)?)
}

async fn rust_socketio(url: &str, flight: usize, count: usize) -> Result<(i64, i64)> {
    let (done, mut ends) = mpsc::channel(1);
    // How many are to come, and to be sent.
    let left = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let counts = Arc::clone(&left);
    let echo = move |payload: Payload, client: Client| {
        let (counts, done) = (Arc::clone(&counts), done.clone());
        async move {
            let Payload::Text(values) = payload else { panic!("no text") };
            let Some(Value::String(text)) = values.into_iter().next() else { panic!("no string") };
            if counts.1.load(Relaxed) > 0 {
                counts.1.fetch_sub(1, Relaxed);
                client.emit("echo", Value::String(text)).await.expect("a server");
            }
            if counts.0.fetch_sub(1, Relaxed) == 1 {
                done.send(()).await.expect("the end is awaited");
            }
        }
        .boxed()
    };
    let (opened, mut opens) = mpsc::channel(1);
    let client = ClientBuilder::new(url)
        .transport_type(TransportType::Websocket)
        .reconnect(false)
        .on("open", move |_, _| {
            let opened = opened.clone();
            async move { opened.send(()).await.expect("a connection is awaited") }.boxed()
        })
        .on("echo", echo)
        .connect()
        .await?;
    opens.recv().await.ok_or("no connection")?;
    let mut before = usage()?;
    for count in [count / 10, count] {
        before = usage()?;
        left.0.store(count, Relaxed);
        left.1.store(count - flight, Relaxed);
        for _ in 0..flight {
            client.emit("echo", Value::String(text())).await?;
        }
        ends.recv().await.ok_or("the server has gone")?;
    }
    let spent = since(&before)?;
    client.disconnect().await?;
    Ok(spent)
}

fn text() -> String {
    "x".repeat(64)
}

fn usage() -> nix::Result<Usage> {
    getrusage(UsageWho::RUSAGE_SELF)
}

/// Returns the microseconds of user and kernel since then.
fn since(before: &Usage) -> nix::Result<(i64, i64)> {
    let now = usage()?;
    let user = now.user_time() - before.user_time();
    let system = now.system_time() - before.system_time();
    Ok((user.num_microseconds(), system.num_microseconds()))
}
