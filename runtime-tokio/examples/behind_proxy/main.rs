//! A server behind a load balancer: `cargo run -p enginewire-tokio --example behind_proxy -- 127.0.0.1:3001 a`.
//!
//! Start a second one, `127.0.0.1:3002 b`, and the proxy with one of the files beside this one: `nginx.conf`,
//! `haproxy.cfg` or `Caddyfile`. Clients connect to the proxy, and come back to the other server if theirs ends. With
//! `proxy-protocol` as a further argument, proxies on this machine have to send the PROXY protocol.
//!
//! With the addresses of other nodes, `b=127.0.0.1:3002` for the first, no proxy need keep clients on their server:
//! `nginx-round-robin.conf` does not. Requests for sessions of the other are handed over.
//!
//! At Ctrl-C or SIGTERM it drains: it tells health checks that it takes no more clients, and closes the sessions of
//! the others over two seconds.

mod application;

use std::{
    collections::HashMap,
    env,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use enginewire_tokio::{
    Cookie, Networks, NodeName, Response, ServerBuilder, TrustedProxies, socketio::Io,
};

use self::application::{asked_to_end, talk};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3001".into());
    let name: Arc<str> = arguments.next().unwrap_or_else(|| "a".into()).into();
    let mut sends_header = false;
    let mut nodes: HashMap<NodeName, SocketAddr> = HashMap::new();
    for argument in arguments {
        match argument.split_once('=') {
            Some((node, address)) => drop(nodes.insert(node.parse()?, address.parse()?)),
            None => sends_header |= argument == "proxy-protocol",
        }
    }
    // Those of your load balancer. A larger list lets others choose the address that they seem to have.
    let proxies: Networks = "127.0.0.1, ::1".parse()?;

    let asked_to_end = asked_to_end()?;
    let draining = Arc::new(AtomicBool::new(false));
    let is_draining = Arc::clone(&draining);
    let io = Io::new();
    // Before the server listens, as clients are refused that ask for a namespace that is not there.
    let clients = io.namespace("/");
    let mut builder = ServerBuilder::new()
        .socketio(&io)
        // For load balancers that learn from the first response which server has the session.
        .cookie(Cookie::default())
        .trusted_proxies(TrustedProxies::new(proxies.clone()))
        .fallback(move |request| {
            let is_healthy = !is_draining.load(Ordering::Relaxed);
            async move {
                match request.head.path() {
                    "/health" if is_healthy => Response::new(200, "text/plain", "ok"),
                    "/health" => Response::new(503, "text/plain", "draining"),
                    _ => Response::empty(404),
                }
            }
        });
    if !nodes.is_empty() {
        builder = builder.node(name.parse::<NodeName>()?);
        builder = builder.nodes(move |node| nodes.get(&node).copied());
    }
    if sends_header {
        builder = builder.proxy_protocol(proxies);
    }
    let server = builder.bind(address).await?;
    println!("listening on {}", server.local_addr());

    let end = async {
        asked_to_end.await;
        draining.store(true, Ordering::Relaxed);
        println!("draining {} sockets", io.stats().sockets);
        server.drain(Duration::from_secs(2)).await;
    };
    tokio::join!(end, clients.serve(move |socket| talk(socket, Arc::clone(&name))));
    Ok(())
}
