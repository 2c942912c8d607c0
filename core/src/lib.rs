//! Engine.IO as a sans-IO state machine: bytes and clock ticks in, actions out.
//!
//! [`ServerHub`] is a whole server as one value: bytes of connections in, bytes and messages out, one deadline.
//! The program around it has the sockets, the clock, the randomness and the threads. This server echoes:
//!
//! ```
//! use std::time::Duration;
//!
//! use enginewire::{Event, ServerHub, Time, hub::{Output, ServerHubConfig}};
//!
//! // In production the operating system's: session ids are secrets.
//! let entropy = |buffer: &mut [u8]| buffer.fill(7);
//! let mut hub = ServerHub::new(ServerHubConfig::default(), entropy);
//!
//! // In: a connection was accepted. Its bytes ask for a WebSocket, and say hello.
//! let now = Time::ZERO;
//! let on = hub.handle_accepted(now);
//! let mut bytes = *b"GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\n\
//!     Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
//!     Sec-WebSocket-Version: 13\r\n\
//!     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x86\0\0\0\x004hello";
//! hub.handle_bytes(now, on, &mut bytes);
//!
//! // Out: messages for the application, and bytes for the socket.
//! let mut written = Vec::new();
//! while let Some(output) = hub.poll() {
//!     match output {
//!         Output::Event(session, Event::Message(message)) => {
//!             // An error gives it back: the peer is slow, and there is no room.
//!             let _ = hub.send(session, message);
//!         }
//!         Output::Write(on) => hub.transmit(now, on, |bytes| {
//!             written.extend_from_slice(bytes);
//!             bytes.len() // As many as the socket has taken.
//!         }),
//!         _ => {} // Close or read a connection; a session has opened or closed.
//!     }
//! }
//! assert!(written.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
//! assert!(written.ends_with(b"\x81\x064hello"));
//!
//! // One deadline: when to call `handle_timeout`. The first ping is due then.
//! assert_eq!(hub.poll_timeout(), Some(now + Duration::from_secs(25)));
//! ```
//!
//! The module [`hub`] has every output, and the duties of the event loop. Whole programs are the examples `mio_echo`,
//! `uring_echo`, `threads_echo` and `game_loop`. On tokio, smol or async-std take `enginewire-tokio`,
//! `enginewire-smol` or `enginewire-async-std`, which build on this crate.
//!
//! # A client
//!
//! [`ClientHub`] is a session of a client with all of its connections, and [`Reconnector`] says when to open the next.
//! The example `blocking_client` has it on blocking sockets.
//!
//! # What there is
//!
//! | for | take |
//! |---|---|
//! | a server or a client | [`ServerHub`] with [`hub::ServerHubConfig`], [`ClientHub`] with [`ClientConfig`] |
//! | messages, and what happens to a session | [`Message`], [`Event`], [`CloseReason`], [`Encoded`] for many peers |
//! | settings of the protocol | [`ServerConfig`], [`Limits`], [`Transports`], [`Cors`], [`Cookie`], [`Reconnect`] |
//! | a protocol on top, such as Socket.IO | [`Layer`] |
//! | an HTTP implementation of your own | [`Router`], [`ServerSession`], [`ClientSession`] |
//! | a driver with locks and tasks | [`carrier`], [`wire`], [`Deadlines`] |
//! | other transports, tools and tests | [`codec`], [`query`], [`Fingerprint`] |
//!
//! Most programs need the first four lines only.
//!
//! # Methods
//!
//! The methods of every state machine here come in four families. `handle_*` take what came from
//! the network and never fail. Commands of the application fail only for a limit or its own
//! mistakes. `poll_*` are called until they give `None`, and getters only look. Two inputs without
//! a look at the outputs between them mean the same as with one.
//!
//! # Features
//!
//! `std` (default) makes dependencies faster; the API is the same without it. `deflate` adds compression, on
//! targets that have `std`: permessage-deflate, and the codings `gzip` and `deflate` of HTTP.
//!
//! # The parts alone
//!
//! This is for those who have an HTTP server of their own, or locks and tasks. There are three parts, one above the
//! other: [`wire`] makes requests and messages of bytes, [`Router`] says what a request is for, [`ServerSession`]
//! knows the rest. [`carrier`] has the rules between them. [`ClientSession`] is the other side: it asks for requests
//! and WebSockets and is told what came of them.
//!
//! Here a client opens a session by polling, posts a message, and polls for its echo, all on one connection:
//!
//! ```
//! use std::sync::Arc;
//!
//! use bytes::Buf;
//! use enginewire::{
//!     ServerAction, Admission, Body, CarrierId, ServerConfig, Event, ExchangeId, Reject, Route, Router, ServerSession,
//!     Time, wire::{Input, Output, http},
//! };
//!
//! // One for a whole server.
//! let router = Router::new(ServerConfig::default());
//! // One for each TCP connection, and what waits to be written to it.
//! let mut connection = http::Server::new(Time::ZERO, Arc::new(http::Config::default()));
//! let mut output = Output::new();
//! // A server has many, and finds them by the id in the request.
//! let mut session: Option<ServerSession> = None;
//!
//! let mut handle = |now: Time, exchange: ExchangeId, request: String| {
//!     let mut bytes = request.into_bytes();
//!     let mut input = Input::new(&mut bytes);
//!     while let Some(event) = connection.handle_bytes(now, &mut input, &mut output) {
//!         match (event, &mut session) {
//!             (http::Event::Request(head), session) => match router.route(&head) {
//!                 Ok(Route::Open(opening)) => {
//!                     // In earnest the operating system's: session ids are secrets.
//!                     let mut entropy = |buffer: &mut [u8]| buffer.fill(7);
//!                     let first = CarrierId::Exchange(exchange);
//!                     *session = Some(router.open(now, &mut entropy, opening, first)?);
//!                 }
//!                 Ok(Route::Session(request)) => {
//!                     let session = session.as_mut().ok_or(Reject::UnknownSession)?;
//!                     match session.admit(&request)? {
//!                         Admission::Poll => session.handle_poll(now, exchange),
//!                         Admission::Post { binary } => {
//!                             session.handle_post(now, exchange, binary);
//!                             connection.read_body(now, &mut output);
//!                         }
//!                         // From here on the connection is `wire::ws`'s.
//!                         Admission::Upgrade { .. } => {}
//!                     }
//!                 }
//!                 Ok(Route::Preflight(response)) => {
//!                     connection.respond(now, &response.into(), &mut output);
//!                 }
//!                 Err(reject) => return Err(reject),
//!             },
//!             (http::Event::Body(body), Some(session)) => {
//!                 session.handle_body(now, exchange, Body::Complete(body));
//!             }
//!             // The peer broke a rule, and has been told.
//!             _ => {}
//!         }
//!         let Some(session) = &mut session else { continue };
//!         // The application, which echoes.
//!         while let Some(event) = session.poll_event() {
//!             if let Event::Message(message) = event {
//!                 session.send(message).expect("there is room");
//!             }
//!         }
//!         while let Some(ServerAction::Respond(_, response)) = session.poll_action() {
//!             connection.respond(now, &response.into(), &mut output);
//!         }
//!         // When to call `ServerSession::handle_timeout`, whatever happens until then.
//!         assert!(session.poll_timeout().is_some());
//!     }
//!     // What a driver writes to its socket.
//!     let bytes = output.copy_to_bytes(output.remaining());
//!     Ok(String::from_utf8(bytes.to_vec()).expect("text"))
//! };
//!
//! let target = "/engine.io/?EIO=4&transport=polling";
//! let answer = handle(Time::ZERO, ExchangeId(0), format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"))?;
//! let sid = answer.split('"').nth(3).expect("the open packet");
//!
//! let target = format!("{target}&sid={sid}");
//! let post = format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n4hello");
//! let answer = handle(Time::from_millis(1), ExchangeId(1), post)?;
//! assert!(answer.ends_with("\r\n\r\nok"));
//!
//! let get = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
//! let answer = handle(Time::from_millis(2), ExchangeId(2), get)?;
//! assert!(answer.ends_with("\r\n\r\n4hello"));
//! # Ok::<(), Reject>(())
//! ```

