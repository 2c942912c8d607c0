//! A bare WebSocket echo server on `PORT`, for the Autobahn test suite.

use enginewire_tests::{echo, profile};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind(profile::address()).await?;
    announce(&listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            // What goes wrong with one connection is that connection's peer's to see.
            let _ = echo::serve(stream).await;
        });
    }
}

fn announce(listener: &TcpListener) -> std::io::Result<()> {
    println!("{}", listener.local_addr()?.port());
    Ok(())
}
