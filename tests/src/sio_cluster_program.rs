//! A node of a cluster that tests drive: the application of the test server, and operations on the sockets of all nodes.
//! One source for all runtimes; `tests/js/cluster/reference-node.mjs` is the same on the reference.

use std::{
    collections::HashMap,
    env,
    error::Error,
    future::Future,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use enginewire::{Cors, CorsOrigin};
use enginewire_cluster::redis::{
    Emitter, Format, RedisBuilder, RedisError, RedisMonitor, StreamsConfig, SubscriptionMode,
};
use enginewire_driver::{
    Runtime, ServerBuilder,
    socketio::{
        Ack, Broadcast, Event, FetchedSockets, Io, Namespace, RecoveryConfig, RemoteSocket, Socket,
        SocketRef, Spread, Value,
    },
};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use crate::{
    profile::{self, UNKNOWN_PROFILE},
    sio_program::{Data, World, answer, obey},
};
#[cfg(feature = "admin")]
use crate::{sio_admin, sio_contract::AdminKind};

/// The sockets that an operation is about.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Selection {
    from: From,
    rooms: Vec<String>,
    except: Vec<String>,
    local: bool,
    volatile: bool,
}

/// Actor that has an operation done.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum From {
    #[default]
    Io,
    Socket,
    Emitter,
}

/// State that the sockets of a node share.
struct Node<R> {
    world: Arc<World<R>>,
    runtime: R,
    io: Io,
    emitter: Emitter,
    monitor: RedisMonitor,
    /// Server-side events that have come, by namespace.
    heard: Mutex<HashMap<String, Heard>>,
}

type Heard = Arc<Mutex<Vec<Vec<Value>>>>;

