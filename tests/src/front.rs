//! How clients reach a server: by its own listener, or behind axum.

use std::{future::Future, io, net::SocketAddr};

use enginewire_driver::{Runtime, Server, ServerBuilder};
use enginewire_tokio::Tokio;
use tokio::net::TcpListener;

/// Starts servers, each with its way to be reached.
pub trait Front<R: Runtime>: Send + 'static {
    /// Starts a server that listens on `address`. Returns it with the address that it has got.
    fn start(
        self,
        builder: ServerBuilder<R>,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<(Server, SocketAddr)>> + Send;
}

/// The own listener and HTTP server.
#[derive(Clone, Copy, Debug)]
pub struct Own;

/// axum, with the server as a layer around an application that has nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Axum;

impl<R: Runtime> Front<R> for Own {
    async fn start(
        self,
        builder: ServerBuilder<R>,
        address: SocketAddr,
    ) -> io::Result<(Server, SocketAddr)> {
        let server = builder.bind(address).await?;
        let address = server.local_addr();
        Ok((server, address))
    }
}

impl Front<Tokio> for Axum {
    async fn start(
        self,
        builder: ServerBuilder<Tokio>,
        address: SocketAddr,
    ) -> io::Result<(Server, SocketAddr)> {
        let server = builder.start()?;
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let application = axum::Router::new().layer(server.layer());
        // Ends with the process.
        tokio::spawn(async move { axum::serve(listener, application).await });
        Ok((server, address))
    }
}
