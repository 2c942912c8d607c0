//! The server that tests of any origin drive: options by profile, and an application that obeys
//! commands. One source for all runtimes.

use std::{
    collections::{BTreeMap, HashMap},
    future::{Future, poll_fn},
    io,
    pin::pin,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use enginewire::Encoded;
use enginewire_driver::{Runtime, Sender, ServerBuilder, Socket};

use crate::{
    front::{Front, Own},
    profile::{self, DENIED_LATER, Filter, Profile, UNKNOWN_PROFILE},
    script::{Command, counting_bytes},
};

/// Everyone who gets what is broadcast in the profile `bench`.
type Everyone = Arc<Mutex<HashMap<u64, Sender>>>;

/// Messages that have come, by what each client calls itself in the query of its handshake. Printed in the
/// end, if `TELL` is in the environment.
type Tally = Arc<Mutex<BTreeMap<String, u64>>>;

/// Serves what the environment asks for (`PORT`, `PROFILE`) until `stop` completes.
pub async fn run<R: Runtime>(runtime: R, stop: impl Future<Output = ()>) -> ExitCode {
    run_behind(Own, runtime, stop).await
}

/// Does as [`run`] behind `front`.
pub async fn run_behind<R: Runtime>(
    front: impl Front<R>,
    runtime: R,
    stop: impl Future<Output = ()>,
) -> ExitCode {
    let Some(profile) = Profile::from_environment() else {
        return ExitCode::from(UNKNOWN_PROFILE);
    };
    let everyone = profile.broadcasts.then(Everyone::default);
    let builder = configure(&runtime, profile);
    match serve(front, runtime, builder, everyone, stop).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn report(error: &io::Error) {
    eprintln!("the server could not start: {error}");
}

async fn serve<R: Runtime>(
    front: impl Front<R>,
    runtime: R,
    builder: ServerBuilder<R>,
    everyone: Option<Everyone>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let tally = profile::number("TELL").map(|_| Tally::default());
    let start = {
        let (runtime, tally) = (runtime.clone(), tally.clone());
        move |socket| application(runtime.clone(), socket, everyone.clone(), tally.clone())
    };
    // Otherwise the sessions are accepted.
    let builder = match profile::number("HANDLER") {
        Some(_) => {
            let start = start.clone();
            builder.handler(move |socket, _| start(socket))
        }
        None => builder,
    };
    let (server, address) = front.start(builder, profile::address()).await?;
    // With port 0 nobody would know where to connect.
    println!("{}", address.port());
    let mut stop = pin!(stop);
    loop {
        let mut accept = pin!(server.accept());
        let next = poll_fn(|cx| match stop.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => accept.as_mut().poll(cx),
        });
        let Some(socket) = next.await else { break };
        runtime.spawn(start(socket));
    }
    server.close().await;
    // What those have brought that nobody had accepted is the application's all the same.
    while let Some(socket) = server.accept().await {
        runtime.spawn(start(socket));
    }
    drop((server, start));
    if let Some(tally) = tally {
        // Each session's application has a share until it has seen the end.
        while Arc::strong_count(&tally) > 1 {
            sleep(&runtime, 1).await;
        }
        for (name, messages) in &*lock(&tally) {
            println!("{name} {messages}");
        }
    }
    Ok(())
}

/// A server as a profile wants it.
fn configure<R: Runtime>(runtime: &R, profile: Profile) -> ServerBuilder<R> {
    let builder = ServerBuilder::on(runtime.clone())
        .config(profile.config)
        .shutdown_timeout(Duration::from_secs(2));
    let builder = match profile.http_timeout {
        Some(timeout) => builder.head_timeout(timeout).body_timeout(timeout).idle_timeout(timeout),
        None => builder,
    };
    if !profile.filters {
        return builder;
    }
    let clock = runtime.clone();
    builder.allow_request(move |handshake| {
        let (filter, clock) = (Filter::of(handshake.query()), clock.clone());
        async move {
            match filter {
                Filter::Allow => Ok(()),
                Filter::Deny(message) => Err(message.into()),
                Filter::DenyLater(message) => {
                    clock.sleep_until(clock.clock().now() + DENIED_LATER).await;
                    Err(message.into())
                }
            }
        }
    })
}

/// Echoes every message, except for commands, which it obeys.
async fn application<R: Runtime>(
    runtime: R,
    mut socket: Socket,
    everyone: Option<Everyone>,
    tally: Option<Tally>,
) {
    if let Some(everyone) = &everyone {
        lock(everyone).insert(socket.id(), socket.sender());
    }
    while let Some(message) = socket.recv().await {
        if let Some(tally) = &tally {
            let name = socket.handshake().query_value("name").unwrap_or_default();
            *lock(tally).entry(name).or_default() += 1;
        }
        let text = message.as_text();
        if let Some(everyone) = everyone.as_ref().filter(|_| starts_with(text, 'B')) {
            let message = Encoded::shared(message);
            for sender in lock(everyone).values() {
                let _ = sender.try_send(message.clone());
            }
            continue;
        }
        let done = match text.and_then(Command::parse) {
            None => socket.send(message).await,
            Some(command) => obey(&runtime, &socket, command).await,
        };
        // A session that is closing takes nothing more, and may still have brought something.
        if done.is_err() && tally.is_none() {
            break;
        }
    }
    if let Some(everyone) = &everyone {
        lock(everyone).remove(&socket.id());
    }
}

async fn obey<R: Runtime>(
    runtime: &R,
    socket: &Socket,
    command: Command,
) -> Result<(), enginewire::SendError> {
    match command {
        Command::Close => {
            socket.close().await;
        }
        Command::Bye(n) => {
            send_numbered(socket, "bye", n).await?;
            socket.close().await;
        }
        Command::Burst(n) => send_numbered(socket, "burst", n).await?,
        Command::Binary(n) => socket.send(counting_bytes(n)).await?,
        Command::Later(millis, text) => {
            let (runtime, sender) = (runtime.clone(), socket.sender());
            runtime.clone().spawn(async move {
                sleep(&runtime, millis).await;
                let _ = sender.send(text).await;
            });
        }
        Command::Ticks(n, millis) => {
            let (runtime, sender) = (runtime.clone(), socket.sender());
            runtime.clone().spawn(async move {
                for i in 0..n {
                    sleep(&runtime, millis).await;
                    if sender.send(format!("tick-{i}")).await.is_err() {
                        break;
                    }
                }
            });
        }
    }
    Ok(())
}

async fn send_numbered(socket: &Socket, name: &str, n: u64) -> Result<(), enginewire::SendError> {
    for i in 0..n {
        socket.send(format!("{name}-{i}")).await?;
    }
    Ok(())
}

async fn sleep<R: Runtime>(runtime: &R, millis: u64) {
    runtime.sleep_until(runtime.clock().now() + Duration::from_millis(millis)).await;
}

fn starts_with(text: Option<&str>, start: char) -> bool {
    text.is_some_and(|text| text.starts_with(start))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
