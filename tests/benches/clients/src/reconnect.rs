//! Many clients whose server is killed and comes again.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use enginewire_tokio::{
    Reconnect, TransportKind,
    socketio::{ClientBuilder, ClientSocket, Update},
};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{Result, server::Server};

const CLIENTS: usize = 10_000;
/// With a jitter of a half, they come back from a half to one and a half of it.
const DELAY: Duration = Duration::from_secs(12);
/// How long there is no server.
const DOWN: Duration = Duration::from_secs(2);
/// Most attempts in a second.
const MOST: usize = 1000;

/// Prints the attempts of each second after the server was killed, and fails if there are too many or too few.
pub(crate) fn measure() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(reconnect())
}

async fn reconnect() -> Result<()> {
    let server = Server::start(0)?;
    let (url, port) = (server.url(), server.port);
    let policy = Reconnect::default().with_delay(DELAY).with_max_delay(2 * DELAY);
    let builder = move || ClientBuilder::new(&url).transports([TransportKind::WebSocket]);
    let gate = Arc::new(Semaphore::new(100));
    let mut opening = JoinSet::new();
    for _ in 0..CLIENTS {
        let (builder, gate) = (builder().reconnect(policy.clone()), Arc::clone(&gate));
        opening.spawn(async move {
            let _turn = gate.acquire_owned().await;
            let client = builder.build()?;
            let mut socket = client.open()?;
            while !matches!(
                socket.next().await.ok_or("a client has ended")?,
                Update::Connected { .. }
            ) {}
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((client, socket))
        });
    }
    let mut clients = Vec::new();
    while let Some(opened) = opening.join_next().await {
        clients.push(opened??);
    }
    println!("{} clients are connected; the server is killed", clients.len());
    // Moments of attempts, those that failed and those that did not.
    let attempts = Arc::new(Mutex::new((Vec::new(), Vec::new())));
    let killed = Instant::now();
    drop(server);
    let mut waiting = JoinSet::new();
    for (client, mut socket) in clients {
        let attempts = Arc::clone(&attempts);
        waiting.spawn(async move {
            watch(&mut socket, killed, &attempts).await;
            (client, socket)
        });
    }
    tokio::time::sleep(DOWN).await;
    let server = Server::start(port)?;
    let back = waiting.join_all().await;
    let (failed, connected) = std::mem::take(&mut *attempts.lock().map_err(|_| "a panic")?);
    println!("after {:.1} s all are connected again", killed.elapsed().as_secs_f64());
    println!("second   connected   failed");
    let mut most = 0;
    for second in 0..=connected.iter().chain(&failed).max().copied().unwrap_or_default() {
        let count = |all: &[u64]| all.iter().filter(|at| **at == second).count();
        let (connected, failed) = (count(&connected), count(&failed));
        most = most.max(connected + failed);
        println!("{second:>6} {connected:>11} {failed:>8} {}", "#".repeat(connected / 20));
    }
    drop((back, server));
    println!("at most {most} attempts in a second");
    if connected.len() != CLIENTS || most > MOST {
        return Err("too many attempts in a second, or clients that did not come back".into());
    }
    Ok(())
}

/// Notes in which second after `killed` a client tries, until it is connected.
async fn watch(socket: &mut ClientSocket, killed: Instant, attempts: &Mutex<(Vec<u64>, Vec<u64>)>) {
    while let Some(update) = socket.next().await {
        let second = killed.elapsed().as_secs();
        let mut attempts = attempts.lock().expect("nobody panics with it");
        match update {
            Update::Failed(_) => attempts.0.push(second),
            Update::Connected { .. } => return attempts.1.push(second),
            _ => {}
        }
    }
}