/// Serves what the environment asks for until `stop` completes: `PORT`, `PROFILE` (`classic`, `sharded-static`,
/// `sharded-dynamic`, `sharded-dynamic-private`, `streams`, `streams-recovery`), `REDIS` (the URL of the broker, or of
/// several servers of a Redis Cluster), `PREFIX` (of all channels and streams), `ADMIN` (the name of the node in an admin
/// UI, if it has one) and `ORIGIN` (of pages elsewhere).
pub async fn run<R: Runtime>(runtime: R, stop: impl Future<Output = ()>) -> ExitCode {
    let [profile, url, prefix] =
        ["PROFILE", "REDIS", "PREFIX"].map(|name| env::var(name).unwrap_or_default());
    let redis = RedisBuilder::with_runtime(runtime.clone(), &url).prefix(&*prefix);
    let redis = match &*profile {
        "classic" => redis.classic(),
        "sharded-static" => redis.sharded(SubscriptionMode::Static),
        "sharded-dynamic" => redis.sharded(SubscriptionMode::Dynamic),
        "sharded-dynamic-private" => redis.sharded(SubscriptionMode::DynamicPrivate),
        "streams" | "streams-recovery" => {
            let mut streams = StreamsConfig::default();
            streams.stream = prefix;
            redis.format(Format::Streams(streams))
        }
        _ => return ExitCode::from(UNKNOWN_PROFILE),
    };
    match serve(runtime, redis, profile == "streams-recovery", stop).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the node could not start: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve<R: Runtime>(
    runtime: R,
    redis: RedisBuilder<R>,
    recovers: bool,
    stop: impl Future<Output = ()>,
) -> Result<(), Box<dyn Error>> {
    let emitter = redis.clone().emitter().await?;
    let bus = redis.connect().await?;
    let monitor = bus.monitor();
    let mut io = Io::builder().cluster(bus);
    if recovers {
        let mut recovery = RecoveryConfig::default();
        recovery.window = Duration::from_secs(30);
        io = io.recovery(recovery);
    }
    #[cfg(feature = "admin")]
    if let Ok(name) = env::var("ADMIN") {
        // A node of Node.js whose page connects counts nodes, asks them, and ends if one has left the namespace meanwhile.
        io = io.admin(sio_admin::admin(AdminKind::Development, &name)).keep_empty_namespaces(true);
    }
    let io = io.build();
    let world = World::new(runtime.clone(), false);
    let heard = Mutex::default();
    let node = Node { world, runtime: runtime.clone(), io: io.clone(), emitter, monitor, heard };
    let node = Arc::new(node);
    let open = |_| async { Ok(Data::default()) };
    let all = io.namespaces_by(|_| async { true });
    for namespace in [io.namespace("/").authorize(open), all.authorize(open)] {
        let node = Arc::clone(&node);
        let namespace = namespace.restore_data();
        runtime.spawn(async move { namespace.serve_with(node, talk).await });
    }
    // Whose data are `null`.
    let bare = io.namespace("/null").share_data();
    runtime.spawn(async move {
        bare.serve(|mut socket| async move { while socket.recv().await.is_some() {} }).await;
    });
    let mut builder = ServerBuilder::on(runtime)
        .ping_interval(Duration::from_secs(25))
        .allow_eio3(true)
        .shutdown_timeout(Duration::from_secs(2))
        .socketio(&io);
    if let Ok(origin) = env::var("ORIGIN") {
        let mut cors = Cors::new(CorsOrigin::Exact(origin));
        cors.credentials = true;
        builder = builder.cors(cors);
    }
    let server = builder.bind(profile::address()).await?;
    println!("{}", server.local_addr().port());
    stop.await;
    server.close().await;
    Ok(())
}

/// One socket, from its connection to its end.
async fn talk<R: Runtime>(mut socket: Socket<Data>, node: Arc<Node<R>>) {
    node.hear(&socket.namespace());
    while let Some(event) = socket.recv().await {
        if let Some(event) = operate(&node, &socket, event).await {
            obey(&node.world, &socket, event).await;
        }
    }
}

/// Does what an event asks for on all nodes. Gives back an event that is none of these.
async fn operate<R: Runtime>(
    node: &Arc<Node<R>>,
    socket: &SocketRef<Data>,
    mut event: Event,
) -> Option<Event> {
    let namespace = socket.namespace();
    match event.name() {
        "emit-to" => {
            let (selection, name, args) = event.data::<(Selection, String, Vec<Value>)>().ok()?;
            let reached = match selection.emitter(node, &namespace) {
                Some(emitter) => emitter.emit(&name, &Spread(&args)).await.ok().map(|()| 0),
                None => {
                    let delivered = selection.of(socket).emit(&name, &Spread(&args)).await;
                    delivered.ok().and_then(|delivered| delivered.remote.ok())
                }
            };
            answer(event.ack(), &reached).await;
        }
        "ask-all" => {
            let (selection, millis, name, args) =
                event.data::<(Selection, u64, String, Vec<Value>)>().ok()?;
            let asked = selection.of(socket).timeout(Duration::from_millis(millis));
            let asked = asked.emit_with_ack::<Value, _>(&name, &Spread(&args));
            node.reply(event.ack(), async move {
                let Ok(all) = asked.all().await else { return failure("responses") };
                let is_whole = all.failed.is_empty()
                    && all.missing.is_none()
                    && all.remote.is_ok()
                    && all.others.iter().all(Result::is_ok);
                let own = all.responses.into_iter().map(|(_, response)| response);
                let responses = own.chain(all.others.into_iter().flatten()).collect();
                result(is_whole, "responses", responses)
            });
        }
        "fetch" => {
            let selection = event.data::<Selection>().ok()?;
            let fetching = selection.of(socket).fetch_sockets();
            node.reply(event.ack(), async move {
                let FetchedSockets { sockets, missing, remote, .. } = fetching.await;
                let sockets = sockets.iter().map(|socket| Value::from(describe(socket)));
                result(missing.is_none() && remote.is_ok(), "sockets", sockets.collect())
            });
        }
        "join-all" => {
            let (selection, rooms) = event.data::<(Selection, Vec<String>)>().ok()?;
            match selection.emitter(node, &namespace) {
                Some(emitter) => sent(emitter.join(rooms).await),
                None => drop(selection.of(socket).join(rooms)),
            }
            answer(event.ack(), &()).await;
        }
        "leave-all" => {
            let (selection, rooms) = event.data::<(Selection, Vec<String>)>().ok()?;
            match selection.emitter(node, &namespace) {
                Some(emitter) => sent(emitter.leave(rooms).await),
                None => drop(selection.of(socket).leave(rooms)),
            }
            answer(event.ack(), &()).await;
        }
        "kick-all" => {
            let (selection, close) = event.data::<(Selection, bool)>().ok()?;
            match selection.emitter(node, &namespace) {
                Some(emitter) => sent(emitter.disconnect(close).await),
                None if close => drop(selection.of(socket).disconnect_clients()),
                None => drop(selection.of(socket).disconnect()),
            }
            answer(event.ack(), &()).await;
        }
        "server-emit" => {
            let (selection, name, args) = event.data::<(Selection, String, Vec<Value>)>().ok()?;
            match selection.emitter(node, &namespace) {
                Some(emitter) => sent(emitter.server_side_emit(&name, &Spread(&args)).await),
                None => drop(namespace.server_side_emit(&name, &Spread(&args))),
            }
            answer(event.ack(), &()).await;
        }
        "server-ask" => {
            let (name, args) = event.data::<(String, Vec<Value>)>().ok()?;
            node.reply(event.ack(), async move {
                let args = Spread(&args);
                let asked = namespace.server_side_emit_with_ack::<Value, _>(&name, &args);
                let Ok(all) = asked.await else { return failure("answers") };
                let is_whole = all.failed.is_empty() && all.missing.is_none();
                let answers = all.answers.into_iter().map(|(_, answer)| answer).collect();
                result(is_whole, "answers", answers)
            });
        }
        "heard" => {
            let heard = node.heard_in(namespace.name());
            let events = lock(&heard).iter().cloned().map(Value::Array).collect::<Vec<_>>();
            answer(event.ack(), &events).await;
        }
        "nodes" => answer(event.ack(), &node.io.stats().nodes).await,
        "dropped" => answer(event.ack(), &node.monitor.stats().dropped).await,
        _ => return Some(event),
    }
    None
}

impl Selection {
    /// The emitter of the selected sockets, if an emitter is to act.
    fn emitter<R>(&self, node: &Node<R>, namespace: &Namespace<Data>) -> Option<Emitter> {
        let all = node.emitter.of(namespace.name());
        let selected = all.to(&self.rooms).except(&self.except);
        let selected = if self.volatile { selected.volatile() } else { selected };
        (self.from == From::Emitter).then_some(selected)
    }

    fn of(&self, socket: &SocketRef<Data>) -> Broadcast {
        let all = match self.from {
            From::Socket => socket.broadcast(),
            _ => socket.namespace().broadcast(),
        };
        let selected = all.to(&self.rooms).except(&self.except);
        let selected = if self.local { selected.local() } else { selected };
        if self.volatile { selected.volatile() } else { selected }
    }
}

impl<R: Runtime> Node<R> {
    /// Acknowledges an event with what comes later. The socket goes on meanwhile.
    fn reply(&self, ack: Ack, later: impl Future<Output = Value> + Send + 'static) {
        self.runtime.spawn(async move { answer(ack, &later.await).await });
    }

    fn heard_in(&self, namespace: &str) -> Heard {
        Arc::clone(lock(&self.heard).entry(namespace.to_owned()).or_default())
    }

    /// Notes the server-side events of a namespace, and acknowledges those that are called `word`.
    fn hear(&self, namespace: &Namespace<Data>) {
        let is_known = lock(&self.heard).contains_key(namespace.name());
        if is_known {
            return;
        }
        let heard = self.heard_in(namespace.name());
        let mut events = namespace.server_events();
        self.runtime.spawn(async move {
            while let Some(mut event) = events.recv().await {
                let Ok(all) = event.args().to_values() else { continue };
                lock(&heard).push(all.clone());
                if event.name() == "word" {
                    let _ = event.ack().send(&all[1..]);
                }
            }
        });
    }
}

/// A socket of any node as it is told to clients: the members of the handshake by name.
fn describe(socket: &RemoteSocket) -> Json {
    let handshake = socket.handshake().decode::<Map<String, Json>>().unwrap_or_default();
    json!({
        "id": &**socket.id(),
        "rooms": socket.rooms().iter().map(|room| &**room).collect::<Vec<_>>(),
        "data": socket.data::<Json>().unwrap_or_default(),
        "query": handshake.get("query"),
        "auth": handshake.get("auth"),
        "members": handshake.keys().collect::<Vec<_>>(),
    })
}

fn result(is_whole: bool, name: &str, values: Vec<Value>) -> Value {
    let members = [("err", Value::Bool(!is_whole)), (name, Value::Array(values))];
    Value::Object(members.map(|(name, value)| (name.to_owned(), value)).into())
}

/// An emitter tells what Redis has not got.
fn sent(result: Result<(), RedisError>) {
    if let Err(error) = result {
        eprintln!("not emitted: {error}");
    }
}

fn failure(name: &str) -> Value {
    result(false, name, Vec::new())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
