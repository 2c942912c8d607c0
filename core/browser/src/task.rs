//! The task of a client.
//!
//! Actions of its sessions become requests, WebSockets and a timer of the browser.
//!
//! Callbacks of JavaScript leave what came in an [`Inbox`], and wake the task. Nothing else happens in them.

use std::{
    cell::RefCell,
    cmp::Ordering,
    future::Future,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use enginewire::{
    ClientAction, CloseReason, ExchangeId, HttpResponse, Request, Time, TransportFault,
    WebSocketEnd, WebSocketId, wire::ws::Violation,
};
use enginewire_driver::socketio::platform::{PlatformGuard, PlatformTask};
use enginewire_socketio::client_hub::SessionNumber;
use wasm_bindgen::{JsCast, closure::Closure};

use crate::{
    globals::{self, Timer},
    inbox::{Inbox, Input, SocketInput},
    lifecycle::Listeners,
    requests::{self, Requests, text_of},
    sockets::Socket,
};

/// Options of a task.
pub(crate) struct Options {
    pub(crate) requests: requests::Options,
    /// Scheme, host and port of the server, for WebSockets.
    pub(crate) websocket_origin: String,
    /// Whether the server is on this machine, which is reached without a network.
    pub(crate) is_local: bool,
    /// Whether the client is closed when the page is left.
    pub(crate) close_on_pagehide: bool,
}

/// Runs a client until it is closed, and its connections are.
pub(crate) fn spawn(client: PlatformTask, options: Options) {
    let inbox = Inbox::default();
    let expired = inbox.clone();
    let on_timer = Closure::<dyn FnMut()>::new(move || expired.push(Input::Timer));
    let task = Rc::new(RefCell::new(Task {
        client,
        options,
        inbox: inbox.clone(),
        requests: Requests::default(),
        sockets: Vec::new(),
        timer: Timer::default(),
        on_timer,
        is_leaving: false,
        waker: Waker::noop().clone(),
    }));
    let page = Rc::downgrade(&task);
    let listeners = Listeners::new(&inbox, move || {
        let task = page.upgrade();
        // It is borrowed only while it runs, which events of the page do not interrupt.
        if let Some(mut task) = task.as_ref().and_then(|task| task.try_borrow_mut().ok()) {
            task.leave_page();
        }
    });
    wasm_bindgen_futures::spawn_local(Running { task, _listeners: listeners });
}

/// The task, as a future.
struct Running {
    task: Rc<RefCell<Task>>,
    _listeners: Listeners,
}

impl Future for Running {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut task = self.task.borrow_mut();
        task.waker.clone_from(cx.waker());
        let is_finished = task.drive(cx);
        if is_finished {
            task.client.finish();
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

struct Task {
    client: PlatformTask,
    options: Options,
    inbox: Inbox,
    requests: Requests,
    sockets: Vec<Socket>,
    timer: Timer,
    on_timer: Closure<dyn FnMut()>,
    /// The page is being left: what is sent now must outlive it.
    is_leaving: bool,
    waker: Waker,
}

impl Task {
    /// Hands over what came, then the time, and does what the sessions ask for. Returns whether the client is finished.
    fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        let Self { client, inbox, sockets, timer, on_timer, .. } = self;
        inbox.register(cx.waker());
        client.register(cx.waker());
        client.poll_application(cx);
        let now = globals::now();
        let mut guard = client.lock();
        guard.hub().set_now(now);
        let mut connections = Connections {
            options: &self.options,
            inbox,
            requests: &mut self.requests,
            sockets,
            is_leaving: self.is_leaving,
        };
        // Inputs first: a ping that waits behind a timer which was late is in time.
        while let Some(input) = inbox.pop() {
            if matches!(input, Input::Timer) {
                timer.expire();
            }
            connections.accept(&mut guard, now, input);
        }
        if guard.poll_timeout().is_some_and(|due| due <= now) {
            guard.handle_timeout(now);
        }
        loop {
            while let Some((session, action)) = guard.hub().poll_platform_action() {
                connections.act(&mut guard, now, session, action);
            }
            let has_written = connections.write(&mut guard, now);
            let has_released = connections.release_held(&mut guard, now);
            if !has_written && !has_released && !guard.hub().has_actions() {
                break;
            }
        }
        let is_finished = guard.hub().is_finished();
        let due = guard.poll_timeout();
        let throttled = sockets.iter().any(Socket::is_holding) || !guard.hub().is_receiving();
        guard.settle(due, throttled);
        drop(guard);
        // The browser does not tell when it has sent what it had.
        let is_blocked = sockets.iter().any(Socket::is_blocked);
        let recheck = is_blocked.then(|| now + RECHECK);
        let due = due.into_iter().chain(recheck).min();
        timer.set(now, due.filter(|_| !is_finished), on_timer.as_ref().unchecked_ref());
        is_finished
    }

    /// Closes the client if that is wanted, because the page is left.
    fn leave_page(&mut self) {
        if self.options.close_on_pagehide {
            self.is_leaving = true;
            self.client.close();
            // There is no other turn of the page's event loop.
            let waker = self.waker.clone();
            self.drive(&mut Context::from_waker(&waker));
            waker.wake();
        }
    }
}

/// Requests and WebSockets of a client.
struct Connections<'a> {
    options: &'a Options,
    inbox: &'a Inbox,
    requests: &'a mut Requests,
    sockets: &'a mut Vec<Socket>,
    is_leaving: bool,
}

impl Connections<'_> {
    /// Hands an input to the client.
    fn accept(&mut self, client: &mut PlatformGuard<'_>, now: Time, input: Input) {
        match input {
            Input::Response(session, on, head, body) => {
                if self.requests.end(session, on) {
                    client.hub().with_session(now, session, |engine| {
                        let head: &dyn HttpResponse = &head;
                        engine.session_mut().handle_response(now, on, head, body);
                    });
                }
            }
            Input::Lost(session, on, fault, error) => {
                if self.requests.end(session, on) {
                    lose_exchange(client, now, (session, on), fault, error);
                }
            }
            Input::Progress(session, bytes) => {
                client.hub().with_session(now, session, |engine| {
                    engine.session_mut().handle_progress(now, bytes);
                });
            }
            Input::WebSocket(session, on, input) => {
                self.accept_socket(client, now, (session, on), input);
            }
            Input::Offline if self.options.is_local => {}
            Input::Offline => {
                client.note_error(io::Error::other("the browser is offline"));
                client.hub().handle_offline(now);
            }
            Input::Online => client.hub().retry_now(),
            Input::Timer => {}
        }
    }

    /// Hands over what happened to a WebSocket, or holds it until the application has caught up.
    fn accept_socket(
        &mut self,
        client: &mut PlatformGuard<'_>,
        now: Time,
        (session, on): (SessionNumber, WebSocketId),
        input: SocketInput,
    ) {
        let Some(at) = self.position(session, on) else { return };
        let socket = &mut self.sockets[at];
        if socket.is_closing || !socket.is_holding() && is_reading(client, session) {
            return self.take_socket(client, now, at, input);
        }
        let max =
            client.hub().session(session).map_or(0, |session| session.config().limits.max_payload);
        if socket.hold(input, max) == Ordering::Greater {
            // A browser reads a WebSocket whether or not the application does.
            let reason = CloseReason::Application("the application is too slow for the server");
            client.hub().with_session(now, session, |engine| {
                engine.session_mut().abort_with(reason);
            });
        }
    }

    /// Hands over what happened to a WebSocket.
    fn take_socket(
        &mut self,
        client: &mut PlatformGuard<'_>,
        now: Time,
        at: usize,
        input: SocketInput,
    ) {
        let socket = &mut self.sockets[at];
        let (session, on) = (socket.session, socket.on);
        match input {
            SocketInput::Open(subprotocol) => {
                socket.is_open = true;
                client.hub().with_session(now, session, |engine| {
                    engine.handle_websocket_open(now, on, subprotocol.as_deref());
                });
            }
            SocketInput::Message(_) if socket.is_closing => {}
            SocketInput::Message(message) => {
                let size = message.payload().len();
                let socket = client.hub().with_session(now, session, |engine| {
                    let max = engine.session_mut().config().limits.max_payload;
                    if size > max {
                        let violation = Violation::TooBig { size: size as u64, max };
                        let end = WebSocketEnd::Violation(violation);
                        engine.handle_websocket_lost(now, on, end);
                        return Some(&mut self.sockets[at]);
                    }
                    engine.session_mut().handle_progress(now, size);
                    engine.session_mut().handle_websocket_message(now, on, message);
                    None
                });
                if let Some(Some(socket)) = socket {
                    socket.close();
                }
            }
            SocketInput::Closed { clean } => {
                let (is_open, is_closing) = (socket.is_open, socket.is_closing);
                // It is closed, so that there is nothing left to close.
                self.sockets[at].is_closing = true;
                self.sockets.swap_remove(at);
                if !is_open && !is_closing {
                    client.note_error(io::Error::other(
                        "the browser does not say why, but in its console: is the path right, and \
                         does the server take WebSockets?",
                    ));
                }
                client.hub().with_session(now, session, |engine| match (is_open, clean) {
                    (false, _) => {
                        engine.handle_websocket_refused(now, on, TransportFault::Unreachable);
                    }
                    (true, true) => engine.handle_websocket_lost(now, on, WebSocketEnd::Closed),
                    (true, false) => engine.handle_websocket_lost(now, on, WebSocketEnd::Failed),
                });
            }
        }
    }

    /// Hands over what was held, as far as the application has caught up.
    fn release_held(&mut self, client: &mut PlatformGuard<'_>, now: Time) -> bool {
        let mut any = false;
        for at in (0..self.sockets.len()).rev() {
            while let Some(socket) = self.sockets.get_mut(at)
                && is_reading(client, socket.session)
                && let Some(input) = socket.take_held()
            {
                any = true;
                let is_end = matches!(input, SocketInput::Closed { .. });
                self.take_socket(client, now, at, input);
                if is_end {
                    break;
                }
            }
        }
        any
    }

    /// Does what a session asks for.
    fn act(
        &mut self,
        client: &mut PlatformGuard<'_>,
        now: Time,
        session: SessionNumber,
        action: ClientAction,
    ) {
        match action {
            ClientAction::Request(on, request) => {
                let Self { options, requests, is_leaving, inbox, .. } = self;
                let name = (session, on);
                let sent = requests.send(name, &request, &options.requests, *is_leaving, inbox);
                if let Err(error) = sent {
                    lose_exchange(client, now, name, TransportFault::Unreachable, error);
                }
            }
            ClientAction::Abandon(on) => self.requests.abort(session, on),
            ClientAction::OpenWebSocket(on, request) => {
                if let Err(error) = self.open_websocket(session, on, &request) {
                    client.note_error(error);
                    client.hub().with_session(now, session, |engine| {
                        engine.handle_websocket_refused(now, on, TransportFault::Unreachable);
                    });
                }
            }
            ClientAction::CloseWebSocket(on) => {
                // Otherwise it is closed.
                if let Some(at) = self.position(session, on) {
                    self.sockets[at].close();
                }
            }
        }
    }

    fn open_websocket(
        &mut self,
        session: SessionNumber,
        on: WebSocketId,
        request: &Request,
    ) -> io::Result<()> {
        let url = [&*self.options.websocket_origin, &*request.target].concat();
        let socket = Socket::open(session, on, &url, request, self.inbox)
            .map_err(|error| io::Error::other(text_of(&error)))?;
        self.sockets.push(socket);
        Ok(())
    }

    /// Sends the frames that sessions have, as far as the browser takes them. Returns whether there were any.
    fn write(&mut self, client: &mut PlatformGuard<'_>, now: Time) -> bool {
        let mut any = false;
        for socket in self.sockets.iter_mut().filter(|socket| socket.is_open && !socket.is_closing)
        {
            let on = socket.on;
            client.hub().with_session(now, socket.session, |engine| {
                let mut progress = 0;
                loop {
                    // There is no later turn for a page that is left.
                    let has_room = socket.has_room(&mut progress) || self.is_leaving;
                    engine.set_blocked(on, !has_room);
                    let Some(frame) = engine.poll_write(on) else { break };
                    socket.send(&frame);
                    any = true;
                }
                engine.session_mut().handle_progress(now, progress);
            });
        }
        any
    }

    fn position(&self, session: SessionNumber, on: WebSocketId) -> Option<usize> {
        self.sockets.iter().position(|socket| (socket.session, socket.on) == (session, on))
    }
}

/// Tells a session that a request has no response.
fn lose_exchange(
    client: &mut PlatformGuard<'_>,
    now: Time,
    (session, on): (SessionNumber, ExchangeId),
    fault: TransportFault,
    error: io::Error,
) {
    client.note_error(error);
    client.hub().with_session(now, session, |engine| {
        engine.session_mut().handle_exchange_lost(now, on, fault);
    });
}

/// Returns whether what comes on WebSockets of a session is handed over.
///
/// A probe is, which has no messages of the application.
fn is_reading(client: &mut PlatformGuard<'_>, session: SessionNumber) -> bool {
    let session = client.hub().session(session);
    session.is_none_or(|session| session.is_receiving() || session.is_upgrading())
}

/// Time after which a WebSocket that was full is tried again: a tenth of what a person notices.
const RECHECK: std::time::Duration = std::time::Duration::from_millis(10);
