//! A bus on Redis, or on a server that speaks its protocol, such as Valkey.
//!
//! A [`Redis`] is for [`IoBuilder::cluster`](enginewire_driver::socketio::IoBuilder::cluster). Programs that are no
//! nodes send with an [`Emitter`].
//!
//! # Formats
//!
//! All nodes of a cluster need the same format and prefix. Nodes of Node.js have it by their adapter:
//!
//! | format | npm | needs | messages go |
//! |---|---|---|---|
//! | [classic](RedisBuilder::classic), the default | `createAdapter` of `@socket.io/redis-adapter` 8 | Redis 6 | to every node |
//! | [sharded](RedisBuilder::sharded) | `createShardedAdapter` of the same | Redis 7 | for a room: to nodes that have members of it |
//! | [streams](RedisBuilder::streams) | `@socket.io/redis-streams-adapter` 0.3 | Redis 6, for recovery 6.2 | to every node, and stay in a stream for a while |
//!
//! The manager of python-socketio is another format, which no node of Socket.IO on other platforms reads.
//!
//! Several clusters on one Redis need different [prefixes](RedisBuilder::prefix). That holds for the classic format and
//! streams above all: a node of Node.js that is classic ends at a request of the other.
//!
//! # Connections
//!
//! One connection has commands and messages of channels (RESP3); streams are read on another. Commands are pipelined,
//! and keep their order. Messages of one node arrive in order, but for sharded rooms, whose channels may overtake others.
//!
//! # Redis Cluster
//!
//! Each format works on a Redis Cluster, without an option: a server says that it belongs to one, and the owners of slots are
//! learnt from it. The URL may name several servers, `redis://a,b,c`, of which the first that responds is asked.
//! Channels of shards, streams and states of sockets are with the owners of their slots. Commands follow `MOVED` and `ASK`,
//! and for one slot they keep their order while it moves. Channels that are no shards' are at any one master, and requests
//! count the nodes at all masters.
//!
//! There is one connection with each master that is needed, and one more for each slot whose streams are read. With several
//! [streams](StreamsConfig::streams), names with one part in braces, such as `{chat}`, share a slot.
//!
//! A slot that is moved takes its channels along: a node subscribes to them again where they are. What is sent to them in
//! the milliseconds between is lost, as with the reference. Streams lose nothing. When a master is lost, the bus is down
//! until another one has confirmed each subscription: rooms have slots on all of them.
//!
//! # Sentinel
//!
//! With [`RedisBuilder::sentinel`] the URL names sentinels. They are asked for the master whenever the connection is made
//! anew, and a replica that they still name is not believed. A master that the sentinels have lost ends the connections of
//! this node when they demote it. Until then, a node that still reaches it alone is alone.
//!
//! # Faults
//!
//! A connection that is lost, or silent for longer than [`response_timeout`](RedisBuilder::response_timeout), is made anew
//! with a [growing wait](RedisBuilder::reconnect). Meanwhile the node is alone: broadcasts reach its own sockets, and
//! [`Delivered::remote`](enginewire_driver::socketio::Delivered::remote) says so. It is one of the cluster again when all
//! subscriptions are confirmed, and its streams are read. What other nodes sent meanwhile is lost, but for broadcasts and
//! changes in streams, which are read then. Commands that had no response may be lost: their number is in the error, which
//! goes to the `tracing` crate, and in [`RedisStats::lost`].
//!
//! [`StreamsConfig::max_len`] should hold the entries of the longest time that a node may be away. Those that were trimmed
//! before they were read are counted in [`RedisStats::trimmed`] and
//! [`Stats::cluster_dropped`](enginewire_driver::socketio::Stats::cluster_dropped), and told by a warning. Clients that
//! missed them do not recover. That is noticed when a connection is made anew, and while more waits than is read at a time.
//! It is noticed behind a read of more than a second as well. A Redis that comes back older than what was read is read on
//! from its end.
//!
//! In the classic format one pattern is subscribed to for `/a` and for namespaces such as `/a#b`, whose names begin with
//! `/a#`. The patterns change when `/a` comes or goes, and messages to `/a#b` at that moment may come twice.
//!
//! A message that cannot be read is dropped and counted in [`RedisStats::dropped`], whoever has published it. Whoever
//! may publish on the channels can disconnect all clients: keep others out by the ACL of Redis.
//!
//! # Bounds
//!
//! [`max_in_flight`](RedisBuilder::max_in_flight) commands of
//! [`max_in_flight_bytes`](RedisBuilder::max_in_flight_bytes) wait for responses. Further messages wait in the server,
//! within [`max_cluster_queue`](enginewire_driver::socketio::IoBuilder::max_cluster_queue); beyond that they stay on this
//! node. Of what Redis sends, one message is held at a time, of up to [`max_message`](RedisBuilder::max_message) bytes. A
//! node that reads too slowly is ended by Redis (`client-output-buffer-limit`), and comes back.

mod address;
mod builder;
mod bus;
mod commands;
mod dial;
mod emitter;
mod error;
mod link;
mod masters;
mod monitor;
mod options;
mod resp;
mod servers;
mod slots;
mod socket;
mod streams;
mod transport;
mod url;

pub use enginewire_socketio::cluster::wire::{
    ClassicConfig, Format, StreamsConfig, SubscriptionMode,
};

pub use self::{
    builder::RedisBuilder,
    bus::Redis,
    emitter::Emitter,
    error::{RedisError, RedisFault},
    monitor::{RedisMonitor, RedisStats},
    url::InvalidRedisUrl,
};
