//! Clusters of python-socketio, and how their clients and ours are reached from both.
//!
//! Clients of either server are the same. Between servers there are two protocols: the
//! `RedisManager` and `AsyncRedisManager` of python-socketio are no adapters of Node.js, and no format of our
//! `Redis` speaks theirs. On one Redis the two are not aware of each other.
//!
//! | | adapters of Node.js, and ours | python-socketio 5 |
//! |---|---|---|
//! | channels | some for each namespace, from the prefix `socket.io` | one for all, `socketio` |
//! | messages | JSON or MessagePack, with binary data in place | JSON, binary data as base64 behind the placeholders of the protocol |
//! | event | `rooms` and `except`, both lists | `room`, a name, a list or null, and `skip_sid` |
//! | rooms | `socketsJoin`, `socketsLeave` for a selection | `enter_room`, `leave_room` for one socket, `close_room` |
//! | acknowledgements | of all sockets, with a count for each node | for one socket: `callback` with room, namespace and number |
//! | list of sockets, server-side events | requests to all nodes | none |
//! | number of nodes | subscribers, or heartbeats | not known |
//! | own messages | by `uid` | by `host_id` |
//!
//! So there are two clusters, and an application that has both kinds of servers sends between them what it wants to:
//!
//! - From Rust to clients of Python servers: publish the JSON of an event on the channel `socketio`, with any client of
//!   Redis. `host_id` is a text that no server has.
//!
//!   ```json
//!   {"method": "emit", "event": "news", "data": ["hello"], "binary": false, "namespace": "/",
//!    "room": "lobby", "skip_sid": null, "callback": null, "host_id": "rust"}
//!   ```
//!
//! - From Python to our clients: publish what npm `@socket.io/redis-emitter` does, if our nodes are in the
//!   classic format. It is MessagePack on the channel `socket.io#/#`, or
//!   `socket.io#/#lobby#` for one room:
//!
//!   ```python
//!   message = ["emitter",
//!              {"type": 2, "data": ["news", "hello"], "nsp": "/"},
//!              {"rooms": ["lobby"], "except": [], "flags": {}}]
//!   redis.publish("socket.io#/#lobby#", msgpack.packb(message))
//!   ```
//!
//! Sockets of the other kind are in no list, and nobody can disconnect them from here. Where that is needed, all servers of
//! one namespace should be of one kind.
