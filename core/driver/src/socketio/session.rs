//! The future of one client's session.
//!
//! It connects the client to namespaces, and polls the application's tasks for its sockets.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use enginewire::CloseReason;
use enginewire_socketio::{
    ConnectError, ConnectRequest as Request, Connection, DisconnectReason, Slot,
};

use super::{
    IoShared,
    io::{Found, NamespaceUse},
    layer::{News, SocketIoLayer},
    namespace::{Authorizing, ConnectRequest, NamespaceRequest, NamespaceShared, Serving},
    observer::SessionWatch,
    order::SocketData,
    recovering::{Ready, Recovering},
    socket::SocketShared,
};
use crate::{
    cell::SessionCell,
    socket::{Cell, Socket},
    trace::trace,
    waiters::Shareable,
};

/// The future of one client's session.
pub(super) struct Session {
    io: Arc<IoShared>,
    /// Dropping it closes the session.
    pub(super) engine: Socket,
    pub(super) cell: Arc<SessionCell>,
    has_news: Arc<AtomicBool>,
    pub(super) tasks: Vec<(Slot, Task)>,
    pub(super) sockets: Vec<Arc<SocketShared>>,
    /// Namespaces that the client is connected to, or asks for.
    namespaces: Vec<(Slot, NamespaceUse)>,
    watch: SessionWatch,
    is_closed: bool,
}

/// Something that the session waits for.
pub(super) enum Task {
    /// Whether a namespace exists.
    Find(Pin<Box<dyn Future<Output = Option<NamespaceUse>> + Send>>, Box<Request>),
    /// What a client needs that comes back, and the data that it was given if it was authorized.
    Recover(Recovering, Box<(ConnectRequest, Option<SocketData>)>),
    /// Whether the client may connect.
    Authorize(Authorizing, Box<ConnectRequest>),
    /// The application's task for a socket.
    Serve(Serving),
}

impl Session {
    /// Puts a connection on a session that has opened.
    ///
    /// # Panics
    ///
    /// Never: a server's handler is given sessions of a server.
    pub(super) fn new(io: Arc<IoShared>, engine: Socket) -> Self {
        let Cell::Server(cell) = engine.cell() else { unreachable!("a client's session") };
        let cell = Arc::clone(cell);
        let has_news = Arc::new(AtomicBool::new(true));
        let connection = Connection::new(cell.now(), Arc::clone(&io.config), engine.revision());
        let watch = io.observer.session(&cell);
        let layer =
            SocketIoLayer::new(connection, Arc::clone(&has_news), cell.sessions(), watch.tally());
        cell.set_layer(Box::new(layer));
        // A client of Socket.IO 2.x has asked for `/` by having come.
        cell.with_layer(SocketIoLayer::settle);
        let (tasks, sockets, namespaces) = (Vec::new(), Vec::new(), Vec::new());
        Self { io, engine, cell, has_news, tasks, sockets, namespaces, watch, is_closed: false }
    }

    fn handle_news(&mut self, news: News) {
        match news {
            News::Connect(slot, request) => self.connect(slot, request),
            News::Cancelled(slot) => {
                let waits = |task: &Task| !matches!(task, Task::Serve(_));
                self.tasks.retain(|(of, task)| *of != slot || !waits(task));
                self.let_go(slot);
            }
            News::Disconnected(slot, reason) => self.leave(slot, reason),
            News::Upgraded => self.watch.upgraded(&self.sockets),
            News::Closed => {
                self.watch.closed(self.cell.inspect(|session| session.close_reason().cloned()));
                self.is_closed = true;
            }
        }
    }

    fn connect(&mut self, slot: Slot, request: Request) {
        match self.io.find(&request.namespace) {
            Some(Found::Namespace(namespace)) => self.authorize(slot, namespace, request.auth),
            Some(Found::Undecided(search)) => {
                let name = Arc::<str>::from(&*request.namespace);
                let asked = NamespaceRequest {
                    name,
                    auth: request.auth.clone(),
                    handshake: self.engine.shared_handshake(),
                };
                let find = search.run(Arc::clone(&self.io), asked);
                self.push_task(slot, Task::Find(find, Box::new(request)));
            }
            None => self.refuse(slot, &ConnectError::invalid_namespace()),
        }
    }

    pub(super) fn push_task(&mut self, slot: Slot, task: Task) {
        // Nearly all clients have one socket.
        self.tasks.reserve_exact(1);
        self.tasks.push((slot, task));
    }

    /// Keeps a namespace for as long as the client is connected to it, or waits.
    pub(super) fn keep(&mut self, slot: Slot, namespace: NamespaceUse) -> Arc<NamespaceShared> {
        let shared = Arc::clone(&namespace.namespace);
        self.namespaces.reserve_exact(1);
        self.namespaces.push((slot, namespace));
        shared
    }

