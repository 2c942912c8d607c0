//! `tracing`, if the feature is on, and nothing otherwise.
//!
//! Spans and fields never hold a session id, a query or a message.

use std::net::SocketAddr;

use enginewire::Url;

#[cfg(feature = "tracing")]
macro_rules! trace {
    ($level:ident, $($field:tt)*) => { tracing::event!(target: "enginewire", tracing::Level::$level, $($field)*) };
}

#[cfg(not(feature = "tracing"))]
macro_rules! trace {
    ($level:ident, $($name:ident = $(%)? $(?)? $value:expr,)* $message:literal) => {{ $(let _ = &$value;)* }};
}

pub(crate) use trace;

/// Returns whether refusals are logged, which are told at the level DEBUG.
#[cfg(feature = "tracing")]
pub(crate) fn is_logging() -> bool {
    tracing::enabled!(target: "enginewire", tracing::Level::DEBUG)
}

#[cfg(not(feature = "tracing"))]
pub(crate) const fn is_logging() -> bool {
    false
}

/// The span of a server's connection, of the handler of a session, or of a client's session: everything that its task
/// does happens in it.
#[derive(Default)]
pub(crate) struct Span(#[cfg(feature = "tracing")] Option<Box<tracing::Span>>);

#[cfg(feature = "tracing")]
impl Span {
    pub(crate) fn connection(id: u64, peer: SocketAddr) -> Self {
        Self::of(tracing::debug_span!(target: "enginewire", "connection", id, %peer))
    }

    pub(crate) fn server_session(id: u64, peer: SocketAddr) -> Self {
        Self::of(tracing::debug_span!(target: "enginewire", "session", id, %peer))
    }

    pub(crate) fn session(id: u64, server: &Url) -> Self {
        let server = server.authority();
        Self::of(tracing::debug_span!(target: "enginewire", "session", id, server))
    }

    /// On the heap, because most spans are those that no subscriber wants.
    fn of(span: tracing::Span) -> Self {
        Self((!span.is_disabled()).then(|| Box::new(span)))
    }

    pub(crate) fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(span) => span.in_scope(work),
            None => work(),
        }
    }
}

#[cfg(not(feature = "tracing"))]
impl Span {
    pub(crate) const fn connection(_id: u64, _peer: SocketAddr) -> Self {
        Self()
    }

    pub(crate) const fn server_session(_id: u64, _peer: SocketAddr) -> Self {
        Self()
    }

    pub(crate) const fn session(_id: u64, _server: &Url) -> Self {
        Self()
    }

    pub(crate) fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        work()
    }
}
