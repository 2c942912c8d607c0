//! The servers under test, one file each. Each echoes, each has one worker thread, `TCP_NODELAY`
//! set, and is otherwise written and configured as its own documentation shows.

mod engineioxide;
mod enginewire;
mod epoll;
mod fastwebsockets;
mod faulty;
mod hub;
mod hyper;
mod socketio;
mod socketio_hub;
mod socketioxide;
mod tokio_rustls;
mod tokio_tcp;
mod tokio_tungstenite;

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::mpsc::Sender;

use ::axum::serve::ListenerExt;
use ::tokio::net::{TcpListener, TcpStream};

use crate::Result;

/// A server under test.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) speaks: Speaks,
    /// Runs the server as an echo; returns only if it fails.
    pub(crate) serve: Serve,
    /// The same, but each message goes to all sessions. Events of Socket.IO say so themselves.
    pub(crate) broadcast: Option<Serve>,
    /// Answers to messages of one connection come in any order.
    pub(crate) disorders: bool,
}

impl Peer {
    /// Returns why the server cannot run on this system, if so.
    pub(crate) fn obstacle(&self) -> Option<String> {
        #[cfg(target_os = "linux")]
        if self.name == "uring" {
            let error = io_uring::IoUring::new(2).err()?;
            return Some(format!("io_uring is refused: {error}"));
        }
        None
    }
}

pub(crate) type Serve = fn(Ready) -> Result<()>;

/// Which loads a server can take, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    EngineIo,
    /// Socket.IO on top: `echo` and `echo_bin` come back, `ack` is acknowledged, `broadcast` goes to all.
    SocketIo,
    /// WebSocket without Engine.IO: no open packet, and an upgrade is nothing that it knows.
    WebSocket,
    /// Every byte comes back as it went.
    Bytes,
    /// Engine.IO with TLS.
    TlsEngineIo,
    /// Every byte comes back as it went, with TLS.
    TlsBytes,
    /// The polling exchanges of Engine.IO with fixed answers of the right length.
    FixedPolling,
}

impl Speaks {
    /// Whether there are sessions of Engine.IO, which begin with an open packet.
    pub(crate) fn has_sessions(self) -> bool {
        matches!(self, Self::EngineIo | Self::SocketIo)
    }
}

/// Where a server says at which address it listens.
pub(crate) type Ready = Sender<SocketAddr>;

pub(crate) const ALL: &[Peer] = &[
    Peer {
        name: "engineioxide",
        what: "engineioxide 0.17 on hyper and tokio: the measure of all others",
        speaks: Speaks::EngineIo,
        serve: |ready| on_tokio(engineioxide::serve(ready)),
        broadcast: Some(|ready| on_tokio(engineioxide::broadcast(ready))),
        disorders: false,
    },
    Peer {
        name: "enginewire",
        what: "ours, on tokio",
        speaks: Speaks::EngineIo,
        serve: enginewire::tokio,
        broadcast: Some(enginewire::tokio_broadcast),
        disorders: false,
    },
    Peer {
        name: "enginewire-handler",
        what: "ours, on tokio, with a handler that the tasks of connections poll",
        speaks: Speaks::EngineIo,
        serve: enginewire::tokio_handler,
        broadcast: Some(enginewire::tokio_handler_broadcast),
        disorders: false,
    },
    Peer {
        name: "engineioxide-axum",
        what: "engineioxide 0.17 as a layer of axum",
        speaks: Speaks::EngineIo,
        serve: |ready| on_tokio(engineioxide::behind_axum(ready)),
        broadcast: None,
        disorders: false,
    },
    Peer {
        name: "enginewire-axum",
        what: "ours, as a layer of axum",
        speaks: Speaks::EngineIo,
        serve: |ready| on_tokio(enginewire::behind_axum(ready)),
        broadcast: None,
        disorders: false,
    },
    Peer {
        name: "enginewire-smol",
        what: "ours, on smol",
        speaks: Speaks::EngineIo,
        serve: enginewire::smol,
        broadcast: None,
        disorders: false,
    },
    Peer {
        name: "enginewire-async-std",
        what: "ours, on async-std",
        speaks: Speaks::EngineIo,
        serve: enginewire::async_std,
        broadcast: None,
        disorders: false,
    },
    Peer {
        name: "hub",
        what: "ours, as one value in an event loop on epoll",
        speaks: Speaks::EngineIo,
        serve: hub::epoll,
        broadcast: Some(hub::epoll_broadcast),
        disorders: false,
    },
    #[cfg(target_os = "linux")]
    Peer {
        name: "uring",
        what: "ours, the same in an event loop on io_uring",
        speaks: Speaks::EngineIo,
        serve: hub::io_uring,
        broadcast: Some(hub::io_uring_broadcast),
        disorders: false,
    },
    Peer {
        name: "tokio-tungstenite",
        what: "a WebSocket echo without Engine.IO",
        speaks: Speaks::WebSocket,
        serve: |ready| on_tokio(tokio_tungstenite::serve(ready)),
        broadcast: None,
        disorders: false,
    },
    Peer {
        name: "fastwebsockets",
        what: "the same, on fastwebsockets and hyper",
        speaks: Speaks::WebSocket,
        serve: |ready| on_tokio(fastwebsockets::serve(ready)),
        broadcast: None,
        disorders: false,
    },
    Peer {
        name: "tokio-tcp",
        what: "what tokio costs: an echo of bytes, one task a connection",
        speaks: Speaks::Bytes,
        serve: |ready| on_tokio(tokio_tcp::serve(ready)),
        broadcast: None,
        disorders: false,
    },
    Peer {
        name: "hyper",
        what: "what hyper costs: fixed answers to GET and POST",
        speaks: Speaks::FixedPolling,
        serve: |ready| on_tokio(hyper::serve(ready)),
        broadcast: None,
        disorders: false,
    },
    Peer {
        name: "epoll",
        what: "what the kernel costs: one thread, no runtime, no checks, just enough of the protocol",
        speaks: Speaks::EngineIo,
        serve: epoll::serve,
        broadcast: Some(epoll::broadcast),
        disorders: false,
    },
    Peer {
        name: "socketioxide",
        what: "socketioxide 0.18 on axum and tokio: the measure of all that speak Socket.IO",
        speaks: Speaks::SocketIo,
        serve: |ready| on_tokio(socketioxide::serve(ready)),
        broadcast: None,
        disorders: true,
    },
    Peer {
        name: "enginewire-sio",
        what: "ours, on tokio, a task for the events of each socket",
        speaks: Speaks::SocketIo,
        serve: |ready| on_tokio(socketio::stream(ready)),
        broadcast: None,
        disorders: false,
    },
    #[cfg(feature = "admin")]
    Peer {
        name: "enginewire-sio-admin",
        what: "the same with an admin UI of which no page is there",
        speaks: Speaks::SocketIo,
        serve: |ready| on_tokio(socketio::with_admin(ready)),
        broadcast: None,
        disorders: false,
    },
    Peer {
        name: "enginewire-routes",
        what: "ours, on tokio, with a table of handlers",
        speaks: Speaks::SocketIo,
        serve: |ready| on_tokio(socketio::handlers(ready)),
        broadcast: None,
        disorders: false,
    },
    Peer {
        name: "enginewire-sio-axum",
        what: "ours, as a layer of axum, a task for the events of each socket",
        speaks: Speaks::SocketIo,
        serve: |ready| on_tokio(socketio::behind_axum(ready)),
        broadcast: None,
        disorders: false,
    },
    Peer {
        name: "hub-sio",
        what: "ours, as one value in an event loop on epoll",
        speaks: Speaks::SocketIo,
        serve: socketio_hub::serve,
        broadcast: None,
        disorders: false,
    },
    Peer {
        name: "tokio-rustls",
        what: "what TLS costs: an echo of bytes, one task a connection",
        speaks: Speaks::TlsBytes,
        serve: |ready| on_tokio(tokio_rustls::serve(ready)),
        broadcast: None,
        disorders: false,
    },
    Peer {
        name: "enginewire-tls",
        what: "ours, on tokio, with TLS and a handler",
        speaks: Speaks::TlsEngineIo,
        serve: enginewire::tokio_tls,
        broadcast: None,
        disorders: false,
    },
];

