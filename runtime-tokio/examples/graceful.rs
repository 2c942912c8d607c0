//! A server that lets its clients go one after the other: `cargo run -p enginewire-tokio --example graceful`.
//!
//! Listens on the address given as argument, 127.0.0.1:3000 if there is none, until Ctrl-C or SIGTERM. Then it takes no
//! more clients, and closes the sessions of the others over as many seconds as the second argument says, 10 by default.
//! They come back by themselves, to the server that takes its place.

use std::{env, io, time::Duration};

use enginewire_tokio::{
    ServerBuilder,
    socketio::{Io, Socket},
};

#[tokio::main]
async fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3000".into());
    let seconds = arguments.next().and_then(|seconds| seconds.parse().ok()).unwrap_or(10);
    let asked_to_end = asked_to_end()?;
    let io = Io::new();
    // Before the server listens, as clients are refused that ask for a namespace that is not there.
    let namespace = io.namespace("/");
    let server = ServerBuilder::new().socketio(&io).bind(address).await?;
    println!("listening on {}", server.local_addr());
    let end = async {
        asked_to_end.await;
        println!("draining {} sockets over {seconds} s", io.stats().sockets);
        // Lets out what is queued, and waits for the tasks of the sockets.
        server.drain(Duration::from_secs(seconds)).await;
    };
    // `serve` returns when the server closes and its tasks have returned.
    tokio::join!(end, namespace.serve(work));
    println!("drained: {:?}", io.stats());
    Ok(())
}

/// Counts for a client. What it was told last is on its way when the server ends.
async fn work(mut socket: Socket) {
    let mut done = 0_u32;
    while let Some(mut event) = socket.recv().await {
        done += 1;
        let _ = event.ack().send(&done).await;
    }
    if let Some(reason) = socket.reason() {
        println!("{} left after {done} events: {reason}", socket.id());
    }
}

/// Completes at Ctrl-C, and at the signal by which systems ask programs to end.
#[cfg(unix)]
fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    })
}

/// Completes at Ctrl-C.
#[cfg(not(unix))]
fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
