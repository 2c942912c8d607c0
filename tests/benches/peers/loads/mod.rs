//! What the servers are put under, one file each, and the client that they share.

mod broadcast;
mod client;
mod drive;
mod echo;
mod handshake;
mod idle;
pub(crate) mod polling;

pub(crate) use self::drive::Drive;

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
    takes: &'static [Speaks],
    measure: fn(&mut Server, Scale) -> Result<Figure>,
}

/// What was measured, in the unit of its load.
#[derive(Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) whole: f64,
    /// The part of a CPU time that was not spent in the kernel; none of a count.
    pub(crate) user: Option<f64>,
}

pub(crate) const ALL: &[Load] = &[
    Load {
        name: "echo64x1",
        what: "64-byte texts over 32 WebSockets, 1 in flight on each",
        unit: "us of CPU per message",
        counts_heap: false,
        broadcasts: false,
        beside: None,
        takes: &[Speaks::EngineIo, Speaks::WebSocket, Speaks::Bytes],
        measure: |server, scale| {
            echo::run(server, scale, echo::Shape { in_flight: 1, messages: 50_000, ..SMALL })
        },
    },
    Load {
        name: "echo64x16",
        what: "64-byte texts over 32 WebSockets, 16 in flight on each",
        unit: "us of CPU per message",
        counts_heap: false,
        broadcasts: false,
        beside: None,
        takes: &[Speaks::EngineIo, Speaks::WebSocket, Speaks::Bytes],
        measure: |server, scale| {
            echo::run(server, scale, echo::Shape { in_flight: 16, messages: 200_000, ..SMALL })
        },
    },
    Load {
        name: "echo4kx4",
        what: "texts of 4 KiB over 32 WebSockets, 4 in flight on each",
        unit: "us of CPU per message",
        counts_heap: false,
        broadcasts: false,
        beside: None,
        takes: &[Speaks::EngineIo, Speaks::WebSocket, Speaks::Bytes],
        measure: |server, scale| {
            echo::run(
                server,
                scale,
                echo::Shape { size: 4096, in_flight: 4, messages: 50_000, ..SMALL },
            )
        },
    },
    Load {
        name: "binary64k",
        what: "binary messages of 64 KiB over 32 WebSockets, 1 in flight on each",
        unit: "us of CPU per message",
        counts_heap: false,
        broadcasts: false,
        beside: None,
        takes: &[Speaks::EngineIo, Speaks::WebSocket, Speaks::Bytes],
        measure: |server, scale| {
            let shape =
                echo::Shape { size: 65_536, binary: true, in_flight: 1, messages: 10_000, ..SMALL };
            echo::run(server, scale, shape)
        },
    },
    Load {
        name: "crowd",
        what: "64-byte texts over 8000 WebSockets, 1 in flight on each",
        unit: "us of CPU per message",
        counts_heap: false,
        broadcasts: false,
        beside: Some("echo64x1"),
        takes: &[Speaks::EngineIo, Speaks::WebSocket, Speaks::Bytes],
        measure: |server, scale| {
            let connections = scale.of(8_000);
            let messages = 80_000;
            echo::run(server, scale, echo::Shape { connections, in_flight: 1, messages, ..SMALL })
        },
    },
    Load {
        name: "polling",
        what: "POST and the waiting GET that brings the echo, 32 sessions of two connections",
        unit: "us of CPU per round trip",
        counts_heap: false,
        broadcasts: false,
        beside: None,
        takes: &[Speaks::EngineIo, Speaks::FixedPolling],
        measure: polling::texts,
    },
    Load {
        name: "polling16k",
        what: "as polling, with 16 binary packets of 1 KiB in each POST",
        unit: "us of CPU per round trip",
        counts_heap: false,
        broadcasts: false,
        beside: None,
        takes: &[Speaks::EngineIo],
        measure: polling::binaries,
    },
    Load {
        name: "broadcast",
        what: "64-byte texts, each to all of 1000 WebSockets",
        unit: "us of CPU per recipient",
        counts_heap: false,
        broadcasts: true,
        beside: None,
        takes: &[Speaks::EngineIo],
        measure: broadcast::run,
    },
    Load {
        name: "handshake",
        what: "connect, WebSocket handshake, open packet, close; 16 at a time",
        unit: "us of CPU per session",
        counts_heap: false,
        broadcasts: false,
        beside: None,
        takes: &[Speaks::EngineIo, Speaks::WebSocket],
        measure: handshake::web_socket,
    },
    Load {
        name: "upgrade",
        what: "GET, WebSocket handshake, probe, upgrade, one echo, close; 16 at a time",
        unit: "us of CPU per session",
        counts_heap: false,
        broadcasts: false,
        beside: None,
        takes: &[Speaks::EngineIo],
        measure: handshake::upgrade,
    },
    Load {
        name: "idle",
        what: "2000 open WebSockets in silence",
        unit: "bytes of heap per session",
        counts_heap: true,
        broadcasts: false,
        beside: None,
        takes: &[Speaks::EngineIo, Speaks::WebSocket],
        measure: idle::run,
    },
];

const SMALL: echo::Shape =
    echo::Shape { connections: 32, size: 64, binary: false, in_flight: 1, messages: 0 };

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
