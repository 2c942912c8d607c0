//! The Socket.IO server that tests of any origin drive: options by profile, and an application that obeys events. One
//! source for all runtimes.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use enginewire_driver::{
    Runtime, ServerBuilder,
    socketio::{
        Ack, AckError, ConnectError, ConnectRequest, Event, Io, Namespace, RecoveryConfig, Socket,
        SocketRef, Spread, Value,
    },
};
use serde_json::{Map, Value as Json, json};

use crate::profile::{self, UNKNOWN_PROFILE};

/// Data of a socket.
#[derive(Default)]
struct Data(Mutex<Map<String, Json>>);

/// What the sockets share.
struct World<R> {
    runtime: R,
    /// Why sockets were disconnected: the last ones.
    reasons: Mutex<VecDeque<(String, String)>>,
    is_bench: bool,
}

/// Serves what the environment asks for (`PORT`, `PROFILE`) until `stop` completes.
pub async fn run<R: Runtime>(runtime: R, stop: impl Future<Output = ()>) -> ExitCode {
    let name = std::env::var("PROFILE").unwrap_or_else(|_| "default".into());
    let Some((io, builder)) = configure(&runtime, &name) else {
        return ExitCode::from(UNKNOWN_PROFILE);
    };
    match serve(runtime, &io, builder, name == "bench", stop).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the server could not start: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A server as a profile wants it.
fn configure<R: Runtime>(runtime: &R, profile: &str) -> Option<(Io, ServerBuilder<R>)> {
    let (interval, timeout) = match profile {
        "default" => (300, 200),
        "relaxed" | "v2" | "recovery" => (1000, 2000),
        "bench" => (25_000, 20_000),
        _ => return None,
    };
    let millis = |name, default| Duration::from_millis(profile::number(name).unwrap_or(default));
    let mut io = Io::builder();
    if profile == "bench" {
        profile::allow_open_files(10_000);
    } else {
        io = io.connect_timeout(Duration::from_secs(1));
    }
    if profile == "recovery" {
        let mut recovery = RecoveryConfig::default();
        recovery.window = Duration::from_secs(2);
        io = io.recovery(recovery);
    }
    let io = io.build();
    let builder = ServerBuilder::on(runtime.clone())
        .ping_interval(millis("PING_INTERVAL", interval))
        .ping_timeout(millis("PING_TIMEOUT", timeout))
        .allow_eio3(profile == "v2")
        .shutdown_timeout(Duration::from_secs(2))
        .socketio(&io);
    Some((io, builder))
}

async fn serve<R: Runtime>(
    runtime: R,
    io: &Io,
    builder: ServerBuilder<R>,
    is_bench: bool,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let world = World { runtime: runtime.clone(), reasons: Mutex::default(), is_bench };
    let world = Arc::new(world);
    let open = |_| async { Ok(Data::default()) };
    let waits = runtime.clone();
    let dynamic = io.namespaces_by(|request| {
        let digits = request.name().strip_prefix("/dyn-").unwrap_or_default();
        let exists = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
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
    for namespace in namespaces {
        let world = Arc::clone(&world);
        runtime.spawn(async move { namespace.serve_with(world, talk).await });
    }
    let server = builder.bind(("127.0.0.1", profile::port())).await?;
    println!("{}", server.local_addr().port());
    stop.await;
    server.close().await;
    Ok(())
}

async fn authorize_secret(request: ConnectRequest) -> Result<Data, ConnectError> {
    let auth: Map<String, Json> = request.auth().unwrap_or_default();
    if auth.get("token") != Some(&json!("s3cret")) {
        let data = json!({ "code": "E_AUTH", "retry": false });
        return Err(ConnectError::new("not authorized").with_data(&data));
    }
    let user = auth.get("user").cloned().unwrap_or(Json::Null);
    Ok(Data(Mutex::new(Map::from_iter([("user".to_owned(), user)]))))
}

/// The three middlewares of `/mw`.
async fn authorize_in_steps<R: Runtime>(
    runtime: R,
    request: ConnectRequest,
) -> Result<Data, ConnectError> {
    let auth: Map<String, Json> = request.auth().unwrap_or_default();
    let block = auth.get("block").and_then(Json::as_u64);
    sleep(&runtime, 20).await;
    match block {
        Some(2) => Err("blocked by second".into()),
        Some(3) => Err(ConnectError::new("blocked by third").with_data(&json!({ "n": 3 }))),
        _ => Ok(Data(Mutex::new(Map::from_iter([("trace".to_owned(), json!([1, 2, 3]))])))),
    }
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
    let mut reasons = lock(&world.reasons);
    if reasons.len() >= KEPT {
        reasons.pop_front();
    }
    reasons.push_back((socket.id().to_string(), reason.to_owned()));
}

/// Reasons of disconnections that are kept.
const KEPT: usize = 4000;

/// Does what an event asks for. One with arguments of another shape is ignored.
async fn obey<R: Runtime>(world: &Arc<World<R>>, socket: &SocketRef<Data>, mut event: Event) {
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
            let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(n).collect();
            let _ = socket.emit("big", &Value::from(bytes::Bytes::from(bytes))).await;
        }
        "nested-binary" => drop(socket.emit("nested-binary", &nested_binary()).await),
        "disconnect-me" => disconnect(socket, event.data::<bool>().unwrap_or(false)),
        "kick" => {
            let Ok((rooms, close)) = event.data::<(Vec<String>, Option<bool>)>() else { return };
            let kicked = namespace.to(rooms);
            match close {
                Some(true) => kicked.disconnect_clients(),
                _ => kicked.disconnect(),
            }
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
            answer(ack, &()).await;
        }
        "reason-of" => {
            let Ok(id) = event.data::<String>() else { return };
            let known = {
                let reasons = lock(&world.reasons);
                let known = reasons.iter().rev().find(|(of, _)| *of == id);
                known.map(|(_, reason)| reason.clone())
            };
            answer(ack, &known).await;
        }
        _ => {}
    }
}

/// An object with these members.
fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.map(|(name, value)| (name.to_owned(), value)).into())
}

