//! What must hold of Enginewire whatever comes.
//!
//! Each module is one target: its `run` takes any bytes, does with the code under test what they say,
//! and panics if a rule is broken. The module's first lines say how the bytes are read. The same targets
//! are given what a fuzzer makes up (`fuzz/`), what it has kept (`tests/replay.rs`), and what proptest
//! makes of the operations that each knows (`tests/random`). Only the public API of `enginewire` and
//! `enginewire-socketio` is used.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a rule that is broken is a panic")]

pub mod client_hub;
pub mod client_session;
pub mod cluster_wire;
pub mod deflate;
pub mod http;
pub mod http_client;
pub mod hub;
pub mod jsonp;
pub mod packets;
pub mod payloads;
pub mod query;
pub mod session;
pub mod sio_adapter;
pub mod sio_client_hub;
pub mod sio_cluster;
pub mod sio_connection;
pub mod sio_hub;
pub mod sio_manager;
pub mod sio_packets;
pub mod sio_payloads;
pub mod stream;
pub mod websocket;

mod json;
mod late;
mod memory;
mod naive;
mod oracle;
mod reached;
mod script;
mod sent;
mod server_end;

pub use self::reached::Reached;
