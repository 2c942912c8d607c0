//! The service, and the request as it comes.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http_body::Body as HttpBody;
use pin_project_lite::pin_project;

use super::{Body, Layer, exchange::Exchanging};
use crate::{server::ServerHandle, shared::Shared};

/// A server as a service. Made by [`ServerHandle::service`].
///
/// Serves the [path](crate::ServerBuilder::path) of its server. Other paths are responded to by the
/// [fallback](crate::ServerBuilder::fallback), by default with status 404. A router that strips a prefix, as `nest_service`
/// of axum does, changes what the path is compared with: the client's path is the prefix and the server's path.
///
/// Its futures are polled inside the runtime of the server. Cheap to clone; does not keep the server alive. Once the
/// server has been dropped, all requests are refused with status 503.
#[derive(Clone)]
pub struct Service {
    shared: Arc<Shared>,
    find_peer_addr: Option<Arc<FindPeerAddr>>,
}

/// Finds the address of the peer among the extensions of a request.
type FindPeerAddr = dyn Fn(&http::Extensions) -> Option<SocketAddr> + Send + Sync;

/// The address of the peer, as an extension of a request.
///
/// For accept loops of one's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

impl ServerHandle {
    /// Makes a `tower` service of the server, for a route of a router.
    ///
    /// ```no_run
    /// # use enginewire_driver::{Runtime, ServerBuilder, tower};
    /// # fn example<R: Runtime>(builder: ServerBuilder<R>) -> std::io::Result<tower::Service> {
    /// let server = builder.start()?;
    /// // For axum: Router::new().route_service("/engine.io/", server.service())
    /// # Ok(server.service())
    /// # }
    /// ```
    pub fn service(&self) -> Service {
        Service { shared: Arc::clone(&self.shared), find_peer_addr: None }
    }

    /// Makes a `tower` layer of the server, to go around a whole application.
    ///
    /// ```no_run
    /// # use enginewire_driver::{Runtime, ServerBuilder, tower};
    /// # fn example<R: Runtime>(builder: ServerBuilder<R>) -> std::io::Result<tower::Layer> {
    /// let server = builder.start()?;
    /// // For axum: Router::new().route("/", get(page)).layer(server.layer())
    /// # Ok(server.layer())
    /// # }
    /// ```
    pub fn layer(&self) -> Layer {
        Layer::new(self.service())
    }
}

impl Service {
    /// Sets how the address of the peer is found among the extensions of a request. Default: [`PeerAddr`].
    ///
    /// With axum: `|extensions| extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0)`.
    #[must_use]
    pub fn peer_addr(
        mut self,
        find: impl Fn(&http::Extensions) -> Option<SocketAddr> + Send + Sync + 'static,
    ) -> Self {
        self.find_peer_addr = Some(Arc::new(find));
        self
    }

    /// Returns whether requests for `path` belong to the server.
    pub(super) fn serves(&self, path: &str) -> bool {
        self.shared.router.serves(path)
    }

    /// Begins to respond to a request.
    pub(super) fn respond<B>(&self, request: http::Request<B>) -> ServiceFuture<B> {
        let (parts, body) = request.into_parts();
        let peer_addr = self.find(&parts.extensions);
        ServiceFuture {
            body,
            exchanging: Exchanging::new(Arc::clone(&self.shared), parts, peer_addr.into()),
        }
    }

    fn find(&self, extensions: &http::Extensions) -> SocketAddr {
        let found = self.find_peer_addr.as_ref().and_then(|find| find(extensions));
        found
            .or_else(|| extensions.get::<PeerAddr>().map(|addr| addr.0))
            .unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }
}

impl<B: HttpBody> tower_service::Service<http::Request<B>> for Service {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = ServiceFuture<B>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> ServiceFuture<B> {
        self.respond(request)
    }
}

pin_project! {
    /// The response of a [`Service`] to come.
    ///
    /// Dropping it is what the loss of a connection is: a poll in flight ends its session.
    pub struct ServiceFuture<B> {
        #[pin]
        body: B,
        exchanging: Exchanging,
    }
}

impl<B: HttpBody> Future for ServiceFuture<B> {
    type Output = Result<http::Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.exchanging.poll(this.body, cx).map(Ok)
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("path", &self.shared.router.config().path)
            .finish_non_exhaustive()
    }
}

impl<B> fmt::Debug for ServiceFuture<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceFuture").finish_non_exhaustive()
    }
}
