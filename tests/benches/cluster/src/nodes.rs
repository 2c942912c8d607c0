//! The nodes: of Enginewire, and of socketioxide. Those of npm are in `npm.mjs`.
//!
//! All do the same. At the event `join` a socket joins a room, and is told `joined`. At `say`, with a room, a number and a
//! count, so many texts go to all members of the room, as events `said`, numbered from there on.

use std::{fmt, io::stdin, process::exit, str::FromStr, thread, time::Duration};

use axum::{Router, serve::ListenerExt as _};
use enginewire_tokio::{
    ServerBuilder,
    redis::{Redis, SubscriptionMode},
    socketio::{Data, Io, Routes, SocketRef},
};
use socketioxide::{SocketIo, adapter::Adapter, extract};
use socketioxide_redis::{RedisAdapter, RedisAdapterCtr, drivers::redis::redis_client};
use tokio::net::TcpListener;

use crate::Result;

/// A kind of node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Enginewire,
    EnginewireSharded,
    EnginewireStreams,
    Socketioxide,
    Npm,
    NpmSharded,
    NpmStreams,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Enginewire,
        Self::Socketioxide,
        Self::Npm,
        Self::EnginewireSharded,
        Self::NpmSharded,
        Self::EnginewireStreams,
        Self::NpmStreams,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Enginewire => "enginewire",
            Self::EnginewireSharded => "enginewire-sharded",
            Self::EnginewireStreams => "enginewire-streams",
            Self::Socketioxide => "socketioxide",
            Self::Npm => "npm",
            Self::NpmSharded => "npm-sharded",
            Self::NpmStreams => "npm-streams",
        }
    }

    /// Returns the kind of Enginewire that this one is compared with: messages between nodes take the same way.
    pub(crate) fn ours(self) -> Self {
        match self {
            Self::Enginewire | Self::Socketioxide | Self::Npm => Self::Enginewire,
            Self::EnginewireSharded | Self::NpmSharded => Self::EnginewireSharded,
            Self::EnginewireStreams | Self::NpmStreams => Self::EnginewireStreams,
        }
    }

    /// Whether its nodes run on Node.js.
    pub(crate) fn is_npm(self) -> bool {
        matches!(self, Self::Npm | Self::NpmSharded | Self::NpmStreams)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| format!("there is no kind {name}"))
    }
}

/// Serves until the input ends, which it also does when the parent dies.
pub(crate) async fn serve(kind: Kind, redis: &str) -> Result<()> {
    thread::spawn(|| {
        let _ = stdin().lines().count();
        exit(0);
    });
    let builder = Redis::builder(redis);
    match kind {
        Kind::Enginewire => enginewire(builder.classic().connect().await?).await,
        Kind::EnginewireSharded => {
            enginewire(builder.sharded(SubscriptionMode::Dynamic).connect().await?).await
        }
        Kind::EnginewireStreams => enginewire(builder.streams().connect().await?).await,
        Kind::Socketioxide => socketioxide(redis).await,
        Kind::Npm | Kind::NpmSharded | Kind::NpmStreams => Err("a node of npm is no Rust".into()),
    }
}

async fn enginewire(redis: Redis) -> Result<()> {
    let io = Io::builder().cluster(redis).build();
    let serving = io.mount("/", Routes::new().on("join", join).on("say", say));
    let server =
        ServerBuilder::new().ping_interval(NO_PING).socketio(&io).bind("127.0.0.1:0").await?;
    println!("{}", server.local_addr().port());
    serving.await;
    Ok(())
}

async fn join(socket: SocketRef, Data(room): Data<String>) -> Result<()> {
    socket.join(room);
    Ok(socket.emit("joined", &()).await?)
}

async fn say(
    socket: SocketRef,
    Data((room, first, count)): Data<(String, u64, u64)>,
) -> Result<()> {
    for number in first..first + count {
        socket.within(room.as_str()).emit("said", &text(number)).await?.remote?;
    }
    Ok(())
}

async fn socketioxide(redis: &str) -> Result<()> {
    let client = redis_client::Client::open(format!("{redis}?protocol=resp3"))?;
    let adapter = RedisAdapterCtr::new_with_redis(&client).await?;
    let builder = SocketIo::builder().ping_interval(NO_PING);
    let (layer, io) = builder.with_adapter::<RedisAdapter<_>>(adapter).build_layer();
    io.ns("/", connected).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    let listener = listener.tap_io(|stream| {
        // A connection without it is slower, which the load would wait for.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, Router::new().layer(layer)).await?;
    Ok(())
}

// An event that is lost here is missed by the load.
async fn connected<A: Adapter>(socket: extract::SocketRef<A>) {
    let join = async |socket: extract::SocketRef<A>, extract::Data::<String>(room)| {
        socket.join(room);
        socket.emit("joined", &()).ok();
    };
    let say = async |socket: extract::SocketRef<A>,
                     extract::Data::<(String, u64, u64)>((room, first, count))| {
        for number in first..first + count {
            socket.within(room.clone()).emit("said", &text(number)).await.ok();
        }
    };
    socket.on("join", join);
    socket.on("say", say);
}

/// Returns the text of a number, of 64 bytes.
pub(crate) fn text(number: u64) -> String {
    format!("{number:064}")
}

/// Interval of heartbeats, which a run does not reach: clients that wait for their turn respond to none.
const NO_PING: Duration = Duration::from_secs(3600);
