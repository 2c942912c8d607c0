//! A connection that serves HTTP exchanges, one after the other.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use enginewire::{
    Admission, Body, Carrier, ExchangeId, HeaderLines, Opening, Reject, Response, Route,
    SessionRequest, SocketId, Time, TransportKind,
    wire::{
        Input,
        http::{Event, RequestHead, Server},
        ws,
    },
};

use super::{Link, Progress, Role, websocket::Socket};
use crate::{
    cell::{Order, SessionCell},
    runtime::Runtime,
    scratch::Scratch,
    shared::Phase,
    socket::{self, Handshake},
    trace::trace,
};

/// The HTTP side of a connection and the exchange that is under way.
pub(super) struct Exchanges<R: Runtime> {
    http: Server,
    stage: Stage<R>,
    /// What the answer to the request carries besides its own fields.
    headers: HeaderLines,
    /// The peer has closed its side.
    ended: bool,
}

/// What the request waits for.
enum Stage<R: Runtime> {
    /// There is none.
    Listening,
    /// The application says whether a session may be opened.
    Asking(Box<Asking>),
    /// The session answers.
    Waiting { cell: Arc<SessionCell<R>>, on: ExchangeId },
}

struct Asking {
    verdict: Pin<Box<dyn Future<Output = Result<(), String>> + Send>>,
    opening: Opening,
    handshake: Arc<Handshake>,
    /// For a session that begins on a WebSocket.
    accept: Option<ws::AcceptKey>,
}

impl<R: Runtime> Exchanges<R> {
    pub(super) fn new(now: Time, shared: &crate::shared::Shared<R>) -> Self {
        Self {
            http: Server::new(now, Arc::clone(&shared.http)),
            stage: Stage::Listening,
            headers: HeaderLines::new(),
            ended: false,
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.http.poll_timeout().map(|(deadline, _)| deadline)
    }

    /// One look: answer what can be answered, read, and handle what came.
    pub(super) fn drive(
        &mut self,
        link: &mut Link<R>,
        now: Time,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
    ) -> Progress<R> {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            let output = link.writer.output(&mut scratch.output);
            if let Some(event) = self.http.handle_timeout(now, output) {
                self.fail(now, &event);
            }
        }
        let waited = !matches!(self.stage, Stage::Listening);
        if let Some(role) = self.answer(link, now, cx, scratch, &[]) {
            return Progress::Become(role);
        }
        // The next request may have come in the meantime.
        if waited
            && matches!(self.stage, Stage::Listening)
            && let Some(role) = self.handle(link, now, cx, scratch, &mut [])
        {
            return Progress::Become(role);
        }
        // A peer that does not read its answers is not read either.
        let blocked = link.writer.is_blocked();
        let mut input = std::mem::take(&mut scratch.input);
        let read = if blocked || self.ended || !self.http.wants_input() {
            Poll::Pending
        } else {
            link.poll_read(cx, &mut input)
        };
        let progress = match read {
            Poll::Ready(Ok(0)) => {
                self.ended = true;
                if let Some(event) = self.http.handle_eof(now) {
                    self.fail(now, &event);
                }
                None
            }
            Poll::Ready(Ok(n)) => {
                let role = self.handle(link, now, cx, scratch, &mut input[..n]);
                Some(role.map_or(Progress::More, Progress::Become))
            }
            Poll::Ready(Err(_)) => Some(Progress::Ended),
            Poll::Pending => None,
        };
        scratch.input = input;
        if let Some(progress @ Progress::Become(_)) = progress {
            // The first frame goes out in one write with the answer to the handshake.
            return progress;
        }
        let flushed = link.writer.poll_flush(&mut link.stream, &mut scratch.output, cx, now);
        match (progress, flushed) {
            (_, Poll::Ready(Err(_))) => Progress::Ended,
            (Some(progress), _) => progress,
            (None, Poll::Pending) if self.is_stalled(link, now) => Progress::Ended,
            (None, Poll::Pending) => Progress::Idle,
            (None, Poll::Ready(Ok(()))) if blocked => Progress::More,
            (None, Poll::Ready(Ok(()))) => self.after_flush(link, now),
        }
    }

    /// The connection is gone.
    pub(super) fn lose(&mut self, now: Time) {
        if let Stage::Waiting { cell, on } = std::mem::replace(&mut self.stage, Stage::Listening) {
            let mut guard = cell.lock();
            guard.session().handle_exchange_lost(now, on);
            guard.detach(on.0);
        }
    }

    /// Nothing was read and everything has been written.
    fn after_flush(&mut self, link: &Link<R>, now: Time) -> Progress<R> {
        let idle = matches!(self.stage, Stage::Listening) && !self.http.in_exchange();
        if self.http.is_closed() || (self.ended && idle) {
            return Progress::Ended;
        }
        if self.http.is_closing() || (idle && link.shared.phase() != Phase::Running) {
            return Progress::Become(link.lingering(now));
        }
        Progress::Idle
    }

