//! What the servers are put under, one file each, and the client that they share.

mod broadcast;
mod client;
mod disorder;
mod drive;
mod echo;
mod events;
mod handshake;
mod idle;
pub(crate) mod polling;
mod tls;

pub(crate) use self::drive::Drive;
use self::events::Message;

use crate::Result;
use crate::args::Scale;
use crate::process::Server;
use crate::servers::{Peer, Speaks};

/// One load and its figure: what a server spends on one message, round trip, handshake or session.
pub(crate) struct Load {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) counts_heap: bool,
    /// The server sends each message to all sessions instead of back.
    pub(crate) broadcasts: bool,
    /// A load with fewer connections, by name: the table has the ratio to it.
    pub(crate) beside: Option<&'static str>,
    /// The server that the ratios are to.
    pub(crate) peer: &'static str,
    takes: &'static [Speaks],
    measure: fn(&mut Server, Scale) -> Result<Figure>,
}

/// What was measured, in the unit of its load.
#[derive(Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) whole: f64,
    /// The part of a CPU time that was not spent in the kernel; none of a count.
    pub(crate) user: Option<f64>,
    /// The share of answers that came before one to an earlier message of the same connection.
    pub(crate) early: f64,
}

pub(crate) const ALL: &[Load] = &[
    Load {
        name: "echo64x1",
        what: "64-byte texts over 32 WebSockets, 1 in flight on each",
        unit: "us of CPU per message",
        takes: &[Speaks::EngineIo, Speaks::WebSocket, Speaks::Bytes],
        measure: |server, scale| echo::run(server, scale, SMALL),
        ..ENGINE_IO
    },
    Load {
        name: "echo64x16",
        what: "64-byte texts over 32 WebSockets, 16 in flight on each",
        unit: "us of CPU per message",
        takes: &[Speaks::EngineIo, Speaks::WebSocket, Speaks::Bytes],
        measure: |server, scale| {
            echo::run(server, scale, echo::Shape { in_flight: 16, messages: 200_000, ..SMALL })
        },
        ..ENGINE_IO
    },
    Load {
        name: "echo4kx4",
        what: "texts of 4 KiB over 32 WebSockets, 4 in flight on each",
        unit: "us of CPU per message",
        takes: &[Speaks::EngineIo, Speaks::WebSocket, Speaks::Bytes],
        measure: |server, scale| {
            echo::run(
                server,
                scale,
                echo::Shape { size: 4096, in_flight: 4, messages: 50_000, ..SMALL },
            )
        },
        ..ENGINE_IO
    },
    Load {
        name: "binary64k",
        what: "binary messages of 64 KiB over 32 WebSockets, 1 in flight on each",
        unit: "us of CPU per message",
        takes: &[Speaks::EngineIo, Speaks::WebSocket, Speaks::Bytes],
        measure: |server, scale| {
            let shape =
                echo::Shape { message: Message::Binary, size: 65_536, messages: 10_000, ..SMALL };
            echo::run(server, scale, shape)
        },
        ..ENGINE_IO
    },
    Load {
        name: "crowd",
        what: "64-byte texts over 8000 WebSockets, 1 in flight on each",
        unit: "us of CPU per message",
        beside: Some("echo64x1"),
        takes: &[Speaks::EngineIo, Speaks::WebSocket, Speaks::Bytes],
        measure: |server, scale| {
            let connections = scale.of(8_000);
            let messages = 80_000;
            echo::run(server, scale, echo::Shape { connections, in_flight: 1, messages, ..SMALL })
        },
        ..ENGINE_IO
    },
    Load {
        name: "polling",
        what: "POST and the waiting GET that brings the echo, 32 sessions of two connections",
        unit: "us of CPU per round trip",
        takes: &[Speaks::EngineIo, Speaks::FixedPolling],
        measure: polling::texts,
        ..ENGINE_IO
    },
    Load {
        name: "polling16k",
        what: "as polling, with 16 binary packets of 1 KiB in each POST",
        unit: "us of CPU per round trip",
        measure: polling::binaries,
        ..ENGINE_IO
    },
    Load {
        name: "broadcast",
        what: "64-byte texts, each to all of 1000 WebSockets",
        unit: "us of CPU per recipient",
        broadcasts: true,
        measure: |server, scale| broadcast::run(server, scale, SMALL),
        ..ENGINE_IO
    },
    Load {
        name: "handshake",
        what: "connect, WebSocket handshake, open packet, close; 16 at a time",
        unit: "us of CPU per session",
        takes: &[Speaks::EngineIo, Speaks::WebSocket],
        measure: handshake::web_socket,
        ..ENGINE_IO
    },
    Load {
        name: "upgrade",
        what: "GET, WebSocket handshake, probe, upgrade, one echo, close; 16 at a time",
        unit: "us of CPU per session",
        measure: handshake::upgrade,
        ..ENGINE_IO
    },
    Load {
        name: "idle",
        what: "2000 open WebSockets in silence",
        unit: "bytes of heap per session",
        counts_heap: true,
        takes: &[Speaks::EngineIo, Speaks::WebSocket],
        measure: idle::run,
        ..ENGINE_IO
    },
    Load {
        name: "sio-echo64x1",
        what: "events with 64-byte texts over 32 WebSockets, 1 in flight on each",
        unit: "us of CPU per event",
        measure: |server, scale| echo::run(server, scale, EVENT),
        ..SOCKET_IO
    },
    Load {
        name: "sio-echo64x16",
        what: "events with 64-byte texts over 32 WebSockets, 16 in flight on each",
        unit: "us of CPU per event",
        measure: |server, scale| {
            echo::run(server, scale, echo::Shape { in_flight: 16, messages: 200_000, ..EVENT })
        },
        ..SOCKET_IO
    },
    Load {
        name: "sio-binary1k",
        what: "events with 1 KiB of binary data over 32 WebSockets, 1 in flight on each",
        unit: "us of CPU per event",
        measure: |server, scale| {
            let message = Message::BinaryEvent("echo_bin");
            echo::run(server, scale, echo::Shape { message, size: 1024, ..EVENT })
        },
        ..SOCKET_IO
    },
    Load {
        name: "sio-ack64x1",
        what: "events with 64-byte texts that are acknowledged with them, 32 WebSockets, 1 in flight on each",
        unit: "us of CPU per event",
        measure: |server, scale| {
            echo::run(server, scale, echo::Shape { message: Message::Ack("ack"), ..EVENT })
        },
        ..SOCKET_IO
    },
    Load {
        name: "sio-polling",
        what: "as polling, with events of 64-byte texts",
        unit: "us of CPU per round trip",
        measure: polling::events,
        ..SOCKET_IO
    },
    Load {
        name: "sio-broadcast",
        what: "events with 64-byte texts, each to all of 1000 WebSockets",
        unit: "us of CPU per recipient",
        measure: |server, scale| {
            let message = Message::Event("broadcast");
            broadcast::run(server, scale, echo::Shape { message, ..EVENT })
        },
        ..SOCKET_IO
    },
    Load {
        name: "sio-handshake",
        what: "connect, WebSocket handshake, open packet, namespace, close; 16 at a time",
        unit: "us of CPU per session",
        measure: handshake::web_socket,
        ..SOCKET_IO
    },
    Load {
        name: "sio-idle",
        what: "2000 open WebSockets in silence, each connected to a namespace",
        unit: "bytes of heap per session",
        counts_heap: true,
        measure: idle::run,
        ..SOCKET_IO
    },
    Load {
        name: "tls-echo64",
        what: "64-byte binary messages over 16 WebSockets with TLS, 1 in flight on each",
        measure: |server, scale| tls::echo(server, scale, 64, 50_000),
        ..TLS
    },
    Load {
        name: "tls-echo4k",
        what: "binary messages of 4 KiB over 16 WebSockets with TLS, 1 in flight on each",
        measure: |server, scale| tls::echo(server, scale, 4096, 30_000),
        ..TLS
    },
    Load {
        name: "tls-echo64k",
        what: "binary messages of 64 KiB over 16 WebSockets with TLS, 1 in flight on each",
        measure: |server, scale| tls::echo(server, scale, 64 * 1024, 8_000),
        ..TLS
    },
    Load {
        name: "tls-idle",
        what: "2000 open WebSockets with TLS in silence",
        unit: "bytes of heap per session",
        counts_heap: true,
        measure: tls::silence,
        ..TLS
    },
];

