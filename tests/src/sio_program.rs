//! The Socket.IO server that tests of any origin drive: options by profile, and an application that obeys events. One
//! source for all runtimes.

use std::{
    future::Future,
    io,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use enginewire_driver::{
    Runtime, ServerBuilder,
    socketio::{
        Ack, AckError, ConnectError, ConnectRequest, Event, Io, Namespace, Socket, SocketRef,
        Spread, Value,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

#[cfg(feature = "admin")]
use crate::sio_admin;
use crate::{
    front::{Front, Own},
    profile::{self, UNKNOWN_PROFILE},
    sio_contract::{self as contract, Profile, Reasons, nested_binary, object, rooms, type_of},
};

/// Data of a socket.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Data(Mutex<contract::Data>);

/// What the sockets share.
pub(crate) struct World<R> {
    runtime: R,
    reasons: Mutex<Reasons>,
    is_bench: bool,
}

impl<R> World<R> {
    pub(crate) fn new(runtime: R, is_bench: bool) -> Arc<Self> {
        Arc::new(Self { runtime, reasons: Mutex::default(), is_bench })
    }
}

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
    let is_bench = profile.is_bench;
    let (io, builder) = configure(&runtime, profile);
    match serve(front, runtime, &io, builder, is_bench, stop).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the server could not start: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A server as a profile wants it.
fn configure<R: Runtime>(runtime: &R, profile: Profile) -> (Io, ServerBuilder<R>) {
    let mut io = Io::builder();
    if let Some(timeout) = profile.connect_timeout {
        io = io.connect_timeout(timeout);
    }
    if let Some(recovery) = profile.recovery {
        io = io.recovery(recovery);
    }
    #[cfg(feature = "admin")]
    if let Some(kind) = profile.admin {
        io = io.admin(sio_admin::admin(kind, "server"));
    }
    let io = io.build();
    let builder = ServerBuilder::on(runtime.clone())
        .ping_interval(profile.ping_interval)
        .ping_timeout(profile.ping_timeout)
        .allow_eio3(profile.allow_eio3)
        .shutdown_timeout(Duration::from_secs(2))
        .socketio(&io);
    (io, builder)
}

async fn serve<R: Runtime>(
    front: impl Front<R>,
    runtime: R,
    io: &Io,
    builder: ServerBuilder<R>,
    is_bench: bool,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let world = World::new(runtime.clone(), is_bench);
    let open = |_| async { Ok(Data::default()) };
    let waits = runtime.clone();
    let dynamic = io.namespaces_by(|request| {
        let exists = contract::is_dynamic(request.name());
        async move { exists }
    });
    let namespaces = [
        io.namespace("/").authorize(open),
        io.namespace("/custom").authorize(open),
        io.namespace("/limited").authorize(open),
        io.namespace("/secret").authorize(authorize_secret),
        io.namespace("/mw").authorize(move |request| authorize_in_steps(waits.clone(), request)),
        dynamic.authorize(open),
    ];
    for namespace in namespaces.map(Namespace::share_data) {
        let world = Arc::clone(&world);
        runtime.spawn(async move { namespace.serve_with(world, talk).await });
    }
    let (server, address) = front.start(builder, profile::address()).await?;
    println!("{}", address.port());
    stop.await;
    server.close().await;
    Ok(())
}

async fn authorize_secret(request: ConnectRequest) -> Result<Data, ConnectError> {
    let data = contract::authorize_secret(&request.auth().unwrap_or_default())?;
    Ok(Data(Mutex::new(data)))
}

async fn authorize_in_steps<R: Runtime>(
    runtime: R,
    request: ConnectRequest,
) -> Result<Data, ConnectError> {
    runtime.sleep_until(runtime.clock().now() + contract::FIRST_STEP).await;
    let data = contract::authorize_in_steps(&request.auth().unwrap_or_default())?;
    Ok(Data(Mutex::new(data)))
}

/// One socket, from its connection to its end.
async fn talk<R: Runtime>(mut socket: Socket<Data>, world: Arc<World<R>>) {
    if !world.is_bench && !socket.recovered() {
        let auth: Value = socket.auth().unwrap_or(Value::Null);
        let _ = socket.emit("auth", &auth).await;
        if socket.namespace().name() == "/mw" {
            let _ = socket.emit("mw", &[1, 2, 3].as_slice()).await;
        }
    }
    while let Some(event) = socket.recv().await {
        if socket.namespace().name() == "/limited" && event.name() == "forbidden" {
            let _ = socket.emit("mw-error", "forbidden event").await;
            continue;
        }
        obey(&world, &socket, event).await;
    }
    let reason = socket.reason().map_or("", |reason| reason.as_str());
    lock(&world.reasons).insert(socket.id().to_string(), reason);
}

/// Does what an event asks for. One with arguments of another shape is ignored.
pub(crate) async fn obey<R: Runtime>(
    world: &Arc<World<R>>,
    socket: &SocketRef<Data>,
    mut event: Event,
) {
    let ack = event.ack();
    let mut args = event.args().to_values().unwrap_or_default();
    args.remove(0);
    let namespace = socket.namespace();
    match event.name() {
        "message" => drop(socket.emit("message-back", &Spread(&args)).await),
        "message-with-ack" | "ack" | "ack_bin" => answer(ack, &Spread(&args)).await,
        "echo" | "echo_bin" => drop(socket.forward(&event).await),
        "broadcast" if world.is_bench => drop(namespace.broadcast().forward(&event).await),
        "ack-twice" => {
            answer(ack, "first").await;
            answer(event.ack(), "second").await;
        }
        "ack-later" => {
            let Ok((millis, value)) = event.data::<(u64, Value)>() else { return };
            let runtime = world.runtime.clone();
            world.runtime.spawn(async move {
                sleep(&runtime, millis).await;
                answer(ack, &value).await;
            });
        }
        "types" => answer(ack, &args.iter().map(type_of).collect::<Vec<_>>()).await,
        "call-me" => {
            let Ok((name, args)) = event.data::<(String, Vec<Value>)>() else { return };
            let socket = socket.clone();
            world.runtime.spawn(async move {
                let answers =
                    socket.timeout(Duration::MAX).emit_with_ack_args(&name, &Spread(&args));
                if let Ok(answers) = answers.await {
                    let _ = socket
                        .emit("called", &(name, answers.to_values().unwrap_or_default()))
                        .await;
                }
            });
        }
        "call-me-timeout" => {
            let Ok(millis) = event.data() else { return };
            let socket = socket.clone();
            world.runtime.spawn(async move {
                let timeout = Duration::from_millis(millis);
                let answers = socket.timeout(timeout).emit_with_ack_args("slow-call", &()).await;
                let result = match answers {
                    Ok(answers) => object([
                        ("timeout", Value::Bool(false)),
                        ("args", Value::Array(answers.to_values().unwrap_or_default())),
                    ]),
                    Err(AckError::Timeout) => object([("timeout", Value::Bool(true))]),
                    Err(_) => return,
                };
                let _ = socket.emit("call-result", &result).await;
            });
        }
        "join" => {
            let Some(rooms) = args.first().and_then(rooms) else { return };
            socket.join(rooms);
            answer(ack, &()).await;
        }
        "leave" => {
            let Ok(room) = event.data::<String>() else { return };
            socket.leave(room);
            answer(ack, &()).await;
        }
        "rooms" => {
            let mut rooms = socket.rooms();
            rooms.sort();
            answer(ack, &rooms).await;
        }
        "to-room" => {
            let Ok((rooms, name, args)) = event.data::<(Vec<String>, String, Vec<Value>)>() else {
                return;
            };
            let _ = socket.to(rooms).emit(&name, &Spread(&args)).await;
        }
        "in-room" => {
            let Ok((rooms, name, args)) = event.data::<(Vec<String>, String, Vec<Value>)>() else {
                return;
            };
            let _ = namespace.to(rooms).emit(&name, &Spread(&args)).await;
        }
        "to-except" => {
            type ToExcept = (Vec<String>, Vec<String>, String, Vec<Value>);
            let Ok((rooms, except, name, args)) = event.data::<ToExcept>() else { return };
            let _ = namespace.to(rooms).except(except).emit(&name, &Spread(&args)).await;
        }
        "broadcast" => {
            let Ok((name, args)) = event.data::<(String, Vec<Value>)>() else { return };
            let _ = socket.broadcast().emit(&name, &Spread(&args)).await;
        }
        "all" => {
            let Ok((name, args)) = event.data::<(String, Vec<Value>)>() else { return };
            let _ = namespace.emit(&name, &Spread(&args)).await;
        }
        "private" => {
            let Ok((id, name, args)) = event.data::<(String, String, Vec<Value>)>() else { return };
            let _ = namespace.to(id).emit(&name, &Spread(&args)).await;
        }
        "broadcast-ack" => {
            type BroadcastAck = (Vec<String>, u64, String, Vec<Value>);
            let Ok((rooms, millis, name, args)) = event.data::<BroadcastAck>() else { return };
            let asked = namespace.to(rooms).timeout(Duration::from_millis(millis));
            let asked = asked.emit_with_ack::<Value, _>(&name, &Spread(&args));
            world.runtime.spawn(async move {
                let Ok(all) = asked.all().await else { return };
                let responses = all.responses.into_iter().map(|(_, response)| response);
                let result = object([
                    ("err", Value::Bool(!all.failed.is_empty())),
                    ("responses", Value::Array(responses.collect())),
                ]);
                answer(ack, &result).await;
            });
        }
        "volatile-burst" => {
            let Ok(n) = event.data::<u64>() else { return };
            for i in 0..n {
                let _ = socket.volatile().try_emit("volatile-msg", &i);
            }
        }
        "burst" => {
            let Ok(n) = event.data::<u64>() else { return };
            for i in 0..n {
                let _ = socket.emit("burst-msg", &i).await;
            }
        }
        "big" => {
            let Ok(n) = event.data::<usize>() else { return };
            let _ = socket.emit("big", &contract::big(n)).await;
        }
        "nested-binary" => drop(socket.emit("nested-binary", &nested_binary()).await),
        "disconnect-me" => disconnect(socket, event.data::<bool>().unwrap_or(false)),
        "kick" => {
            let Ok((rooms, close)) = event.data::<(Vec<String>, Option<bool>)>() else { return };
            let kicked = namespace.to(rooms);
            match close {
                Some(true) => kicked.disconnect_clients(),
                _ => kicked.disconnect(),
            };
        }
        "sockets-join" => {
            let Ok((rooms, room)) = event.data::<(Vec<String>, String)>() else { return };
            namespace.to(rooms).join(room);
            answer(ack, &()).await;
        }
        "sockets-leave" => {
            let Ok((rooms, room)) = event.data::<(Vec<String>, String)>() else { return };
            namespace.to(rooms).leave(room);
            answer(ack, &()).await;
        }
        "members" => {
            let Ok(room) = event.data::<String>() else { return };
            let members = namespace.to(room).sockets();
            let mut ids: Vec<_> = members.iter().map(|socket| socket.id().to_string()).collect();
            ids.sort();
            answer(ack, &ids).await;
        }
        "whoami" => answer(ack, &whoami(socket, &namespace)).await,
        "request-info" => answer(ack, &request_info(socket)).await,
        "set" => {
            let Ok((key, value)) = event.data::<(String, Json)>() else { return };
            lock(&socket.data().0).insert(key, value);
            #[cfg(feature = "admin")]
            socket.data_changed();
            answer(ack, &()).await;
        }
        "reason-of" => {
            let Ok(id) = event.data::<String>() else { return };
            let known = lock(&world.reasons).of(&id);
            answer(ack, &known).await;
        }
        _ => {}
    }
}

pub(crate) async fn answer<P: Serialize + ?Sized>(ack: Ack, payload: &P) {
    // An error means that the client is gone.
    let _ = ack.send(payload).await;
}

fn disconnect(socket: &SocketRef<Data>, client: bool) {
    if client {
        socket.disconnect_client();
    } else {
        socket.disconnect();
    }
}

fn whoami(socket: &SocketRef<Data>, namespace: &Namespace<Data>) -> Value {
    let auth = socket.auth().unwrap_or(Value::Null);
    let data = lock(&socket.data().0).clone();
    contract::whoami(socket.id(), namespace.name(), auth, socket.recovered(), data)
}

fn request_info(socket: &SocketRef<Data>) -> Json {
    let handshake = socket.handshake();
    let header = handshake.header("x-test");
    contract::request_info(handshake.query(), header, socket.transport())
}

async fn sleep<R: Runtime>(runtime: &R, millis: u64) {
    runtime.sleep_until(runtime.clock().now() + Duration::from_millis(millis)).await;
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
