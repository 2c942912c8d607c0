//! The layer around an application.

use std::{
    fmt,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{Body, Service, ServiceFuture};

/// A server as a layer. Made by [`ServerHandle::layer`](crate::ServerHandle::layer).
///
/// Requests for the [path](crate::ServerBuilder::path) of the server go to it, all others to the service that is
/// layered.
#[derive(Clone, Debug)]
pub struct Layer {
    service: Service,
}

/// A service with a server in front of it. Made by [`Layer`].
///
/// Errors of its response bodies are [`LayeredBodyError`]s.
#[derive(Clone, Debug)]
pub struct Layered<S> {
    service: Service,
    inner: S,
}

impl Layer {
    pub(super) const fn new(service: Service) -> Self {
        Self { service }
    }

    /// Sets how the address of the peer is found. See [`Service::peer_addr`].
    #[must_use]
    pub fn peer_addr(
        self,
        find: impl Fn(&http::Extensions) -> Option<SocketAddr> + Send + Sync + 'static,
    ) -> Self {
        Self { service: self.service.peer_addr(find) }
    }
}

impl<S> tower_layer::Layer<S> for Layer {
    type Service = Layered<S>;

    fn layer(&self, inner: S) -> Layered<S> {
        Layered { service: self.service.clone(), inner }
    }
}

impl<S, B, R> tower_service::Service<http::Request<B>> for Layered<S>
where
    S: tower_service::Service<http::Request<B>, Response = http::Response<R>>,
    B: HttpBody,
    R: HttpBody<Data = Bytes, Error: Into<BoxError>>,
{
    type Response = http::Response<LayeredBody<R>>;
    type Error = S::Error;
    type Future = LayeredFuture<S::Future, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let taker = if self.service.serves(request.uri().path()) {
            Taker::Server { of: self.service.respond(request) }
        } else {
            Taker::Inner { of: self.inner.call(request) }
        };
        LayeredFuture { taker }
    }
}

/// Error of the body of a [`Layered`] service.
///
/// It is of the service inside, or a [`BodyError`](super::BodyError).
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct LayeredBodyError(BoxError);

impl LayeredBodyError {
    /// Returns the error itself, to downcast it.
    pub fn into_inner(self) -> Box<dyn std::error::Error + Send + Sync> {
        self.0
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

pin_project! {
    /// The response of a [`Layered`] service to come.
    pub struct LayeredFuture<F, B> {
        #[pin]
        taker: Taker<ServiceFuture<B>, F>,
    }
}

pin_project! {
    /// The body of a response of a [`Layered`] service.
    pub struct LayeredBody<R> {
        #[pin]
        taker: Taker<Body, R>,
    }
}

pin_project! {
    /// A part of an exchange that either the server or the service inside has taken.
    #[project = TakerProjection]
    enum Taker<S, I> {
        Server { #[pin] of: S },
        Inner { #[pin] of: I },
    }
}

impl<F, B, R, E> Future for LayeredFuture<F, B>
where
    F: Future<Output = Result<http::Response<R>, E>>,
    B: HttpBody,
{
    type Output = Result<http::Response<LayeredBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = match self.project().taker.project() {
            TakerProjection::Server { of } => {
                let Ok(response) = ready!(of.poll(cx));
                response.map(|body| Taker::Server { of: body })
            }
            TakerProjection::Inner { of } => {
                ready!(of.poll(cx))?.map(|body| Taker::Inner { of: body })
            }
        };
        Poll::Ready(Ok(response.map(|taker| LayeredBody { taker })))
    }
}

impl<R: HttpBody<Data = Bytes, Error: Into<BoxError>>> HttpBody for LayeredBody<R> {
    type Data = Bytes;
    type Error = LayeredBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, LayeredBodyError>>> {
        match self.project().taker.project() {
            TakerProjection::Server { of } => {
                of.poll_frame(cx).map_err(|error| LayeredBodyError(error.into()))
            }
            TakerProjection::Inner { of } => {
                of.poll_frame(cx).map_err(|error| LayeredBodyError(error.into()))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.taker {
            Taker::Server { of } => of.is_end_stream(),
            Taker::Inner { of } => of.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.taker {
            Taker::Server { of } => of.size_hint(),
            Taker::Inner { of } => of.size_hint(),
        }
    }
}

impl<R: Default> Default for LayeredBody<R> {
    fn default() -> Self {
        Self { taker: Taker::Inner { of: R::default() } }
    }
}

impl<R> fmt::Debug for LayeredBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayeredBody").finish_non_exhaustive()
    }
}

impl<F, B> fmt::Debug for LayeredFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayeredFuture").finish_non_exhaustive()
    }
}
