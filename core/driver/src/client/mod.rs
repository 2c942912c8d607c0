//! The client: how it is set up, and the sessions that it opens.

mod builder;
mod cell;
mod connect;
mod sessions;
mod task;

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, atomic::AtomicBool},
    task::{Context, Poll, ready},
};

use enginewire::{ClientConfig, CloseReason, InvalidUrl, Reconnect, Url, wire::http::RequestHead};

pub(crate) use self::cell::ClientCell;
pub use self::{builder::ClientBuilder, sessions::Sessions};
use crate::{
    runtime::Runtime,
    socket::{Cell, Sender, Socket},
};

/// Opens sessions with one server. Cheap to clone.
///
/// [`Client::connect`] opens one; [`Client::builder`] says how; [`sessions`](Self::sessions) opens
/// another one whenever one was lost.
pub struct Client<R: Runtime> {
    shared: Arc<Shared<R>>,
}

struct Shared<R: Runtime> {
    runtime: R,
    url: Url,
    config: Arc<ClientConfig>,
    reconnect: Reconnect,
    /// What all requests have in common, for the application to look at.
    head: RequestHead,
    /// A WebSocket has worked, and nothing has failed since.
    websocket_worked: AtomicBool,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is no valid URL.
    #[error("the address is invalid: {0}")]
    Url(#[from] InvalidUrl),
    /// The address asks for TLS, and the runtime's streams have none; see [`Runtime::TLS`].
    #[error("the address asks for TLS, which this runtime does not bring")]
    Tls,
    /// A header field is malformed, or one that the client writes itself.
    #[error("the header field {name:?} cannot be sent: it is malformed, or the client's own")]
    Header {
        /// Its name.
        name: String,
    },
    /// A WebSocket subprotocol is no token, or is offered twice.
    #[error("the subprotocol {name:?} cannot be offered: it is no token, or is offered twice")]
    Subprotocol {
        /// Its name.
        name: String,
    },
    /// Path, query and header fields together are more than any server takes.
    #[error("the path, query and header fields are too large for a request")]
    Request,
    /// The session was over before it was open.
    #[error("{reason}")]
    Session {
        /// Why.
        reason: CloseReason,
        /// What the operating system said, if there was no connection to be had.
        #[source]
        source: Option<io::Error>,
    },
}

impl<R: Runtime + Default> Client<R> {
    /// Starts to set up a client for the server at `url`: `http`, `ws`, or with a runtime that brings
    /// TLS also `https` and `wss`. A path other than `/` takes the place of `/engine.io/`.
    pub fn builder(url: &str) -> ClientBuilder<R> {
        ClientBuilder::new(R::default(), url)
    }

    /// Opens a session with the server at `url`, with the defaults.
    ///
    /// Cancel safe: if the future is dropped, the session is given up.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], once: what fails is not tried again.
    pub async fn connect(url: &str) -> Result<Socket<R>, ConnectError> {
        Self::builder(url).connect().await
    }
}

impl<R: Runtime> Client<R> {
    fn new(
        runtime: R,
        url: Url,
        config: ClientConfig,
        reconnect: Reconnect,
    ) -> Result<Self, ConnectError> {
        let transport = config.transports.first().map_or("polling", |transport| transport.name());
        let mut head =
            format!("GET {}{transport} HTTP/1.1\r\nHost: {}\r\n", config.target(), url.authority())
                .into_bytes();
        head.extend_from_slice(config.headers().as_bytes());
        head.extend_from_slice(b"\r\n");
        let head = RequestHead::parse(&head, MAX_HEADERS).map_err(|_| ConnectError::Request)?;
        let websocket_worked = AtomicBool::new(false);
        let config = Arc::new(config);
        let shared = Shared { runtime, url, config, reconnect, head, websocket_worked };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Opens a session: a future that gives its [`Socket`], or why there is none. The attempt begins
    /// with this call.
    pub fn open(&self) -> Connecting<R> {
        Connecting { cell: task::start(&self.shared), done: false }
    }

    /// Opens sessions one after the other: a first one, and another whenever one was lost.
    pub fn sessions(&self) -> Sessions<R> {
        Sessions::new(self.clone())
    }

    /// Where the server is.
    pub fn url(&self) -> &Url {
        &self.shared.url
    }
}

/// A session that is being opened.
///
/// Cancel safe: if it is dropped before it has completed, the session is given up.
///
/// # Errors
///
/// [`ConnectError::Session`].
#[must_use = "a session that is dropped before it is open is given up"]
pub struct Connecting<R: Runtime> {
    cell: Arc<ClientCell<R>>,
    done: bool,
}

impl<R: Runtime> Connecting<R> {
    /// Sends to the session. What is sent before it is open is kept until then.
    pub fn sender(&self) -> Sender<R> {
        Sender::new(Cell::Client(Arc::clone(&self.cell)))
    }
}

impl<R: Runtime> Future for Connecting<R> {
    type Output = Result<Socket<R>, ConnectError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let opened = ready!(self.cell.poll_open(cx));
        self.done = true;
        Poll::Ready(opened.map(|handshake| {
            Socket::new(Cell::Client(Arc::clone(&self.cell)), Arc::new(handshake))
        }))
    }
}

impl<R: Runtime> Drop for Connecting<R> {
    fn drop(&mut self) {
        if !self.done {
            self.cell.abort();
        }
    }
}

impl<R: Runtime> fmt::Debug for Connecting<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting").finish_non_exhaustive()
    }
}

impl<R: Runtime> Clone for Client<R> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<R: Runtime> fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("url", &self.shared.url).finish_non_exhaustive()
    }
}

/// Header fields that an application may add: as many as servers take.
const MAX_HEADERS: usize = 100;
