//! Buses between the nodes of a Socket.IO cluster, generic over the runtime.
//!
//! [`redis`] is a bus on Redis, on which nodes of this crate and of Node.js are one cluster. Applications have it from
//! the crate for their runtime, with the feature `redis`:
//!
//! ```no_run
//! use enginewire_cluster::redis::{Redis, RedisError};
//! use enginewire_driver::{Runtime, socketio::Io};
//!
//! // `Redis` is `enginewire_tokio::redis::Redis` in an application on tokio.
//! async fn node<R: Runtime + Default>() -> Result<Io, RedisError> {
//!     Ok(Io::builder().cluster(Redis::<R>::connect("redis://localhost").await?).build())
//! }
//! ```
//!
//! Everything in an application stays as it is on one node: see
//! [`IoBuilder::cluster`](enginewire_driver::socketio::IoBuilder::cluster).
//!
//! # Why there is a client of Redis here
//!
//! Crates that are clients of Redis were looked at first. `redis` 1.8, the one with most users, does not fit into a
//! server whose memory is bounded: it hands messages of channels to a queue without a bound, or to a function that
//! cannot make it wait; it has tasks of its own on one of two runtimes, and needs tokio as a library on the other.
//! `fred` knows tokio alone. Here a bus is polled by the task of the server. It reads no further while messages wait,
//! so that TCP slows Redis down, and it is the same on each runtime. The protocol of Redis that it needs is an array of
//! strings out, and values in: two files.
//!
//! # Features
//!
//! `tls`: `rediss` URLs, TLS by rustls with ring unless the process has another crypto provider. `tls-no-provider`: the
//! same without ring. `tracing`: events of the `tracing` crate, without passwords and messages.

// Badges of features. docs.rs builds with a nightly compiler.
#![cfg_attr(docsrs, feature(doc_cfg))]
// For links from docs that are built without these. docs.rs itself links to the exact version.
#![doc(html_root_url = "https://docs.rs/enginewire-cluster/latest")]

pub mod redis;
mod trace;

/// The names under which a crate for a runtime offers the bus on Redis.
#[macro_export]
macro_rules! redis_exports {
    ($runtime:ty) => {
        #[doc(inline)]
        pub use $crate::redis::{
            ClassicConfig, Emitter, Format, InvalidRedisUrl, RedisError, RedisFault, RedisMonitor,
            RedisStats, StreamsConfig, SubscriptionMode,
        };

        /// Bus on Redis on this runtime. See [`enginewire_cluster::redis::Redis`].
        pub type Redis = $crate::redis::Redis<$runtime>;
        /// Sets up a [`Redis`] on this runtime. See [`enginewire_cluster::redis::RedisBuilder`].
        pub type RedisBuilder = $crate::redis::RedisBuilder<$runtime>;
    };
}

/// The README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