    fn is_stalled(&self, link: &Link<R>, now: Time) -> bool {
        let since = link.writer.stalled_since();
        since.is_some_and(|since| since + link.shared.options.write_timeout <= now)
    }

    /// Completes the exchange under way if what it waits for has come. `rest` is what came behind
    /// the request in the same read.
    ///
    /// Leaves the next request to the caller: if each answer went on to it, a peer could exhaust the
    /// stack with requests that wait in a row.
    fn answer(
        &mut self,
        link: &mut Link<R>,
        now: Time,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
        rest: &[u8],
    ) -> Option<Role<R>> {
        match &mut self.stage {
            Stage::Listening => None,
            Stage::Waiting { cell, on } => {
                let mut guard = cell.lock_as(on.0);
                if let (Some(Order::Respond(response)), _) = guard.take_order(cx.waker()) {
                    guard.detach(on.0);
                    drop(guard);
                    self.stage = Stage::Listening;
                    self.respond(link, now, response, scratch);
                }
                None
            }
            Stage::Asking(asking) => {
                let Poll::Ready(verdict) = asking.verdict.as_mut().poll(cx) else { return None };
                let Stage::Asking(asking) = std::mem::replace(&mut self.stage, Stage::Listening)
                else {
                    return None;
                };
                let Asking { opening, handshake, accept, .. } = *asking;
                match verdict {
                    Ok(()) => {
                        self.open(link, now, cx.waker(), scratch, opening, handshake, accept, rest)
                    }
                    Err(message) => {
                        self.refuse(link, now, &Reject::Forbidden(message), scratch);
                        None
                    }
                }
            }
        }
    }

    /// Handles what came, up to a request that has to wait.
    fn handle(
        &mut self,
        link: &mut Link<R>,
        now: Time,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
        bytes: &mut [u8],
    ) -> Option<Role<R>> {
        let mut input = Input::new(bytes);
        loop {
            let output = link.writer.output(&mut scratch.output);
            let event = self.http.handle_bytes(now, &mut input, output)?;
            let role = match event {
                Event::Request(head) => self.route(link, now, cx, scratch, head, &input),
                Event::Body(body) => self.body(link, now, cx, scratch, Body::Complete(body)),
                Event::BodyTooLarge { .. } => self.body(link, now, cx, scratch, Body::TooLarge),
                event @ (Event::Fault(_) | Event::Lost) => {
                    self.fail(now, &event);
                    None
                }
            };
            if role.is_some() {
                return role;
            }
        }
    }

    fn route(
        &mut self,
        link: &mut Link<R>,
        now: Time,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
        head: RequestHead,
        input: &Input<'_>,
    ) -> Option<Role<R>> {
        let shared = Arc::clone(&link.shared);
        let route = shared.router.route(&head);
        self.headers = shared.router.headers(&head, matches!(route, Ok(Route::Open(_))));
        let accept = |transport| match transport {
            TransportKind::WebSocket => ws::accept(&head).map(Some).map_err(Reject::from),
            TransportKind::Polling => Ok(None),
        };
        let result = match route {
            Err(reject) => Err(reject),
            Ok(Route::Preflight(response)) => {
                self.respond(link, now, response, scratch);
                return None;
            }
            Ok(Route::Open(_)) if !shared.has_room() => Err(Reject::Unavailable),
            Ok(Route::Open(opening)) => accept(opening.transport()).map(|accept| {
                let handshake = Arc::new(Handshake::new(head, link.peer_addr));
                let Some(allow) = &shared.allow else {
                    let rest = input.rest();
                    let waker = cx.waker();
                    return self.open(link, now, waker, scratch, opening, handshake, accept, rest);
                };
                let verdict = allow(Arc::clone(&handshake));
                let asking = Asking { verdict, opening, handshake, accept };
                self.stage = Stage::Asking(Box::new(asking));
                // It may know at once.
                self.answer(link, now, cx, scratch, input.rest())
            }),
            Ok(Route::Session(request)) => {
                self.enter(link, now, cx.waker(), scratch, &head, &request, input)
            }
        };
        result.unwrap_or_else(|reject| {
            self.refuse(link, now, &reject, scratch);
            None
        })
    }

