//! Servers behind axum that need no sticky sessions:
//! `cargo run -p enginewire-tokio --features tower --example axum_nodes -- 127.0.0.1:3001 a b=127.0.0.1:3002`.
//!
//! Start the second one, `127.0.0.1:3002 b a=127.0.0.1:3001`, and nginx with `nginx-round-robin.conf` of the example
//! `behind_proxy`, or any other load balancer. Each request may come to either: one for a session of the other is handed
//! over to it.
//!
//! At Ctrl-C or SIGTERM it closes the sessions over two seconds, and takes no new ones.

#[path = "../behind_proxy/application.rs"]
mod application;

use std::{collections::HashMap, env, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo, routing::get};
use enginewire_tokio::{NodeName, ServerBuilder, TrustedProxies, socketio::Io};
use tokio::net::TcpListener;

use self::application::{asked_to_end, talk};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3001".into());
    let name: Arc<str> = arguments.next().unwrap_or_else(|| "a".into()).into();
    let mut nodes: HashMap<NodeName, SocketAddr> = HashMap::new();
    for argument in arguments {
        let (node, address) = argument.split_once('=').ok_or("write a node as b=127.0.0.1:3002")?;
        nodes.insert(node.parse()?, address.parse()?);
    }

    let io = Io::new();
    let clients = io.namespace("/");
    let server = ServerBuilder::new()
        .socketio(&io)
        .node(name.parse::<NodeName>()?)
        .nodes(move |node| nodes.get(&node).copied())
        // The load balancer, and the nodes themselves: what they say about the client is true.
        .trusted_proxies(TrustedProxies::parse("127.0.0.1, ::1")?)
        .start()?;
    // Without it, the address of the client would be lost where a request is handed over.
    let layer = server
        .layer()
        .peer_addr(|extensions| extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0));
    let app = Router::new().route("/health", get(async || "ok")).layer(layer);

    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let asked_to_end = asked_to_end()?;
    let serving = axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async move {
            asked_to_end.await;
            server.drain(Duration::from_secs(2)).await;
        });
    let (served, ()) = tokio::join!(
        serving.into_future(),
        clients.serve(move |socket| talk(socket, Arc::clone(&name)))
    );
    Ok(served?)
}
