//! Servers as `tower` services, beside the application of another HTTP server.
//!
//! [`ServerHandle::layer`](crate::ServerHandle::layer) goes around a whole application, and takes the requests for the
//! [path](crate::ServerBuilder::path) of its server. [`ServerHandle::service`](crate::ServerHandle::service) is for
//! routers that choose by path. Both serve polling on HTTP/1.1 and HTTP/2, and WebSockets on connections that hyper
//! hands over: those of HTTP/1.1, and streams of HTTP/2 (RFC 8441) where the HTTP server enables that.
//!
//! The server has no listener: [`start`](crate::ServerBuilder::start) it instead of binding it, and keep it, because
//! dropping it ends its sessions.
//!
//! # What is the same, and what is the other server's
//!
//! Limits on bodies and messages, the [body timeout](crate::ServerBuilder::body_timeout), heartbeats, back-pressure,
//! hooks and [`close`](crate::ServerHandle::close) are those of a server that listens by itself. Requests count as
//! [`connections`](crate::ServerHandle::connections) while they wait, those of other nodes until their response was taken,
//! and WebSockets until they end.
//!
//! Timeouts of heads, of idle connections and of writes are those of the HTTP server, and so is the number of
//! connections: [`max_connections`](crate::ServerBuilder::max_connections) is for listeners.
//! [`max_sessions`](crate::ServerBuilder::max_sessions) holds. What was handed to the HTTP server when `close` returns it
//! may still have to write: shut it down behind `close`, and wait for it. A request that is pipelined behind a poll waits
//! for the ping interval at most. HTTP servers hand over one request at a time.
//!
//! # Middleware in front
//!
//! A value that middleware puts into the extensions of the request that opens a session is an
//! [`extension`](crate::Handshake::extension) of its handshake. A timeout in front must exceed the [ping
//! interval](crate::ServerBuilder::ping_interval), because a poll waits that long: one that is shorter ends sessions,
//! as a lost connection does. A limit on requests in flight counts polls. Compression is of no use for WebSockets. A [`Layer`] is
//! ready when the service inside is: a limit inside stops the requests of sockets as well.
//!
//! # Peer addresses
//!
//! [`Handshake::peer_addr`](crate::Handshake::peer_addr) is that of an extension [`PeerAddr`], or what
//! [`Service::peer_addr`] and [`Layer::peer_addr`] find, or else `0.0.0.0:0`. If that is a trusted proxy's, the
//! address is the client's, see [`ServerBuilder::trusted_proxies`](crate::ServerBuilder::trusted_proxies).
//!
//! # Other nodes
//!
//! A request for a session of another [node](crate::ServerBuilder::nodes) is handed over to it, on HTTP/1.1, with the address of
//! the peer in a field. Bodies pass in both directions as they come. A response that the node cuts ends the connection of
//! the client, or its stream, by a [`BodyError`]. WebSockets pass on the connections that hyper hands over, those of HTTP/2
//! included. Middleware of the node sees the request if its address is that of the application, under the path that the
//! server has seen here.

mod body;
mod exchange;
mod head;
mod layer;
mod relaying;
mod service;
mod upgraded;

pub(crate) use self::upgraded::Upgrades;
pub use self::{
    body::{Body, BodyError},
    layer::{Layer, Layered, LayeredBody, LayeredBodyError, LayeredFuture},
    service::{PeerAddr, Service, ServiceFuture},
    upgraded::Upgraded,
};