    /// Opens a session. `rest` is what came behind the request in the same read.
    #[expect(clippy::too_many_arguments, reason = "all that a handshake is made of")]
    fn open(
        &mut self,
        link: &mut Link<R>,
        now: Time,
        waker: &Waker,
        scratch: &mut Scratch,
        opening: Opening,
        handshake: Arc<Handshake>,
        accept: Option<ws::AcceptKey>,
        rest: &[u8],
    ) -> Option<Role<R>> {
        let shared = Arc::clone(&link.shared);
        let id = shared.fresh_id();
        let carrier = match accept {
            Some(_) => Carrier::Socket(SocketId(id)),
            None => Carrier::Exchange(ExchangeId(id)),
        };
        let mut entropy = |buffer: &mut [u8]| {
            scratch.entropy.fill(buffer, |buffer| shared.runtime.fill_random(buffer));
        };
        let session = match shared.router.open(now, &mut entropy, opening, carrier) {
            Ok(session) => session,
            Err(reject) => {
                self.refuse(link, now, &reject, scratch);
                return None;
            }
        };
        let sid = session.sid();
        let cell = SessionCell::new(&shared, session, handshake);
        cell.lock().attach(id, waker);
        if !shared.insert(sid, &cell) {
            self.refuse(link, now, &Reject::Unavailable, scratch);
            return None;
        }
        trace!(DEBUG, session = cell.id, peer = %link.peer_addr, "session opened");
        shared.push_accepted(socket::Socket::new(Arc::clone(&cell)));
        match accept {
            Some(accept) => Some(self.upgrade(link, scratch, &accept, SocketId(id), cell, rest)),
            None => {
                self.wait(link, now, waker, scratch, cell, ExchangeId(id));
                None
            }
        }
    }

    /// Takes a request to the session that it is for.
    #[expect(clippy::too_many_arguments, reason = "all that a request is made of")]
    fn enter(
        &mut self,
        link: &mut Link<R>,
        now: Time,
        waker: &Waker,
        scratch: &mut Scratch,
        head: &RequestHead,
        request: &SessionRequest,
        input: &Input<'_>,
    ) -> Result<Option<Role<R>>, Reject> {
        let cell = link.shared.find(&request.sid).ok_or(Reject::UnknownSession)?;
        let id = link.shared.fresh_id();
        let mut guard = cell.lock();
        match guard.session().admit(request)? {
            Admission::Poll => {
                guard.attach(id, waker);
                guard.session().handle_poll(now, ExchangeId(id));
            }
            Admission::Post { binary } => {
                guard.attach(id, waker);
                guard.session().handle_post(now, ExchangeId(id), binary);
                self.http.read_body(now, link.writer.output(&mut scratch.output));
            }
            Admission::Upgrade { base64 } => {
                let accept = ws::accept(head)?;
                guard.attach(id, waker);
                guard.session().handle_socket_open(now, SocketId(id), base64);
                drop(guard);
                let rest = input.rest();
                return Ok(Some(self.upgrade(link, scratch, &accept, SocketId(id), cell, rest)));
            }
        }
        drop(guard);
        self.wait(link, now, waker, scratch, cell, ExchangeId(id));
        Ok(None)
    }

    /// Answers at once if the session has an answer, else later.
    fn wait(
        &mut self,
        link: &mut Link<R>,
        now: Time,
        waker: &Waker,
        scratch: &mut Scratch,
        cell: Arc<SessionCell<R>>,
        on: ExchangeId,
    ) {
        let mut guard = cell.lock_as(on.0);
        match guard.take_order(waker) {
            (Some(Order::Respond(response)), _) => {
                guard.detach(on.0);
                drop(guard);
                self.respond(link, now, response, scratch);
            }
            _ => {
                drop(guard);
                self.stage = Stage::Waiting { cell, on };
            }
        }
    }

    fn body(
        &mut self,
        link: &mut Link<R>,
        now: Time,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
        body: Body,
    ) -> Option<Role<R>> {
        if let Stage::Waiting { cell, on } = &self.stage {
            cell.lock_as(on.0).session().handle_body(now, *on, body);
        }
        self.answer(link, now, cx, scratch, &[])
    }

    /// The exchange under way, if there is one, will not be completed.
    fn fail(&mut self, now: Time, _event: &Event) {
        trace!(DEBUG, event = ?_event, "exchange failed");
        self.lose(now);
    }

    fn refuse(&mut self, link: &mut Link<R>, now: Time, reject: &Reject, scratch: &mut Scratch) {
        trace!(DEBUG, peer = %link.peer_addr, reason = %reject, "request refused");
        self.respond(link, now, reject.response(), scratch);
    }

    fn respond(
        &mut self,
        link: &mut Link<R>,
        now: Time,
        mut response: Response,
        scratch: &mut Scratch,
    ) {
        let mut headers = std::mem::take(&mut self.headers);
        headers.extend(&response.headers);
        response.headers = headers;
        self.http.respond(now, &response.into(), link.writer.output(&mut scratch.output));
    }

    /// Goes on as a WebSocket.
    fn upgrade(
        &mut self,
        link: &mut Link<R>,
        scratch: &mut Scratch,
        accept: &ws::AcceptKey,
        on: SocketId,
        cell: Arc<SessionCell<R>>,
        rest: &[u8],
    ) -> Role<R> {
        let output = link.writer.output(&mut scratch.output);
        let headers = std::mem::take(&mut self.headers);
        let mut early = self.http.accept_upgrade(accept, headers.as_bytes(), output);
        early.extend_from_slice(rest);
        Role::Socket(Socket::new(on, cell, early.into()))
    }
}
