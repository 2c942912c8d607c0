//! Sockets beside filters of warp.

use std::io;

use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::net::TcpListener;
use tower_layer::Layer;
use warp::Filter;

#[tokio::main]
async fn main() -> io::Result<()> {
    let server = enginewire_frameworks::start()?;
    let filters = warp::path::end().map(|| "a page");
    let service = TowerToHyperService::new(server.layer().layer(warp::service(filters)));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        let connection =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
        tokio::spawn(connection.with_upgrades());
    }
}
