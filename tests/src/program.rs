//! The server that tests of any origin drive: options by profile, and an application that obeys
//! commands. One source for all runtimes.

use std::{
    collections::HashMap,
    env,
    future::{Future, poll_fn},
    io,
    pin::pin,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use enginewire::{Cookie, Cors, CorsOrigin, Encoded, Message, Transports};
use enginewire_driver::{Builder, Runtime, Sender, Server, Socket};

use crate::script::Command;

/// Exit status for a profile that does not exist.
const UNKNOWN_PROFILE: u8 = 3;

/// Everyone who gets what is broadcast in the profile `bench`.
type Everyone<R> = Arc<Mutex<HashMap<u64, Sender<R>>>>;

/// Serves what the environment asks for (`PORT`, `PROFILE`) until `stop` completes.
pub async fn run<R: Runtime>(runtime: R, stop: impl Future<Output = ()>) -> ExitCode {
    let profile = env::var("PROFILE").unwrap_or_else(|_| "default".into());
    let Some(builder) = configure(&runtime, &profile) else {
        return ExitCode::from(UNKNOWN_PROFILE);
    };
    let everyone = (profile == "bench").then(Everyone::default);
    if everyone.is_some() {
        allow_open_files(10_000);
    }
    match serve(runtime, builder, everyone, stop).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// A number in the environment.
pub fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

/// Lets the process have so many files open, if the system does.
pub fn allow_open_files(files: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < files) {
        let wanted = maximum.map_or(files, |maximum| maximum.min(files));
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
}

fn report(error: &io::Error) {
    eprintln!("the server could not start: {error}");
}

async fn serve<R: Runtime>(
    runtime: R,
    builder: Builder<R>,
    everyone: Option<Everyone<R>>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let port = number("PORT").and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
    let server = builder.bind(("127.0.0.1", port)).await?;
    announce(&server);
    let mut stop = pin!(stop);
    loop {
        let mut accept = pin!(server.accept());
        let next = poll_fn(|cx| match stop.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => accept.as_mut().poll(cx),
        });
        let Some(socket) = next.await else { break };
        runtime.spawn(application(runtime.clone(), socket, everyone.clone()));
    }
    server.close().await;
    Ok(())
}

/// With port 0 nobody would know where to connect.
fn announce<R: Runtime>(server: &Server<R>) {
    println!("{}", server.local_addr().port());
}

/// The options of a profile.
fn configure<R: Runtime>(runtime: &R, profile: &str) -> Option<Builder<R>> {
    let builder = Builder::new(runtime.clone())
        .ping_interval(Duration::from_millis(300))
        .ping_timeout(Duration::from_millis(200))
        .shutdown_timeout(Duration::from_secs(2));
    Some(match profile {
        "default" => builder,
        "eio3" => builder.allow_eio3(true),
        "cors" => {
            let mut cors = Cors::new(CorsOrigin::Exact("https://allowed.example".into()));
            cors.credentials = true;
            cors.methods = "GET,POST".into();
            cors.allowed_headers = Some("x-custom".into());
            cors.max_age = Some(600);
            builder.cors(cors)
        }
        "opts" => {
            let clock = runtime.clone();
            builder
                .path("/custom/")
                .max_payload(1000)
                .upgrade_timeout(Duration::from_millis(400))
                .cookie(Cookie::default())
                .initial_packet("initial")
                .allow_request(move |handshake| {
                    let (deny, clock) = (handshake.query_value("deny"), clock.clone());
                    async move {
                        match deny.as_deref() {
                            None => Ok(()),
                            Some("1") => Err("Forbidden".into()),
                            Some("later") => {
                                sleep(&clock, 50).await;
                                Err("later".into())
                            }
                            Some(message) => Err(message.into()),
                        }
                    }
                })
        }
        "noupgrade" => builder.allow_upgrades(false),
        "wsonly" => builder.transports(Transports::WEBSOCKET),
        "bench" => builder
            .ping_interval(Duration::from_millis(number("PING_INTERVAL").unwrap_or(25_000)))
            .ping_timeout(Duration::from_millis(number("PING_TIMEOUT").unwrap_or(20_000))),
        _ => return None,
    })
}

/// Echoes every message, except for commands, which it obeys.
async fn application<R: Runtime>(runtime: R, mut socket: Socket<R>, everyone: Option<Everyone<R>>) {
    if let Some(everyone) = &everyone {
        lock(everyone).insert(socket.id(), socket.sender());
    }
    while let Some(message) = socket.recv().await {
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
        if done.is_err() {
            break;
        }
    }
    if let Some(everyone) = &everyone {
        lock(everyone).remove(&socket.id());
    }
}

async fn obey<R: Runtime>(
    runtime: &R,
    socket: &Socket<R>,
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

async fn send_numbered<R: Runtime>(
    socket: &Socket<R>,
    name: &str,
    n: u64,
) -> Result<(), enginewire::SendError> {
    for i in 0..n {
        socket.send(format!("{name}-{i}")).await?;
    }
    Ok(())
}

/// `n` bytes: 0, 1, ... 255, 0, ...
pub fn counting_bytes(n: usize) -> Message {
    (0..=u8::MAX).cycle().take(n).collect::<Vec<u8>>().into()
}

async fn sleep<R: Runtime>(runtime: &R, millis: u64) {
    runtime.sleep_until(runtime.now() + Duration::from_millis(millis)).await;
}

fn starts_with(text: Option<&str>, start: char) -> bool {
    text.is_some_and(|text| text.starts_with(start))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