    pub(super) fn let_go(&mut self, slot: Slot) {
        self.namespaces.retain(|(of, _)| *of != slot);
    }

    pub(super) fn refuse(&mut self, slot: Slot, error: &ConnectError) {
        self.let_go(slot);
        trace!(DEBUG, session = self.cell.id(), error = error.message(), "client refused");
        self.cell.with_layer(|layer: &mut SocketIoLayer, cx| {
            let (connection, mut wire) = layer.split(cx);
            connection.refuse(slot, error, &mut wire);
            layer.settle(cx);
        });
    }

    /// Takes a socket out of its rooms.
    fn leave(&mut self, slot: Slot, reason: DisconnectReason) {
        let Some(index) = self.sockets.iter().position(|socket| socket.slot == slot) else {
            return;
        };
        let socket = self.sockets.swap_remove(index);
        socket.leave(reason);
        trace!(DEBUG, session = self.cell.id(), reason = reason.as_str(), "socket disconnected");
        self.let_go(slot);
    }

    fn finish(&mut self, slot: Slot, outcome: Outcome, cx: &Context<'_>) {
        match outcome {
            Outcome::Found(Some(namespace), request) => {
                self.authorize(slot, namespace, request.auth);
            }
            Outcome::Found(None, _) => self.refuse(slot, &ConnectError::invalid_namespace()),
            Outcome::Recovered(ready, request, data) => {
                self.finish_recovery(slot, ready, request, data);
            }
            Outcome::Authorized(Ok(data), request) => self.accept(slot, request, data),
            Outcome::Authorized(Err(error), _) => self.refuse(slot, &error),
            Outcome::Panicked => {
                self.refuse(slot, &ConnectError::new("internal error"));
            }
            Outcome::Served => {}
        }
        // New tasks are polled, too.
        cx.waker().wake_by_ref();
    }
}

/// The outcome of a [`Task`].
enum Outcome {
    Found(Option<NamespaceUse>, Request),
    Recovered(Option<Ready>, ConnectRequest, Option<SocketData>),
    Authorized(Result<SocketData, ConnectError>, ConnectRequest),
    Panicked,
    Served,
}

impl Task {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        match self {
            Self::Find(find, request) => poll_task(find, cx).map(|found| match found {
                Some(found) => Outcome::Found(found, (**request).clone()),
                None => Outcome::Panicked,
            }),
            Self::Recover(recovering, request) => recovering.as_mut().poll(cx).map(|ready| {
                let (request, data) = &mut **request;
                Outcome::Recovered(ready, request.clone(), data.take())
            }),
            Self::Authorize(authorizing, request) => {
                poll_task(authorizing, cx).map(|result| match result {
                    Some(result) => Outcome::Authorized(result, (**request).clone()),
                    None => Outcome::Panicked,
                })
            }
            Self::Serve(serving) => poll_task(&mut serving.future, cx).map(|_| Outcome::Served),
        }
    }
}

/// Polls a future of the application. `None` if it has panicked: that is the end of it, and of nothing else.
pub(super) fn poll_task<T>(
    task: &mut Pin<Box<dyn Future<Output = T> + Send>>,
    cx: &mut Context<'_>,
) -> Poll<Option<T>> {
    match caught(|| task.as_mut().poll(cx)) {
        Some(Poll::Pending) => Poll::Pending,
        Some(Poll::Ready(result)) => Poll::Ready(Some(result)),
        None => Poll::Ready(None),
    }
}

/// Calls a function of the application. `None` if it panics.
pub(super) fn caught<T>(call: impl FnOnce() -> T) -> Option<T> {
    let result = catch_unwind(AssertUnwindSafe(call));
    if result.is_err() {
        trace!(ERROR, "a function or task of the application has panicked");
    }
    result.ok()
}

impl Future for Session {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        while this.has_news.load(Ordering::Acquire) {
            // Before the look, so that nothing which comes behind it is missed.
            this.cell.wait_for_layer(cx);
            let news = this.cell.with_layer(|layer: &mut SocketIoLayer, _| layer.take_news());
            let Some(news) = news else { break };
            for news in news {
                this.handle_news(news);
            }
        }
        let mut index = 0;
        while let Some((slot, task)) = this.tasks.get_mut(index) {
            match task.poll(cx) {
                Poll::Pending => index += 1,
                Poll::Ready(outcome) => {
                    let slot = *slot;
                    let task = this.tasks.swap_remove(index);
                    caught(|| drop(task));
                    this.finish(slot, outcome, cx);
                }
            }
        }
        if this.is_closed && this.tasks.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The server may have ended before the session could.
        self.cell.with_layer(|layer: &mut SocketIoLayer, cx| {
            layer.connection.handle_closed(&CloseReason::ForcedClose);
            layer.settle(cx);
        });
        for socket in std::mem::take(&mut self.sockets) {
            socket.leave(DisconnectReason::ForcedClose);
        }
    }
}
