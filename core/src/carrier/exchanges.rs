//! A connection that serves HTTP exchanges, one after the other.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use bytes::Buf;

use super::{Guard, Host, Next, WRITE_CHUNK};
use crate::{
    config::TransportKind,
    exchange::{HeaderLines, HttpRequest as _, Response},
    router::{Opening, Refusal, Reject, Route, Router, SessionRequest},
    session::{Admission, Body, CarrierId, ExchangeId, ServerAction, WebSocketId},
    time::Time,
    wire::{
        Input, Output,
        http::{self, Event, RequestHead, Server, TimerKind},
        ws,
    },
};

/// The HTTP side of a connection and the exchange that is under way.
pub struct Exchanges<S, Q, F> {
    http: Server,
    stage: Stage<S, Q, F>,
    /// What the answer to the request carries besides its own fields.
    headers: HeaderLines,
    /// The peer has closed its side.
    ended: bool,
    /// The answer must wait until what is written has gone.
    postponed: bool,
    /// The session whose large response is being written. It is told when the client reads.
    sending: Option<(S, ExchangeId)>,
}

/// What the request waits for.
enum Stage<S, Q, F> {
    /// There is none.
    Listening,
    /// The application says whether a session may be opened.
    Asking(Box<Asking<Q>>),
    /// The session answers.
    Waiting { session: S, on: ExchangeId },
    /// The body of a request for another path is still to come.
    Receiving(Box<RequestHead>),
    /// The application responds to a request for another path.
    Forwarded(Box<F>),
}

struct Asking<Q> {
    opening: Opening,
    /// For a session that begins on a WebSocket.
    switch: Option<Switch>,
    handshake: Q,
}

/// What the response to a WebSocket handshake carries.
struct Switch {
    accept: ws::AcceptKey,
    subprotocol: HeaderLines,
}

impl Switch {
    fn new(router: &Router, head: &RequestHead) -> Result<Self, Reject> {
        let accept = ws::accept(head)?;
        Ok(Self { accept, subprotocol: router.subprotocol(head)? })
    }
}

/// The connection goes on as a WebSocket of a session.
pub struct Upgrade<S> {
    /// The session.
    pub session: S,
    /// The name under which the session knows the WebSocket.
    pub on: WebSocketId,
    /// Bytes that came behind the handshake.
    pub early: Vec<u8>,
}

impl<S, Q, F> Exchanges<S, Q, F> {
    /// A connection that was accepted at `now`.
    pub fn new(now: Time, config: Arc<http::Config>) -> Self {
        Self {
            http: Server::new(now, config),
            stage: Stage::Listening,
            headers: HeaderLines::new(),
            ended: false,
            postponed: false,
            sending: None,
        }
    }

    /// When the connection is to be looked at, whatever happens until then. Not while the last answer
    /// is on its way out: how long that may take is for the caller to say, and to linger after it.
    pub fn deadline(&self) -> Option<Time> {
        let next = self.http.poll_timeout().filter(|&(_, kind)| kind != TimerKind::Linger);
        next.map(|(deadline, _)| deadline)
    }

    /// Extends the deadlines of the peer to `until`.
    ///
    /// For a process that was late itself: bytes of the peer may wait to be read.
    pub fn extend_deadlines(&mut self, until: Time) {
        self.http.extend_deadlines(until);
    }

    /// Whether to read. A peer that does not read its answers is not to be read either, which is
    /// for the caller to see to. What comes behind the last request is thrown away while the
    /// connection lingers.
    pub fn wants_input(&self) -> bool {
        !self.ended && !self.http.is_closing() && self.http.wants_input()
    }

    /// Whether to [`drive`](Self::drive) again once everything has been written.
    pub const fn is_postponed(&self) -> bool {
        self.postponed || self.sending.is_some()
    }

    /// The handshake that the application is being asked about.
    pub fn asked(&mut self) -> Option<&mut Q> {
        match &mut self.stage {
            Stage::Asking(asking) => Some(&mut asking.handshake),
            _ => None,
        }
    }

    /// Returns the request for another path that the application is responding to.
    pub fn forwarded(&mut self) -> Option<&mut F> {
        match &mut self.stage {
            Stage::Forwarded(request) => Some(request),
            _ => None,
        }
    }

