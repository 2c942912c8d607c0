//! Guide to Socket.IO: recipes, and tables for those who know another server.
//!
//! - The [cookbook]: one short piece of code for each task.
//! - [Deployment](deployment): nginx, HAProxy and Caddy in front, addresses of clients, sticky sessions and
//!   how to do without, metrics.
//! - [Capacity](capacity): what one node, one Redis and ten nodes carry, and where the first limit lies.
//! - [Coming from Node.js](from_nodejs): its API and ours, side by side.
//! - [Beside python-socketio](from_python): two protocols between servers, and what to do about them.
//! - [Coming from socketioxide](from_socketioxide): the same for the crate of that name.
//!
//! Whole programs are in `runtime-tokio/examples/` of the repository: `chat` with a page for the browser, `auth`,
//! `rooms`, `binary`, `typed`, `handlers`, `graceful`, `axum`, `axum_nodes`, `tls`, `behind_proxy`, `chat_nodes`, `postgres`,
//! `metrics` and `admin`.
//! The README of this crate has a line about each.
//!
//! The guide holds on smol and async-std too. Their crates have the same modules; only `main` and timers differ.
//!
//! # Three ideas
//!
//! **A socket is a stream of events.** A [`Socket`] is one client in one namespace. Its events come in the order in which
//! the client sent them. A task receives them in a loop, and state of a client is a variable of that task. When the loop
//! ends, the client has left.
//!
//! **Sending waits.** `emit` completes when there is room for the event: a slow client costs no memory without end.
//! Receiving waits as well: events that the task does not take are not read from the network, and TCP slows the client
//! down.
//!
//! **Broadcasts do not wait.** They go through one order for all sockets of a namespace. A client that has no room for
//! one is disconnected, see [`Overflow`].
//!
//! Functions in a table are the other way to write a server: see [`Routes`], and the recipes that use it.
//!
//! [`Socket`]: crate::socketio::Socket
//! [`Overflow`]: crate::socketio::Overflow
//! [`Routes`]: crate::socketio::Routes

pub mod capacity;
pub mod cookbook;
pub mod deployment;
pub mod from_nodejs;
pub mod from_python;
pub mod from_socketioxide;
