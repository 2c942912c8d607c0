//! Nodes of a cluster on Redis, on every runtime, with a server that each test starts itself. Needs Debian's package
//! `redis-server`, version 7 or later, and Linux.
//!
//! `cargo test -p enginewire-tests --features interop --test redis`
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

// For all modules at once.
#[macro_use(on_every_runtime)]
extern crate enginewire_tests;

mod bounds;
mod connecting;
mod emitter;
mod failover;
mod faults;
mod hostile;
mod nodes;
mod operations;
mod program;
mod proxy;
mod recovery;
mod redis_cluster;
mod scripted;
mod sentinel;
mod server;
mod several;
mod trimmed;
mod turns;