    /// Does what is due, and completes the exchange in progress if it can be.
    pub fn drive<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        output: &mut Output,
    ) -> Option<Upgrade<S>> {
        if self.deadline().is_some_and(|deadline| deadline <= now)
            && let Some(event) = self.http.handle_timeout(now, output)
        {
            self.fail(now, host, &event);
        }
        if output.remaining() == 0 {
            self.end_sending(now, host);
        }
        let waited = !self.is_listening();
        if let Some(upgrade) = self.answer(now, host, output, &[]) {
            self.end_sending(now, host);
            return Some(upgrade);
        }
        // The next request may have come in the meantime.
        if waited && self.is_listening() {
            return self.handle_bytes(now, host, &mut [], output);
        }
        None
    }

    /// Handles what came, up to a request that has to wait.
    pub fn handle_bytes<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        bytes: &mut [u8],
        output: &mut Output,
    ) -> Option<Upgrade<S>> {
        let read = bytes.len();
        let mut input = Input::new(bytes);
        loop {
            let Some(event) = self.http.handle_bytes(now, &mut input, output) else {
                if self.release_poll(now, host, output) {
                    continue;
                }
                self.note_read(now, host, read);
                return None;
            };
            let upgrade = match event {
                Event::Request(head) => self.route(now, host, head, &input, output),
                Event::Body(body) => self.body(now, host, Body::Complete(body), output),
                Event::BodyTooLarge { .. } => self.body(now, host, Body::TooLarge, output),
                event @ (Event::Fault(_) | Event::Lost) => {
                    self.fail(now, host, &event);
                    None
                }
            };
            if upgrade.is_some() {
                self.end_sending(now, host);
                return upgrade;
            }
        }
    }

    /// The peer has closed its side.
    pub fn handle_eof<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
    ) {
        self.ended = true;
        if let Some(event) = self.http.handle_eof(now) {
            self.fail(now, host, &event);
        }
    }

    /// Counts bytes that the socket has taken after it was full.
    ///
    /// They say that the client reads a response, however slowly; see
    /// [`Outbox::take_progress`](super::Outbox::take_progress).
    pub fn note_written<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        bytes: usize,
    ) {
        if let Some((session, on)) = self.sending.as_ref().filter(|_| bytes > 0) {
            host.lock(now, session, on.0).session().handle_written(now, bytes);
        }
    }

    /// The connection is gone.
    pub fn lose<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
    ) {
        self.end_sending(now, host);
        let stage = core::mem::replace(&mut self.stage, Stage::Listening);
        if let Stage::Waiting { session, on } = stage {
            let mut guard = host.lock(now, &session, on.0);
            guard.session().handle_exchange_lost(now, on);
            guard.detach();
        }
    }

    /// How the connection goes on once everything has been written. `running` says that a further
    /// request may be of use: the server is not closing, or there are sessions that have something
    /// queued for clients that poll.
    pub fn next(&self, running: bool) -> Next {
        let idle = self.is_listening() && !self.http.in_exchange();
        if self.http.is_closed() || (self.ended && idle) {
            return Next::End;
        }
        if self.http.is_closing() || (idle && !running) {
            return Next::Linger;
        }
        Next::Stay
    }

    /// Returns whether no request is being handled.
    pub const fn is_listening(&self) -> bool {
        matches!(self.stage, Stage::Listening)
    }

    /// Completes the exchange under way if what it waits for has come. `rest` is what came behind
    /// the request in the same read.
    ///
    /// Leaves the next request to the caller: if each answer went on to it, a peer could exhaust the stack with
    /// requests that wait in a row. Leaves the answer with the session while much waits to be written. Otherwise
    /// requests in a row would move its queue to where nobody counts it.
    fn answer<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        output: &mut Output,
        rest: &[u8],
    ) -> Option<Upgrade<S>> {
        self.postponed = !self.is_listening() && output.remaining() >= WRITE_CHUNK;
        match &mut self.stage {
            Stage::Listening | Stage::Receiving(_) => None,
            Stage::Waiting { .. } | Stage::Forwarded(_) if self.postponed => None,
            Stage::Forwarded(request) => {
                if let Some(response) = host.response(request) {
                    self.stage = Stage::Listening;
                    self.respond(now, response, false, output);
                }
                None
            }
            Stage::Waiting { session, on } => {
                let response = take_response(&mut host.lock(now, session, on.0));
                if let Some(response) = response {
                    let stage = core::mem::replace(&mut self.stage, Stage::Listening);
                    if let Stage::Waiting { session, on } = stage {
                        self.complete(now, host, session, on, response, output);
                    }
                }
                None
            }
            Stage::Asking(asking) => {
                let verdict = host.verdict(&mut asking.handshake)?;
                let stage = core::mem::replace(&mut self.stage, Stage::Listening);
                let Stage::Asking(asking) = stage else { return None };
                self.decide(now, host, *asking, verdict, output, rest)
            }
        }
    }

    /// The application has said whether a session may be opened.
    fn decide<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        asking: Asking<Q>,
        verdict: Result<(), Refusal>,
        output: &mut Output,
        rest: &[u8],
    ) -> Option<Upgrade<S>> {
        match verdict {
            Ok(()) => self.open(now, host, asking, output, rest),
            Err(refusal) => {
                let upgrade = asking.switch.is_some();
                self.refuse(now, host, &Reject::Forbidden(refusal), upgrade, output);
                None
            }
        }
    }

    fn route<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        head: RequestHead,
        input: &Input<'_>,
        output: &mut Output,
    ) -> Option<Upgrade<S>> {
        let route = host.router().route(&head);
        let upgrade = head.is_upgrade();
        self.headers = host.router().headers(&head, matches!(route, Ok(Route::Open(_))));
        let result = match route {
            Err(Reject::NotFound) if host.forwards() && !head.is_upgrade() => {
                self.stage = Stage::Receiving(Box::new(head));
                self.http.read_body(now, output);
                return None;
            }
            Err(reject) => Err(reject),
            Ok(Route::Preflight(response)) => {
                self.respond(now, response, false, output);
                return None;
            }
            Ok(Route::Open(_)) if !host.has_room() => Err(Reject::Unavailable),
            Ok(Route::Open(opening)) => match opening.transport() {
                TransportKind::WebSocket => Switch::new(host.router(), &head).map(Some),
                TransportKind::Polling => Ok(None),
            }
            .map(|switch| {
                let mut handshake = host.ask(head);
                let verdict = host.verdict(&mut handshake);
                let asking = Asking { opening, switch, handshake };
                match verdict {
                    Some(verdict) => self.decide(now, host, asking, verdict, output, input.rest()),
                    None => {
                        self.stage = Stage::Asking(Box::new(asking));
                        None
                    }
                }
            }),
            Ok(Route::Session(request)) => self.enter(now, host, &head, &request, input, output),
        };
        result.unwrap_or_else(|reject| {
            self.refuse(now, host, &reject, upgrade, output);
            None
        })
    }

    /// Opens a session. `rest` is what came behind the request in the same read.
    fn open<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        asking: Asking<Q>,
        output: &mut Output,
        rest: &[u8],
    ) -> Option<Upgrade<S>> {
        let Asking { opening, switch, handshake } = asking;
        let id = host.fresh_id();
        let carrier = match switch {
            Some(_) => CarrierId::WebSocket(WebSocketId(id)),
            None => CarrierId::Exchange(ExchangeId(id)),
        };
        let session = match host.open(now, opening, carrier, handshake) {
            Ok(session) => session,
            Err(reject) => {
                self.refuse(now, host, &reject, switch.is_some(), output);
                return None;
            }
        };
        if let Some(switch) = switch {
            return Some(self.upgrade(switch, WebSocketId(id), session, rest, output));
        }
        self.stage = Stage::Waiting { session, on: ExchangeId(id) };
        // The handshake is answered at once.
        self.answer(now, host, output, rest)
    }

    /// Takes a request to the session that it is for.
    fn enter<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        head: &RequestHead,
        request: &SessionRequest,
        input: &Input<'_>,
        output: &mut Output,
    ) -> Result<Option<Upgrade<S>>, Reject> {
        let session = host.find(&request.sid).ok_or(Reject::UnknownSession)?;
        let id = host.fresh_id();
        let mut guard = host.lock(now, &session, id);
        match guard.session().admit(request)? {
            Admission::Poll => {
                // It is no sign of life that could save a session whose time is over.
                if guard.expire(now) {
                    return Err(Reject::UnknownSession);
                }
                guard.attach();
                guard.session().handle_poll(now, ExchangeId(id));
            }
            Admission::Post { binary } => {
                guard.attach();
                guard.session().handle_post(now, ExchangeId(id), binary);
                self.http.read_body(now, output);
            }
            Admission::Upgrade { base64 } => {
                drop(guard);
                let switch = Switch::new(host.router(), head)?;
                let mut guard = host.lock(now, &session, id);
                guard.attach();
                // If the session has changed in between, it closes this WebSocket.
                guard.session().handle_websocket_open(now, WebSocketId(id), base64);
                drop(guard);
                let rest = input.rest();
                return Ok(Some(self.upgrade(switch, WebSocketId(id), session, rest, output)));
            }
        }
        self.postponed = output.remaining() >= WRITE_CHUNK;
        let response = if self.postponed { None } else { take_response(&mut guard) };
        drop(guard);
        match response {
            Some(response) => {
                self.complete(now, host, session, ExchangeId(id), response, output);
            }
            None => self.stage = Stage::Waiting { session, on: ExchangeId(id) },
        }
        Ok(None)
    }

    /// Writes the response of a session. While a large one is written, the session is told that the client
    /// reads.
    fn complete<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        session: S,
        on: ExchangeId,
        response: Response,
        output: &mut Output,
    ) {
        if is_large(&response) {
            self.end_sending(now, host);
            self.sending = Some((session, on));
        }
        // The session is closed, and the rest of the body may never come.
        let close = self.http.is_receiving();
        self.respond(now, response, close, output);
    }

    /// In the middle of a body, what was `read` is a sign of life.
    fn note_read<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        read: usize,
    ) {
        if let (Stage::Waiting { session, on }, true) = (&self.stage, self.http.is_receiving()) {
            host.lock(now, session, on.0).session().handle_progress(now, read);
        }
    }

    /// The large response has been written, or will not be.
    fn end_sending<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
    ) {
        if let Some((session, on)) = self.sending.take() {
            host.lock(now, &session, on.0).detach();
        }
    }

    /// Ends a GET that waits if a further request has come behind it. Says whether that is next.
    fn release_poll<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        output: &mut Output,
    ) -> bool {
        let Stage::Waiting { session, on } = &self.stage else { return false };
        if !self.http.is_pipelined() {
            return false;
        }
        host.lock(now, session, on.0).session().handle_pipelined(now, *on);
        self.answer(now, host, output, &[]);
        self.is_listening()
    }

    fn body<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        body: Body,
        output: &mut Output,
    ) -> Option<Upgrade<S>> {
        if let Stage::Receiving(_) = self.stage {
            return self.forward(now, host, body, output);
        }
        self.postponed = output.remaining() >= WRITE_CHUNK;
        if let Stage::Waiting { session, on } = &self.stage {
            let mut guard = host.lock(now, session, on.0);
            guard.session().handle_body(now, *on, body);
            let response = if self.postponed { None } else { take_response(&mut guard) };
            drop(guard);
            let stage = core::mem::replace(&mut self.stage, Stage::Listening);
            match (stage, response) {
                (Stage::Waiting { session, on }, Some(response)) => {
                    self.complete(now, host, session, on, response, output);
                }
                (stage, _) => self.stage = stage,
            }
        }
        None
    }

    /// Takes a request for another path to the application.
    fn forward<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        body: Body,
        output: &mut Output,
    ) -> Option<Upgrade<S>> {
        let stage = core::mem::replace(&mut self.stage, Stage::Listening);
        let Stage::Receiving(head) = stage else { return None };
        match body {
            Body::Complete(body) => {
                self.stage = Stage::Forwarded(Box::new(host.forward(*head, body)));
                self.answer(now, host, output, &[])
            }
            Body::TooLarge => {
                self.respond(now, Response::empty(413), false, output);
                None
            }
        }
    }

    /// The exchange under way, if there is one, will not be completed.
    fn fail<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        event: &Event,
    ) {
        host.failed(event);
        self.lose(now, host);
    }

    /// Refuses a request. Behind the refusal of an `upgrade` the connection closes, as behind that of the
    /// reference: what its client may have sent already is not HTTP.
    fn refuse<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        reject: &Reject,
        upgrade: bool,
        output: &mut Output,
    ) {
        host.refused(reject);
        self.respond(now, reject.response(), upgrade, output);
    }

    fn respond(&mut self, now: Time, mut response: Response, close: bool, output: &mut Output) {
        let mut headers = core::mem::take(&mut self.headers);
        headers.extend(&response.headers);
        response.headers = headers;
        let mut response = http::Response::from(response);
        response.close = close;
        self.http.respond(now, &response, output);
    }

    /// Goes on as a WebSocket.
    fn upgrade(
        &mut self,
        switch: Switch,
        on: WebSocketId,
        session: S,
        rest: &[u8],
        output: &mut Output,
    ) -> Upgrade<S> {
        let mut headers = core::mem::take(&mut self.headers);
        headers.extend(&switch.subprotocol);
        let mut early = self.http.accept_upgrade(&switch.accept, headers.as_bytes(), output);
        early.extend_from_slice(rest);
        Upgrade { session, on, early: early.into() }
    }
}

/// Takes the response to an exchange. Unless it is large, the session has no more to do with the exchange.
fn take_response<G: Guard>(guard: &mut G) -> Option<Response> {
    match guard.take_action()? {
        ServerAction::Respond(_, response) => {
            if !is_large(&response) {
                guard.detach();
            }
            Some(response)
        }
        ServerAction::CloseWebSocket(_) => None,
    }
}

/// Whether a response may take a client longer to read than it may be silent.
fn is_large(response: &Response) -> bool {
    response.body.len() >= WRITE_CHUNK
}
