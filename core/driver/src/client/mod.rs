//! The client: how it is set up, and the sessions that it opens.

mod builder;
mod connect;
mod encrypt;
pub(crate) mod host;
mod sessions;
mod stream;
pub(crate) mod task;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::AtomicBool},
    task::{Context, Poll, ready},
};

use enginewire::{ClientConfig, Reconnect, Time, Url, wire::http::RequestHead};

pub use self::{builder::ClientBuilder, connect::connect_tcp, sessions::Sessions};
use self::{encrypt::Encryptor, sessions::Connector, stream::ConnectHook};
use crate::{
    client_cell::{ClientCell, ClientState},
    connect_error::ConnectError,
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

pub(crate) struct Shared<R: Runtime> {
    runtime: R,
    /// Opens connections, in place of the runtime.
    connector: Option<ConnectHook>,
    encryptor: Encryptor,
    url: Url,
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) reconnect: Reconnect,
    /// The part that the handles of sessions need, which know no runtime.
    pub(crate) state: Arc<ClientState>,
}

impl<R: Runtime + Default> Client<R> {
    /// Starts to set up a client for the server at `url`. Its scheme is `http` or `ws`, and also
    /// `https` or `wss` with the feature `tls`, an [encryptor](ClientBuilder::encryptor), or a
    /// [connector](ClientBuilder::connector). A path other than `/` takes the place of `/engine.io/`.
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
    pub async fn connect(url: &str) -> Result<Socket, ConnectError> {
        Self::builder(url).connect().await
    }
}

impl<R: Runtime> Client<R> {
    fn new(
        runtime: R,
        (connector, encryptor): (Option<ConnectHook>, Encryptor),
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
        let state = Arc::new(ClientState { clock: runtime.clock(), head, websocket_worked });
        let shared = Shared { runtime, connector, encryptor, url, config, reconnect, state };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Opens a session: a future that gives its [`Socket`], or why there is none. The attempt begins
    /// with this call.
    pub fn open(&self) -> Connecting {
        Connecting { cell: task::start(&self.shared), done: false }
    }

    /// Opens sessions one after the other: a first one, and another whenever one was lost.
    pub fn sessions(&self) -> Sessions {
        let policy = self.shared.reconnect.clone();
        Sessions::new(Box::new(self.clone()), policy, self.shared.state.clock.clone())
    }

    #[cfg(feature = "socketio")]
    pub(crate) const fn shared(&self) -> &Arc<Shared<R>> {
        &self.shared
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
pub struct Connecting {
    cell: Arc<ClientCell>,
    done: bool,
}

impl Connecting {
    /// Sends to the session. What is sent before it is open is kept until then.
    pub fn sender(&self) -> Sender {
        Sender::new(Cell::Client(Arc::clone(&self.cell)))
    }
}

impl Future for Connecting {
    type Output = Result<Socket, ConnectError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let opened = ready!(self.cell.poll_open(cx));
        self.done = true;
        Poll::Ready(opened.map(|handshake| {
            Socket::new(Cell::Client(Arc::clone(&self.cell)), Arc::new(handshake))
        }))
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        if !self.done {
            self.cell.abort();
        }
    }
}

impl fmt::Debug for Connecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting").finish_non_exhaustive()
    }
}

impl<R: Runtime> Connector for Client<R> {
    fn open(&self) -> Connecting {
        self.open()
    }

    fn sleep_until(&self, deadline: Time) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let sleep = self.shared.runtime.sleep_until(deadline);
        Box::pin(async move {
            sleep.await;
        })
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
