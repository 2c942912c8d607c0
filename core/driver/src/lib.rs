//! The part of Enginewire's drivers that does not depend on the runtime.
//!
//! Applications use a crate made for their runtime, `enginewire-tokio` for example, which is an
//! implementation of [`Runtime`] and names for the types of this crate. What they all share is here:
//! the tasks that read and write sockets, the directory of sessions, deadlines, and the handles
//! [`Server`], [`Client`], [`Socket`] and [`Sender`].
//!
//! # How it works
//!
//! A server has one task per TCP connection and none per session; a [handler](ServerBuilder::handler) runs in the
//! task of the WebSocket that has opened its session. A connection's task reads into a buffer that belongs to the
//! thread. [`enginewire::carrier`] makes requests or messages of it. The task locks the session to hand them over,
//! and writes what the session has for it. Some of that is for *another* connection, such as the response to a poll
//! that waits. It is left in the session's cell, and the task of that connection is woken. One timer per shard
//! wakes whoever has a deadline.
//!
//! A client has one task per session, which drives all of its connections.
//!
//! # Features
//!
//! `admin`: the module `socketio::admin`, the server side of the admin UI of Socket.IO.
//! `metrics`: the module `metrics`, which gives the counts of servers to the `metrics` crate.
//! `tracing`: a span per connection and events, of the `tracing` crate, without session ids. `testing`: the module
//! `testing`, with servers and clients that are connected by memory. `tower`: the module `tower`, with servers as
//! services beside the application of another HTTP server. `deflate`: compression, which stays off until
//! `PerMessageDeflate` or `HttpCompression` is set. `tls`: the module `tls`, TLS by rustls with ring.
//! `tls-no-provider`: the same without ring.

// Badges of features. docs.rs builds with a nightly compiler.
#![cfg_attr(docsrs, feature(doc_cfg))]
// For links from docs that are built without these. docs.rs itself links to the exact version.
#![doc(html_root_url = "https://docs.rs/enginewire-driver/latest")]

mod backlog;
mod cell;
mod client;
mod client_cell;
mod clock;
mod connect_error;
mod connection;
mod directory;
mod handler;
mod handshake;
mod host;
mod lifecycle;
mod lingering;
mod listen;
#[cfg(feature = "metrics")]
pub mod metrics;
mod nodes;
mod peer;
mod presence;
mod proxied;
mod reader;
mod runtime;
mod scratch;
mod server;
mod server_builder;
mod shards;
mod shared;
#[cfg(test)]
mod silent;
mod sleep;
mod socket;
#[cfg(feature = "socketio")]
pub mod socketio;
mod stats;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod timers;
#[cfg(feature = "tls-no-provider")]
pub mod tls;
#[cfg(feature = "tower")]
pub mod tower;
mod trace;
mod waiters;
mod wakers;
mod wakes;
mod warnings;
mod writer;

pub use enginewire::{
    CloseReason, Cookie, Cors, CorsOrigin, Encoded, Event, HeaderLines, HttpRequest, IntoEncoded,
    InvalidNetworks, InvalidNodeName, InvalidProxy, Layer, LayerContext, Limits, Message, Networks,
    NodeName, Proxies, Proxy, ProxyFault, Reconnect, Refusal, Response, Revision, SendError,
    ServerConfig, Text, TransportFault, TransportKind, Transports, TrustedProxies, TrySendError,
    hub::Broadcast, wire::http::RequestHead,
};
#[cfg(feature = "deflate")]
pub use enginewire::{HttpCompression, PerMessageDeflate};

pub use crate::{
    client::{Client, ClientBuilder, Connecting, Sessions, connect_tcp},
    clock::{Clock, InstantClock},
    connect_error::ConnectError,
    handshake::Handshake,
    listen::listen,
    nodes::NodeAddress,
    proxied::read_proxy_header,
    runtime::{Runtime, Stream},
    server::{Server, ServerHandle},
    server_builder::ServerBuilder,
    shared::FallbackRequest,
    sleep::Sleep,
    socket::{Receiver, Sender, Socket},
    stats::ServerStats,
};

/// The names under which a crate for a runtime offers the types of this one.
#[macro_export]
macro_rules! exports {
    ($runtime:ty) => {
        #[doc(inline)]
        pub use $crate::{
            Broadcast, CloseReason, ConnectError, Connecting, Cookie, Cors, CorsOrigin, Encoded,
            Event, FallbackRequest, Handshake, HeaderLines, HttpRequest, IntoEncoded,
            InvalidNetworks, InvalidNodeName, InvalidProxy, Layer, LayerContext, Limits, Message,
            Networks, NodeAddress, NodeName, Proxies, Proxy, ProxyFault, Receiver, Reconnect,
            Refusal, RequestHead, Response, Revision, SendError, Sender, Server, ServerConfig,
            ServerHandle, ServerStats, Sessions, Socket, Text, TransportFault, TransportKind,
            Transports, TrustedProxies, TrySendError, read_proxy_header,
        };

        /// Sets up a [`Server`] on this runtime. See [`enginewire_driver::ServerBuilder`].
        pub type ServerBuilder = $crate::ServerBuilder<$runtime>;
        /// Opens sessions on this runtime. See [`enginewire_driver::Client`].
        pub type Client = $crate::Client<$runtime>;
        /// Sets up a [`Client`] on this runtime. See [`enginewire_driver::ClientBuilder`].
        pub type ClientBuilder = $crate::ClientBuilder<$runtime>;

        // Inlined, it would have all pages of rustls.
        #[doc(no_inline)]
        #[cfg(feature = "tls-no-provider")]
        pub use $crate::tls;
    };
}

/// The names under which a crate for a runtime offers Socket.IO.
#[cfg(feature = "socketio")]
#[macro_export]
macro_rules! socketio_exports {
    ($runtime:ty) => {
        #[doc(inline)]
        pub use $crate::socketio::*;

        /// Sets up a [`Client`] on this runtime. See [`enginewire_driver::socketio::ClientBuilder`].
        pub type ClientBuilder = $crate::socketio::ClientBuilder<$runtime>;

        /// Connects a socket to the server at `url`, with the defaults.
        ///
        /// The path of the URL is the namespace.         /// The first attempt counts. A connection that is lost later is tried again. Cancel safe: if the future is
        /// dropped, the socket is disconnected.
        ///
        /// # Errors
        ///
        /// [`ClientError`].
        pub async fn connect(url: &str) -> Result<ClientSocket, ClientError> {
            ClientBuilder::new(url).connect().await
        }
    };
}

/// The README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
