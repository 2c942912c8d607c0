//! Recipes: one task each, with the code for it.
//!
//! All of them are compiled. `io` is an [`Io`], `socket` a [`Socket`]; the lines around a recipe are left out.
//!
//! - [Servers and namespaces](servers)
//! - [Events](events)
//! - [Rooms and broadcasts](rooms)
//! - [Clients](clients)
//! - [Several nodes](nodes)
//! - [The admin UI](https://docs.rs/enginewire-tokio/latest/enginewire_tokio/guide/cookbook/admin/), with the feature `admin`
//! - [Beside an application of axum or hyper](https://docs.rs/enginewire-tokio/latest/enginewire_tokio/guide/cookbook/http/),
//!   with the feature `tower`
//!
//! # Test an application without ports and without waiting
//!
//! The feature `testing` has `testing::TestLink`: real clients, the real server, and a network in memory that can be cut,
//! frozen and slowed down. With `#[tokio::test(start_paused = true)]` a heartbeat of 45 seconds passes in microseconds. The
//! docs of that [module](https://docs.rs/enginewire-tokio/latest/enginewire_tokio/testing/) begin with such a test.
//!
//! # Not there yet
//!
//! There is no bus over Redis or another broker.
//!
//! [`Io`]: crate::socketio::Io
//! [`Socket`]: crate::socketio::Socket

#[cfg(feature = "admin")]
pub mod admin;
pub mod clients;
pub mod events;
#[cfg(feature = "tower")]
pub mod http;
pub mod nodes;
pub mod rooms;
pub mod servers;
