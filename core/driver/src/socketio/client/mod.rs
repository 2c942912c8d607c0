//! The client: its connection to a server, and its sockets.

mod builder;
mod cell;
mod connections;
mod emit;
mod error;
mod event;
mod interface;
pub mod platform;
mod socket;

use std::{
    fmt,
    future::{Future, poll_fn},
    sync::Arc,
};

use enginewire_socketio::Auth;
#[cfg(target_family = "wasm")]
use send_wrapper::SendWrapper;
use serde::Serialize;

pub use self::{
    builder::ClientBuilder,
    emit::{ClientAckFuture, ClientEmit, ClientEmitter},
    error::ClientError,
    event::{ClientAck, ClientEvent, Update},
    socket::{ClientRef, ClientSocket},
};
use self::{
    interface::{AuthHook, Cell},
    socket::SocketShared,
};
use crate::wakers::WakerKey;

/// A connection to a server, which its sockets share. Cheap to clone.
///
/// [`ClientBuilder`] makes it. It is there while a socket needs it, and is made anew when it is lost. When the last handle is dropped, of the client
/// and of its sockets, the connection is closed behind what is queued.
#[derive(Clone)]
pub struct Client {
    handle: Arc<Handle>,
}

/// State that all handles share. The task of the connections has the cell alone.
struct Handle {
    cell: Arc<dyn Cell>,
    /// The namespace that the path of the URL names.
    namespace: String,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.cell.close();
    }
}

impl Client {
    /// Makes a socket of a namespace, to be opened with options.
    ///
    /// A missing slash at the start is added. For a server of Socket.IO 2 parameters may follow the name, as in
    /// `/chat?token=1`.
    pub fn socket(&self, namespace: &str) -> SocketBuilder {
        SocketBuilder {
            handle: Arc::clone(&self.handle),
            namespace: namespace.to_owned(),
            auth: Ok(AuthSource::None),
        }
    }

    /// Opens a socket of the namespace that the path of the URL names. See [`SocketBuilder::open`].
    ///
    /// # Errors
    ///
    /// As [`SocketBuilder::open`].
    pub fn open(&self) -> Result<ClientSocket, ClientError> {
        self.socket(&self.handle.namespace).open()
    }

    /// Connects a socket of the namespace that the path of the URL names. See [`SocketBuilder::connect`].
    ///
    /// # Errors
    ///
    /// As [`SocketBuilder::connect`].
    pub async fn connect(&self) -> Result<ClientSocket, ClientError> {
        self.socket(&self.handle.namespace).connect().await
    }

    /// Disconnects all sockets for good, and closes the connection behind what is queued.
    ///
    /// Waits for that, and for the end of the connections. Returns the number of messages that were queued and have not
    /// left. Cancel safe: the client is closed whether or not the future is polled to its end.
    pub async fn close(&self) -> usize {
        let cell = &*self.handle.cell;
        cell.close();
        let mut waiting = Closing { cell, key: None };
        poll_fn(|cx| waiting.cell.poll_closed(cx, &mut waiting.key)).await
    }
}

/// Waits for the end of a client.
struct Closing<'a> {
    cell: &'a dyn Cell,
    key: WakerKey,
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.cell.stop_waiting_for_close(self.key);
    }
}

/// A socket that is to be opened, with its options.
#[must_use = "a builder does nothing by itself"]
pub struct SocketBuilder {
    handle: Arc<Handle>,
    namespace: String,
    auth: Result<AuthSource, ClientError>,
}

/// The payload of requests to connect.
enum AuthSource {
    None,
    Payload(enginewire_socketio::Payload),
    Hook(AuthHook),
}

impl SocketBuilder {
    /// Sets the payload that the server's authorization looks at: an object, for most servers. Default none.
    pub fn auth<A: Serialize + ?Sized>(mut self, auth: &A) -> Self {
        let payload = self.handle.cell.options().parser.payload(auth);
        self.auth = payload.map(AuthSource::Payload).map_err(ClientError::Encode);
        self
    }

    /// Sets a function that makes the payload for each request to connect.
    ///
    /// It is for tokens that expire.
    ///
    /// Its future is polled by the task of the connections. It may wait, and meanwhile other namespaces go on.
    #[cfg(not(target_family = "wasm"))]
    pub fn auth_with<A, F>(self, auth: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        A: Serialize,
        F: Future<Output = A> + Send + 'static,
    {
        self.with_hook(auth)
    }

    /// Sets a function that makes the payload for each request to connect.
    ///
    /// It is for tokens that expire. Neither it nor its future need be [`Send`], as values of JavaScript are not.
    ///
    /// Its future is polled by the task of the connections. It may wait, and meanwhile other namespaces go on.
    #[cfg(target_family = "wasm")]
    pub fn auth_with<A, F>(self, auth: impl Fn() -> F + 'static) -> Self
    where
        A: Serialize,
        F: Future<Output = A> + 'static,
    {
        let auth = SendWrapper::new(auth);
        self.with_hook(move || SendWrapper::new(auth()))
    }

    fn with_hook<A, F>(mut self, auth: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        A: Serialize,
        F: Future<Output = A> + Send + 'static,
    {
        let parser = self.handle.cell.options().parser.clone();
        let hook: AuthHook = Arc::new(move || {
            let (auth, parser) = (auth(), parser.clone());
            Box::pin(async move { parser.payload(&auth.await) })
        });
        self.auth = Ok(AuthSource::Hook(hook));
        self
    }

    /// Opens the socket, which connects as often as it takes. What it is asked to send waits until then.
    ///
    /// # Errors
    ///
    /// [`ClientError::NamespaceTaken`], [`ClientError::Closed`], [`ClientError::Encode`].
    pub fn open(self) -> Result<ClientSocket, ClientError> {
        let Self { handle, namespace, auth } = self;
        let (auth, hook) = match auth? {
            AuthSource::None => (Auth::None, None),
            AuthSource::Payload(payload) => (Auth::Payload(payload), None),
            AuthSource::Hook(hook) => (Auth::Ask, Some(hook)),
        };
        let (slot, namespace) = handle.cell.open(&namespace, auth, hook)?;
        Ok(ClientSocket::new(SocketShared::new(handle, slot, &namespace)))
    }

    /// Connects the socket, and waits for the response of the server.
    ///
    /// The first attempt counts: unlike [`open`](Self::open) it gives up when that fails. A connection that is lost
    /// later is tried again. Cancel safe: if the future is dropped, the socket is disconnected.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn connect(self) -> Result<ClientSocket, ClientError> {
        let socket = self.open()?;
        socket.first_connection().await?;
        Ok(socket)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl fmt::Debug for SocketBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketBuilder").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