// For links from docs that are built without these. docs.rs itself links to the exact version.
#![doc(html_root_url = "https://docs.rs/enginewire/latest")]
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod carrier;
pub mod codec;
pub mod hub;
pub mod query;
pub mod wire;

mod channel;
mod client;
mod client_hub;
mod config;
mod deadlines;
mod deflate;
mod encoded;
mod entropy;
mod exchange;
mod fingerprint;
mod limits;
mod networks;
mod node;
mod packet;
mod progress;
mod proxy;
mod router;
mod session;
mod sid;
mod text;
mod time;
mod trusted_proxies;
mod url;

#[doc(inline)]
pub use crate::carrier::{Layer, LayerContext};
#[cfg(feature = "deflate")]
pub use crate::deflate::{HttpCompression, PerMessageDeflate};
pub use crate::{
    channel::{ProxyFault, RedirectFault},
    client::{
        Backoff, ClientAction, ClientConfig, ClientSession, ClientTimerKind, InvalidSubprotocol,
        OpenPacket, Reconnect, Reconnector,
    },
    client_hub::{ClientConnectionId, ClientHub, ClientHubAction, Compressing},
    config::{
        Cookie, Cors, CorsOrigin, HeadersHook, ServerConfig, SubprotocolHook, TransportKind,
        Transports,
    },
    deadlines::{Alarm, DeadlineKey, Deadlines},
    encoded::{Encoded, IntoEncoded},
    entropy::Entropy,
    exchange::{HeaderLines, HttpRequest, HttpResponse, InvalidHeader, Request, Response},
    fingerprint::Fingerprint,
    hub::ServerHub,
    limits::Limits,
    networks::{InvalidNetworks, Networks},
    node::{InvalidNodeName, NodeName},
    packet::{Message, Packet, Revision},
    proxy::{InvalidProxy, InvalidProxyVariable, Proxies, Proxy},
    router::{BadRequest, HandOverFault, Opening, Refusal, Reject, Route, Router, SessionRequest},
    session::{
        Admission, Body, CarrierId, CloseReason, Event, ExchangeId, SendError, ServerAction,
        ServerSession, ServerTimerKind, TransportFault, TrySendError, WebSocketEnd, WebSocketId,
    },
    sid::Sid,
    text::Text,
    time::Time,
    trusted_proxies::TrustedProxies,
    url::{InvalidUrl, Url},
};

/// The README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