/// Settings of most loads of Engine.IO.
const ENGINE_IO: Load = Load {
    name: "",
    what: "",
    unit: "us of CPU per message",
    counts_heap: false,
    broadcasts: false,
    beside: None,
    peer: "engineioxide",
    takes: &[Speaks::EngineIo],
    measure: |server, scale| echo::run(server, scale, SMALL),
};

/// Settings of loads with TLS.
const TLS: Load =
    Load { peer: "tokio-rustls", takes: &[Speaks::TlsEngineIo, Speaks::TlsBytes], ..ENGINE_IO };

/// Settings of most loads of Socket.IO.
const SOCKET_IO: Load = Load { peer: "socketioxide", takes: &[Speaks::SocketIo], ..ENGINE_IO };

const SMALL: echo::Shape = echo::Shape {
    connections: 32,
    message: Message::Text,
    size: 64,
    in_flight: 1,
    messages: 50_000,
};

/// Events of Socket.IO.
const EVENT: echo::Shape = echo::Shape { message: Message::Event("echo"), ..SMALL };

pub(crate) fn named(name: &str) -> Result<&'static Load> {
    let found = ALL.iter().find(|load| load.name == name);
    Ok(found.ok_or_else(|| format!("there is no load {name}"))?)
}

impl Load {
    pub(crate) fn suits(&self, peer: &Peer) -> bool {
        self.takes.contains(&peer.speaks) && (!self.broadcasts || peer.broadcast.is_some())
    }

    pub(crate) fn run(&self, server: &mut Server, scale: Scale) -> Result<Figure> {
        (self.measure)(server, scale)
    }
}

/// Returns what one of `count` units of `work` costs the server, after a tenth of them as warm-up.
fn cost_of(
    server: &mut Server,
    count: usize,
    mut work: impl FnMut(usize) -> Result<()>,
) -> Result<Figure> {
    work(count.div_ceil(10))?;
    server.cost_of(count, || work(count))
}
