//! Sockets beside a router of salvo.

use std::io;

use salvo::{
    Router, Server,
    conn::{Acceptor, Listener, TcpListener},
    handler,
    prelude::TowerLayerCompat,
};

#[handler]
async fn page() -> &'static str {
    "a page"
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let server = enginewire_frameworks::start()?;
    let router = Router::new()
        .get(page)
        .push(Router::with_path("socket.io").hoop(server.layer().compat()).goal(page));
    let acceptor = TcpListener::new("127.0.0.1:0").bind().await;
    for holding in acceptor.holdings() {
        println!("{}", holding.local_addr.clone().into_std().map_or(0, |address| address.port()));
    }
    Server::new(acceptor).serve(router).await;
    Ok(())
}