async fn answer<P: serde::Serialize + ?Sized>(ack: Ack, payload: &P) {
    // An error means that the client is gone.
    let _ = ack.send(payload).await;
}

/// A room, or a list of rooms.
fn rooms(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(room) => Some(vec![room.clone()]),
        Value::Array(rooms) => rooms.iter().map(|room| room.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

fn type_of(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "boolean".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "string".into(),
        Value::Array(_) => "array".into(),
        Value::Object(_) => "object".into(),
        Value::Binary(bytes) => {
            let sum: usize = bytes.iter().map(|&byte| usize::from(byte)).sum();
            format!("binary:{}:{}", bytes.len(), sum % 65_536)
        }
    }
}

fn nested_binary() -> (Value, (), Vec<Value>) {
    let binary = |bytes: &'static [u8]| Value::from(bytes::Bytes::from_static(bytes));
    let list = vec![binary(&[1]), Value::from("text"), binary(&[2, 3])];
    let inner = object([("b", Value::Array(list))]);
    (object([("a", inner), ("c", binary(&[4, 5, 6]))]), (), vec![binary(&[])])
}

fn disconnect(socket: &SocketRef<Data>, client: bool) {
    if client {
        socket.disconnect_client();
    } else {
        socket.disconnect();
    }
}

fn whoami(socket: &SocketRef<Data>, namespace: &Namespace<Data>) -> Value {
    let data = Json::Object(lock(&socket.data().0).clone());
    object([
        ("id", Value::from(socket.id().as_str())),
        ("nsp", Value::from(namespace.name())),
        ("auth", socket.auth().unwrap_or(Value::Null)),
        ("recovered", Value::Bool(socket.recovered())),
        ("data", Value::from(data)),
    ])
}

fn request_info(socket: &SocketRef<Data>) -> Json {
    let handshake = socket.handshake();
    let own = ["EIO", "transport", "t", "b64", "j", "sid"];
    let query: Map<String, Json> = enginewire::query::pairs(handshake.query())
        .filter(|(key, _)| !own.contains(&&**key))
        .map(|(key, value)| (key.into_owned(), Json::String(value.into_owned())))
        .collect();
    let header =
        handshake.header("x-test").map(|value| String::from_utf8_lossy(value).into_owned());
    json!({ "query": query, "header": header, "transport": socket.transport().name() })
}

async fn sleep<R: Runtime>(runtime: &R, millis: u64) {
    runtime.sleep_until(runtime.clock().now() + Duration::from_millis(millis)).await;
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
