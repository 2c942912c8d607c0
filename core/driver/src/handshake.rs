//! The request that opened a session.

use std::{
    any::Any,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use enginewire::wire::http::RequestHead;

#[cfg(feature = "tls-no-provider")]
use crate::tls::TlsInfo;
use crate::{peer::Peer, sync::lock};

/// The request that opened a session, and values that the application has attached to it.
pub struct Handshake {
    head: RequestHead,
    peer: Peer,
    #[cfg(feature = "tls-no-provider")]
    tls: Option<Arc<TlsInfo>>,
    /// `None` as long as there are none: each session has a handshake.
    extensions: Mutex<Option<Box<Extensions>>>,
}

/// Values of the application.
#[derive(Default)]
struct Extensions {
    values: Vec<Arc<dyn Any + Send + Sync>>,
    /// Values of middleware that have not been asked for.
    #[cfg(feature = "tower")]
    request: http::Extensions,
}

impl Handshake {
    pub(crate) fn new(head: RequestHead, peer: impl Into<Peer>) -> Self {
        Self {
            head,
            peer: peer.into(),
            #[cfg(feature = "tls-no-provider")]
            tls: None,
            extensions: Mutex::default(),
        }
    }

    #[cfg(feature = "tls-no-provider")]
    pub(crate) fn with_tls(mut self, tls: Option<Arc<TlsInfo>>) -> Self {
        self.tls = tls;
        self
    }

    /// Adds what middleware has attached to the request.
    #[cfg(feature = "tower")]
    pub(crate) fn with_extensions(self, request: http::Extensions) -> Self {
        if !request.is_empty() {
            lock(&self.extensions).get_or_insert_default().request = request;
        }
        self
    }

    #[cfg(feature = "socketio")]
    pub(crate) const fn head(&self) -> &RequestHead {
        &self.head
    }

    /// Returns whether the client has come with TLS, as far as this server knows.
    #[cfg(feature = "socketio")]
    pub(crate) const fn is_secure(&self) -> bool {
        #[cfg(feature = "tls-no-provider")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls-no-provider"))]
        false
    }

    /// The path, not decoded.
    pub fn path(&self) -> &str {
        self.head.path()
    }

    /// The query, not decoded. See [`enginewire::query::pairs`].
    pub fn query(&self) -> &str {
        self.head.query()
    }

    /// The value of a query parameter, decoded; the last one if there are several.
    pub fn query_value(&self, key: &str) -> Option<String> {
        enginewire::query::value(self.query(), key).map(std::borrow::Cow::into_owned)
    }

    /// The value of the first header field named `name`, in any case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.head.header(name)
    }

    /// All header fields, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.head.headers()
    }

    /// Returns the address of the client, as far as it is known.
    ///
    /// That is the address of the TCP connection, unless a proxy that is trusted has told another. See
    /// [`ServerBuilder::trusted_proxies`](crate::ServerBuilder::trusted_proxies) and
    /// [`proxy_protocol`](crate::ServerBuilder::proxy_protocol). The port is 0 if the proxy has not told it.
    pub const fn peer_addr(&self) -> SocketAddr {
        self.peer.addr
    }

    /// Returns the address of the proxy that has told the address of the client.
    ///
    /// It is that of the TCP connection. `None` if [`peer_addr`](Self::peer_addr) is.
    pub fn proxy_addr(&self) -> Option<SocketAddr> {
        self.peer.proxy()
    }

    /// Results of the TLS handshake: the name asked for, the client's certificates, the version.
    ///
    /// `None` without TLS, behind another HTTP server, for a connection of [`serve`](crate::ServerHandle::serve), and on
    /// the client.
    #[cfg(feature = "tls-no-provider")]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_deref()
    }

    /// Attaches a value, in place of one of the same type.
    ///
    /// [`allow_request`](crate::ServerBuilder::allow_request) attaches the user that it has found, for example, and the
    /// task of the session reads it.
    pub fn insert<T: Any + Send + Sync>(&self, value: T) {
        let mut extensions = lock(&self.extensions);
        let extensions = extensions.get_or_insert_default();
        extensions.values.retain(|old| !old.is::<T>());
        extensions.values.push(Arc::new(value));
    }

    /// Returns the value of this type that was attached.
    ///
    /// It was attached by [`insert`](Self::insert), or by middleware in front of a `tower` service to the request.
    pub fn extension<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        lock(&self.extensions).as_mut()?.find()
    }
}

impl Extensions {
    fn find<T: Any + Send + Sync>(&mut self) -> Option<Arc<T>> {
        let known = self.values.iter().find_map(|value| Arc::clone(value).downcast().ok());
        #[cfg(feature = "tower")]
        if known.is_none() {
            // From now on it is shared.
            let value = Arc::new(self.request.remove::<T>()?);
            self.values.push(Arc::<T>::clone(&value));
            return Some(value);
        }
        known
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("path", &self.path())
            .field("peer_addr", &self.peer_addr())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "tower"))]
mod tests {
    use super::*;

    #[test]
    fn extension_of_the_request_is_shared_until_it_is_replaced() {
        let head = RequestHead::parse(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1).unwrap();
        let mut request = http::Extensions::new();
        request.insert(1_u8);
        request.insert("text");
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let handshake = Handshake::new(head, address).with_extensions(request);
        let first = handshake.extension::<u8>().unwrap();
        assert!(Arc::ptr_eq(&first, &handshake.extension::<u8>().unwrap()));
        handshake.insert(2_u8);
        handshake.insert("other");
        assert_eq!((*first, handshake.extension::<u8>().as_deref()), (1, Some(&2)));
        assert_eq!(handshake.extension::<&str>().as_deref(), Some(&"other"));
        assert!(handshake.extension::<u16>().is_none());
    }
}