/// Servers that are wrong, to see that the load generator notices.
const FAULTY: &[Peer] = &[
    Peer {
        name: "corrupts",
        what: "changes one byte",
        speaks: Speaks::Bytes,
        serve: |ready| on_tokio(faulty::corrupts(ready)),
        broadcast: None,
        disorders: false,
    },
    Peer {
        name: "loses",
        what: "loses one byte",
        speaks: Speaks::Bytes,
        serve: |ready| on_tokio(faulty::loses(ready)),
        broadcast: None,
        disorders: false,
    },
    Peer {
        name: "misnames",
        what: "sends another event",
        speaks: Speaks::SocketIo,
        serve: |ready| on_tokio(socketio::misnames(ready)),
        broadcast: None,
        disorders: false,
    },
    Peer {
        name: "refuses",
        what: "refuses the namespace",
        speaks: Speaks::SocketIo,
        serve: |ready| on_tokio(socketio::refuses(ready)),
        broadcast: None,
        disorders: false,
    },
];

/// Finds a server. With [`OTHER`] behind its name it is that of another build.
pub(crate) fn named(name: &str) -> Result<&'static Peer> {
    let own = name.strip_suffix(OTHER).unwrap_or(name);
    let found = ALL.iter().chain(FAULTY).find(|peer| peer.name == own);
    let found = found.ok_or_else(|| format!("there is no server {own}"))?;
    if own == name {
        return Ok(found);
    }
    // As long as the process, as the others.
    let name = String::leak(name.to_owned());
    Ok(Box::leak(Box::new(Peer { name, ..*found })))
}

/// Mark of a server of another build of this benchmark.
pub(crate) const OTHER: &str = "@other";

/// Where every server listens: a port that the system picks.
const LOOPBACK: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

/// Runs `server` on a tokio runtime with one worker. It is spawned and not blocked on, because that
/// would run the accept loop on a second thread.
fn on_tokio(server: impl Future<Output = io::Result<()>> + Send + 'static) -> Result<()> {
    let runtime =
        ::tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    Ok(runtime.block_on(runtime.spawn(server))??)
}

/// Serves an application of axum. As with all others, `TCP_NODELAY` is set.
async fn serve_axum(ready: Ready, application: ::axum::Router) -> io::Result<()> {
    let listener = TcpListener::bind(LOOPBACK).await?;
    ready.send(listener.local_addr()?).map_err(io::Error::other)?;
    let listener = listener.tap_io(|stream| {
        // A connection without it is slower, which is no more than a pity.
        let _ = stream.set_nodelay(true);
    });
    ::axum::serve(listener, application).await
}

/// Listens, says so, and spawns a task for each connection.
async fn accept<F>(ready: Ready, connection: impl Fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output: Send> + Send + 'static,
{
    let listener = TcpListener::bind(LOOPBACK).await?;
    ready.send(listener.local_addr()?).map_err(io::Error::other)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        ::tokio::spawn(connection(stream));
    }
}
