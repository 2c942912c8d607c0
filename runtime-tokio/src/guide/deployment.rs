//! Behind proxies and load balancers: who the client is, which server it belongs to, and what to watch.
//!
//! The example `behind_proxy` is the server that the configurations below belong to. A test of the repository starts
//! two of them behind nginx, HAProxy and Caddy with these very files, and has official clients connect.
//!
//! # The address of the client
//!
//! Behind a proxy each connection comes from the proxy. [`trusted_proxies`](crate::ServerBuilder::trusted_proxies) says
//! whose word about the client is taken, and [`peer_addr`](crate::Handshake::peer_addr) is the client's then:
//!
//! ```no_run
//! # use enginewire_tokio::{InvalidNetworks, ServerBuilder, TrustedProxies};
//! # fn example() -> Result<ServerBuilder, InvalidNetworks> {
//! let proxies = TrustedProxies::parse("10.0.0.0/8, 2001:db8:7::/48")?;
//! # Ok(
//! ServerBuilder::new().trusted_proxies(proxies)
//! # )
//! # }
//! ```
//!
//! List your own proxies and nothing else. The first address in the field is whatever the client has sent, so it must
//! not be taken; [`TrustedProxies`](crate::TrustedProxies) says which one is. The address of the proxy itself is
//! [`proxy_addr`](crate::Handshake::proxy_addr).
//!
//! | in front | field | networks |
//! |---|---|---|
//! | nginx, HAProxy, Caddy, an Application Load Balancer of AWS | `X-Forwarded-For`, the default | theirs |
//! | Cloudflare | `.field("CF-Connecting-IP")`, or the default | those that Cloudflare publishes |
//! | an ingress of Kubernetes | `X-Forwarded-For` | those of the pods of the ingress |
//! | a proxy that writes RFC 7239 | `.field("Forwarded")` | its own |
//!
//! A load balancer that passes bytes on, such as HAProxy in its mode `tcp` or a Network Load Balancer of AWS, can send the
//! PROXY protocol instead:
//!
//! ```no_run
//! # use enginewire_tokio::{InvalidNetworks, ServerBuilder};
//! # fn example() -> Result<ServerBuilder, InvalidNetworks> {
//! # Ok(
//! ServerBuilder::new().proxy_protocol("10.0.0.0/8".parse()?)
//! # )
//! # }
//! ```
//!
//! Both versions are read. Peers in the list must send a header; its health checks have to, too (`check-send-proxy` of
//! HAProxy). All others are served without, for example health checks of a node of Kubernetes from another network.
//!
//! # One server for each session
//!
//! A session is in the memory of one server. All of its requests over polling have to reach that server, and so has the
//! upgrade to WebSocket; requests that reach another are refused with status 400 and "Session ID unknown". Nothing is to be
//! done if clients use WebSocket alone (`transports: ["websocket"]`), because a WebSocket is one connection. For all others
//! the load balancer keeps a client on its server, or the servers [hand requests over](#no-sticky-sessions).
//!
//! - **By a cookie of the load balancer.** The usual way, and the most even one. Browsers send it by themselves to the
//!   origin of the page; to another origin only with `withCredentials: true`, and [`cors`](crate::ServerBuilder::cors) with
//!   credentials. Official clients in Node.js need `withCredentials: true`.
//! - **By the session id**, the query parameter `sid`. The first request has none, and the server chooses it after the
//!   load balancer has chosen the server: a hash of it leads anywhere. So the load balancer has to learn it from the first
//!   response, where [`cookie`](crate::ServerBuilder::cookie) repeats it. HAProxy can, for clients without cookies too.
//! - **By a hash** of what is in the first request already: a query parameter that the client chooses
//!   (`query: { client: id }`), or its address. Clients behind one proxy of a company have one address. Load balancers
//!   that do not read HTTP have nothing else.
//!
//! A broadcast reaches the clients of all servers with [`IoBuilder::cluster`](crate::socketio::IoBuilder::cluster), which
//! does not change that: sessions stay where they are, and need the load balancer to find them.
//!
//! # Redis between servers
//!
//! The feature `redis` has a bus for that; the [cookbook](super::cookbook::nodes) shows it.
//!
//! - One format and one prefix for all servers, those of Node.js included. Two formats on one Redis, such as classic
//!   channels and streams, need two prefixes: classic servers of Node.js end at a request of streams.
//! - A user of its own in the ACL of Redis, because whoever may publish on the channels may disconnect all clients:
//!   `ACL SETUSER chat on >password &socket.io* ~socket.io* ~sio:session:* +@all -@dangerous` for the default prefix. With
//!   classic channels Redis compares a pattern with its rules literally: the rule `&socket.io#/#*` as well, and one for
//!   each further namespace, or `allchannels`. `rediss://` URLs are encrypted, with the feature `tls`.
//! - `client-output-buffer-limit pubsub` bounds what Redis holds for a server that reads too slowly: 32 MB by default,
//!   or 8 MB for a minute. It ends the connection then, and the server comes back.
//! - Redis is a broker here, and nothing of it has to be persistent. With streams and recovery it is a store, too: what a
//!   Redis that starts empty has lost, no client gets. An event that it refuses, for want of memory or rights, reaches the
//!   clients of its own server alone, and says so in `Delivered::remote`.
//! - On a Redis Cluster the URL may be that of any server, or of several: `redis://a,b,c`. Sharded channels spread over all
//!   masters, and so do streams if there are several. Classic messages go through all servers. Servers that know themselves
//!   by other addresses than those that are reachable need
//!   [`translate_addresses`](crate::redis::RedisBuilder::translate_addresses). The rules above
//!   let a user ask for slots.
//! - With Sentinel, [`sentinel`](crate::redis::RedisBuilder::sentinel) names the master, and the URL the sentinels. After a
//!   failover the servers find the new master by them. Otherwise the name of the host has to lead there.
//! - While a master is replaced, the bus is down: each server goes on alone, and says so
//!   ([`RedisMonitor`](crate::redis::RedisMonitor)). Streams are read on behind it, as far as its replica has them:
//!   replication is asynchronous.
//! - With dynamic sharded channels, a server subscribes to a room with its first member there, and joining does not wait for
//!   it. What another server sends to the room within those milliseconds does not reach that member. Where that matters, as
//!   for a message in response to joining, send it by the socket, or use `SubscriptionMode::Static`.
//!
//! How much of it all is needed, [capacity](super::capacity) computes.
//!
//! # No sticky sessions
//!
//! Where a load balancer cannot keep clients on their server, servers that know each other can do without: each is a
//! [`node`](crate::ServerBuilder::node) with a short name, which the ids of its sessions begin with, and finds the
//! [`nodes`](crate::ServerBuilder::nodes) that have the others. A request for a session of another node is handed over to it,
//! and so is the WebSocket of an upgrade. The owner alone knows the session.
//!
//! ```no_run
//! # use std::net::SocketAddr;
//! # use enginewire_tokio::{InvalidNetworks, NodeName, ServerBuilder, TrustedProxies};
//! # fn example(number: u8, address_of: fn(NodeName) -> Option<SocketAddr>) -> Result<ServerBuilder, InvalidNetworks> {
//! # Ok(
//! // The ordinal of a pod in a StatefulSet, for example, and addresses that the application keeps up to date.
//! ServerBuilder::new()
//!     .node(number)
//!     .nodes(address_of)
//!     // The load balancer, and the nodes themselves: what they say about the client is true.
//!     .trusted_proxies(TrustedProxies::parse("10.0.0.0/8")?)
//! # )
//! # }
//! ```
//!
//! - **Sticky sessions first.** They cost nothing, where each request that is handed over costs a connection between two
//!   nodes; and a WebSocket that has come to another node passes through it as long as it lives, and ends with either. With two
//!   nodes this is every second one, with ten nine of ten. Clients that use WebSocket alone are never handed over.
//! - **Polling** goes on with connections of its own: behind a response of another node, the connection of the client closes.
//!   Behind axum and hyper it is kept.
//! - **Names** must differ. Two nodes of one name would take each other's sessions for closed ones. A node that comes back
//!   may have its old name: ids of its former life are unknown to it.
//! - **The network** between nodes carries session ids. It is TCP without TLS for addresses that are a `SocketAddr`: give the
//!   nodes a network of their own then, and with TLS for clients a
//!   [`plain_listener`](crate::ServerBuilder::plain_listener) that no client reaches. Any other network needs
//!   [TLS between nodes](#tls-between-nodes).
//! - **Faults.** A node that cannot be reached or does not respond costs its clients their sessions, with status 502, 503 or
//!   504. They connect anew, to whichever node. A request is never made twice, and a load balancer must not either: a POST that
//!   may have been handled would be handled again.
//! - **Outsiders** cannot choose an address: a name that `nodes` does not know is an unknown session, and a request that was
//!   handed over, by its field `Via`, goes no further, whoever has written that.
//! - **Deployments.** A node that closes ends what passes through it, when its own sessions have ended. Clients come back.
//! - **Behind axum** (feature `tower`) it is the same, with [`start`](crate::ServerBuilder::start) in the place of a listener; the
//!   example `axum_nodes` has it. The address of a node is that of its application, whose middleware sees the request a second
//!   time, or that of a listener of the server beside it. A router that strips a prefix (`nest_service`) needs the latter,
//!   because the request goes on under the path that the server has seen. Tell the address of the client by
//!   `Layer::peer_addr`. On HTTP/2, polls and WebSockets go on as HTTP/1.1.
//! - **Event loops** with a `ServerHub` name the others in its configuration, and make the connections that it asks for.
//!
//! `enginewire_requests_handed_over_total` and `enginewire_hand_overs_failed_total` count what went to other nodes, and what
//! failed there.
//!
//! # TLS between nodes
//!
//! Each node has a certificate for its name, which it shows to others both as a server and as a client. On a port of their own
//! nothing but nodes is served, because its verifier requires a certificate of their authority:
//!
//! ```no_run
//! # #[cfg(feature = "tls")]
//! # mod example {
//! use std::{net::SocketAddr, sync::Arc};
//!
//! use enginewire_tokio::{
//!     NodeAddress, NodeName, ServerBuilder,
//!     tls::rustls::{
//!         ClientConfig, RootCertStore, ServerConfig,
//!         pki_types::{CertificateDer, PrivateKeyDer},
//!         server::WebPkiClientVerifier,
//!     },
//! };
//!
//! /// Sets up the TLS of a node, with the authority of all nodes and a certificate for `a1.nodes.internal` or the like.
//! fn node(
//!     name: NodeName,
//!     address_of: impl Fn(NodeName) -> Option<SocketAddr> + Send + Sync + 'static,
//!     port: tokio::net::TcpListener,
//!     authority: RootCertStore,
//!     certificate: Vec<CertificateDer<'static>>,
//!     key: PrivateKeyDer<'static>,
//! ) -> Result<ServerBuilder, Box<dyn std::error::Error>> {
//!     let authority = Arc::new(authority);
//!     let as_client = ClientConfig::builder()
//!         .with_root_certificates(Arc::clone(&authority))
//!         .with_client_auth_cert(certificate.clone(), key.clone_key())?;
//!     let as_server = ServerConfig::builder()
//!         .with_client_cert_verifier(WebPkiClientVerifier::builder(authority).build()?)
//!         .with_single_cert(certificate, key)?;
//!     let to = move |node| Some(NodeAddress::tls(address_of(node)?, format!("{node}.nodes.internal")));
//!     Ok(ServerBuilder::new()
//!         .node(name)
//!         .nodes(to)
//!         .nodes_tls(Arc::new(as_client))
//!         .tls_listener(port, Arc::new(as_server)))
//! }
//! # }
//! ```
//!
//! A node whose certificate is for another name, or of another authority, gets no request: its clients have status 503, and a
//! warning says why. Each request that is handed over costs a handshake, though tickets shorten it. The owner still believes
//! what a node says about the client if the address of that is a trusted proxy's, so the list has those of the nodes.
//!
//! # Timeouts, buffers, deployments
//!
//! - Timeouts of the proxy for responses and for WebSockets: more than 45 s, after which a heartbeat has failed
//!   ([`ping_interval`](crate::ServerBuilder::ping_interval) and [`ping_timeout`](crate::ServerBuilder::ping_timeout)). A
//!   poll gets its response within 25 s, so the 60 s of most proxies and the 100 s of Cloudflare do.
//! - Kept connections: the proxy should close them first, because a request on its way meets a closed one otherwise, which
//!   the client sees as status 502. [`idle_timeout`](crate::ServerBuilder::idle_timeout) is 75 s, longer than the 60 s of an
//!   Application Load Balancer. Raise it if yours keeps connections for longer.
//! - Buffering of responses off. Limits on bodies of requests: not below
//!   [`max_payload`](crate::ServerBuilder::max_payload).
//! - Logs without query strings: session ids are secrets.
//! - A deployment: [`drain`](crate::ServerHandle::drain) closes the sessions over a time, and refuses new ones with status
//!   503. A health check that fails from then on takes the server out of the load balancer. Clients come back to another
//!   server by themselves; events with `retries` reach it.
//!
//! # nginx
//!
//! ```nginx
#![doc = include_str!("../../examples/behind_proxy/nginx.conf")]
//! ```
//!
//! Without sticky sessions, for servers that are nodes:
//!
//! ```nginx
#![doc = include_str!("../../examples/behind_proxy/nginx-round-robin.conf")]
//! ```
//!
//! In an ingress of Kubernetes with nginx, annotations say the same: `affinity: "cookie"`, `proxy-read-timeout: "60"`,
//! `proxy-buffering: "off"` and `proxy-body-size: "1000000"`, each with `nginx.ingress.kubernetes.io/` in front. Affinity
//! needs a rule with a host.
//!
//! # HAProxy
//!
//! ```haproxy
#![doc = include_str!("../../examples/behind_proxy/haproxy.cfg")]
//! ```
//!
//! # Caddy
//!
//! ```caddy
#![doc = include_str!("../../examples/behind_proxy/Caddyfile")]
//! ```
//!
//! # Metrics
//!
//! [`ServerHandle::stats`](crate::ServerHandle::stats) and [`Io::stats`](crate::socketio::Io::stats) count what is there and
//! what was lost or refused. The feature `metrics` gives these counts to the `metrics` crate, and so to Prometheus,
//! StatsD or OpenTelemetry. The example `metrics` shows them to Prometheus, and has a dashboard for Grafana. The feature
//! `admin` shows single sockets and rooms in a page while the server runs.
//!
//! Two counts tell of a load balancer at fault: `enginewire_requests_refused_total` rises if sessions are not sticky (and
//! `enginewire_requests_handed_over_total` on nodes), and
//! `enginewire_sessions_total` rises faster than clients come if a timeout cuts them off.
//!
//! The feature `tracing` gives a span per connection, in which everything happens that its task does, events of the
//! application's sockets included, if the session has begun as a WebSocket. Spans and events have no session ids.
