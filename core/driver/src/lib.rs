//! The part of Enginewire's drivers that does not depend on the runtime.
//!
//! Applications use a crate made for their runtime, `enginewire-tokio` for example, which is an
//! implementation of [`Runtime`] and names for the types of this crate. What they all share is here:
//! the tasks that read and write sockets, the directory of sessions, deadlines, and the handles
//! [`Server`], [`Client`], [`Socket`] and [`Sender`].
//!
//! # How it works
//!
//! A server has one task per TCP connection and none per session. A connection's task reads into a buffer that
//! belongs to the thread, lets [`enginewire::carrier`] make requests or messages of it, locks the
//! session for as long as it takes to hand them over, and writes what the session has for it. What
//! a session has for *another* connection (the answer to a poll that waits, say) is left in the
//! session's cell, and that connection's task is woken. One timer per shard wakes whoever has a
//! deadline.
//!
//! A client has one task per session, which drives all of its connections.
//!
//! # Features
//!
//! `tracing`: a span per connection and events, of the `tracing` crate, without session ids.

mod cell;
mod client;
mod clock;
mod connection;
mod last_look;
mod listen;
mod reader;
mod runtime;
mod scratch;
mod server;
mod shared;
mod socket;
mod trace;
mod waiters;
mod wakes;
mod writer;

pub use crate::{
    client::{Client, ClientBuilder, ConnectError, Connecting, Sessions},
    clock::Clock,
    listen::listen,
    runtime::Runtime,
    server::{Builder, Server},
    socket::{Handshake, Sender, Socket},
};

/// The names under which a crate for a runtime offers the types of this one.
#[macro_export]
macro_rules! aliases {
    ($runtime:ty) => {
        /// A server that is listening. See [`enginewire_driver::Server`].
        pub type Server = $crate::Server<$runtime>;
        /// Sets up a [`Server`]. See [`enginewire_driver::Builder`].
        pub type Builder = $crate::Builder<$runtime>;
        /// Opens sessions. See [`enginewire_driver::Client`].
        pub type Client = $crate::Client<$runtime>;
        /// Sets up a [`Client`]. See [`enginewire_driver::ClientBuilder`].
        pub type ClientBuilder = $crate::ClientBuilder<$runtime>;
        /// One session. See [`enginewire_driver::Socket`].
        pub type Socket = $crate::Socket<$runtime>;
        /// Sends to one session. See [`enginewire_driver::Sender`].
        pub type Sender = $crate::Sender<$runtime>;
        /// A session that is being opened. See [`enginewire_driver::Connecting`].
        pub type Connecting = $crate::Connecting<$runtime>;
        /// Sessions, one after the other. See [`enginewire_driver::Sessions`].
        pub type Sessions = $crate::Sessions<$runtime>;
    };
}
