//! The stages of one exchange, from the head of a request to its response. Knows no bytes.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use super::{Guard, Host, WRITE_CHUNK};
use crate::{
    config::TransportKind,
    deflate::{Coding, DecodeFailure, DeflateParameters, UnknownCoding},
    exchange::{HeaderLines, HttpRequest, Response},
    limits::Limits,
    router::{Opening, Refusal, Reject, RequestKind, Route, Router, SessionRequest},
    session::{Admission, Body, CarrierId, ExchangeId, ServerAction, WebSocketId},
    sid::Sid,
    time::Time,
    wire::{
        http::{BodyLength, Fault, RequestHead},
        ws,
    },
};

/// The state of one exchange, whichever server parses requests and writes responses.
///
/// [`begin`](Self::begin) takes the head of a request, and [`Step`] tells what the server does next. `ready` tells that
/// a response would be written at once: otherwise it stays with the session, whose queue is counted. An exchange that
/// has ended can begin another.
///
/// ```text
/// Idle ── begin ──> Asking ──> Waiting ──> Idle
///   │                  └─────────────────> Idle (upgrade, refusal, session of another node)
///   └── begin ──> Receiving ── receive_body ──> Forwarded ──> Idle
/// ```
pub struct Exchange<S, Q, F> {
    stage: Stage<S, Q, F>,
    /// Fields of the response besides its own.
    headers: HeaderLines,
    /// The coding that the client takes the response in.
    accepted: Option<Coding>,
    /// The coding of the body of the request.
    coding: Option<Coding>,
    /// The session whose large response is being written. It is told when the client reads.
    sending: Option<Sending<S>>,
}

/// A large response that is being written. Its session is told that the client reads.
#[derive(Debug)]
pub struct Sending<S> {
    session: S,
    on: ExchangeId,
}

/// The event that the request waits for.
enum Stage<S, Q, F> {
    /// There is no request.
    Idle,
    /// The application decides whether a session may be opened.
    Asking(Box<Asking<Q>>),
    /// The session responds.
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

/// The next task of the server in an exchange.
#[derive(Debug)]
#[must_use]
pub enum Step<S> {
    /// Wait until the exchange is woken, or for the body that was asked for.
    Wait,
    /// Read the body of the request, for [`Exchange::receive_body`].
    ReadBody,
    /// Send the response. With `close` the connection is of no more use.
    Respond {
        /// The response.
        response: Response,
        /// The body has not been read. Or bytes behind the request may not be HTTP.
        close: bool,
    },
    /// Switch protocols. The connection goes on as a WebSocket.
    Upgrade(Upgrade<S>),
    /// Hand the request over to another node, and with it the connection. Only if the host
    /// [does that](Host::hands_over).
    HandOver(Box<HandOver>),
}

/// A request for a session of another node.
#[derive(Debug)]
pub struct HandOver {
    /// The session.
    pub sid: Sid,
    /// The head of the request.
    pub head: RequestHead,
    /// The response may switch protocols. After any other, the connection is to close.
    pub(super) is_upgrade: bool,
    /// The request is an extended CONNECT, and has no key.
    pub(super) is_extended: bool,
    /// There if another HTTP server has taken the bytes of the request.
    pub(super) reframed: Option<Reframed>,
}

impl HandOver {
    /// Makes the head one that can be handed over.
    pub(super) fn new(sid: Sid, head: impl Head) -> Result<Self, Fault> {
        let (is_upgrade, is_extended) = (head.is_upgrade(), head.is_extended_connect());
        let is_upgrade = is_upgrade && head.method() == "GET";
        let head = head.into_request_head()?;
        Ok(Self { sid, head, is_upgrade, is_extended, reframed: None })
    }
}

/// The form that a request has on the connection to its owner, other than that in which it came.
#[derive(Debug)]
pub(super) struct Reframed {
    pub(super) body: BodyLength,
    /// For a handshake that had none.
    pub(super) key: Option<ws::ClientKey>,
}

/// The connection goes on as a WebSocket of a session.
#[derive(Debug)]
pub struct Upgrade<S> {
    /// The session.
    pub session: S,
    /// The name under which the session knows the WebSocket.
    pub on: WebSocketId,
    /// Content of the response.
    pub switch: Switch,
}

/// Content of the response to a WebSocket handshake.
#[derive(Debug)]
pub struct Switch {
    /// Value of `Sec-WebSocket-Accept`. An extended CONNECT needs none (RFC 8441 section 5).
    pub accept: Option<ws::AcceptKey>,
    /// Further fields, `Sec-WebSocket-Protocol` among them.
    pub headers: HeaderLines,
    /// The field `Sec-WebSocket-Extensions`, if there is one.
    pub extension: HeaderLines,
    /// Compression that was agreed on.
    pub(crate) compression: Option<DeflateParameters>,
}

/// The head of a request, as a server parsed it that begins an [`Exchange`].
pub trait Head: HttpRequest {
    /// Makes the head that a handshake keeps. A WebSocket handshake is checked on it.
    ///
    /// # Errors
    ///
    /// Its fault, if the server is less strict than [`RequestHead::parse`].
    fn into_request_head(self) -> Result<RequestHead, Fault>;

    /// Returns whether the request is an extended CONNECT for a WebSocket (RFC 8441 section 4). Default false.
    fn is_extended_connect(&self) -> bool {
        false
    }
}

impl Head for RequestHead {
    fn into_request_head(self) -> Result<RequestHead, Fault> {
        Ok(self)
    }
}

impl Switch {
    fn new(router: &Router, head: &RequestHead, extended: bool) -> Result<Self, Reject> {
        let accept = match extended {
            true => {
                ws::check_version(head)?;
                None
            }
            false => Some(ws::accept(head)?),
        };
        let headers = router.subprotocol(head)?;
        let options = router.config().per_message_deflate();
        let agreed = ws::accept_compression(head, options);
        let (compression, extension) = agreed.unzip();
        Ok(Self { accept, headers, extension: extension.unwrap_or_default(), compression })
    }

    /// Does without compression, which the client is told by the missing field.
    pub(crate) fn decline_compression(&mut self) {
        (self.extension, self.compression) = (HeaderLines::new(), None);
    }
}

/// Inputs.
impl<S, Q, F> Exchange<S, Q, F> {
    /// Makes the state of an exchange that has not begun.
    pub const fn new() -> Self {
        Self {
            stage: Stage::Idle,
            headers: HeaderLines::new(),
            accepted: None,
            coding: None,
            sending: None,
        }
    }

    /// Begins with the head of a request.
    pub fn begin<H: Host<Session = S, Handshake = Q, Request = F>, R: Head>(
        &mut self,
        now: Time,
        host: &mut H,
        head: R,
        ready: bool,
    ) -> Step<S> {
        host.begun(&head);
        let route = host.router().route(&head);
        let upgrade = head.is_upgrade();
        self.headers = host.router().headers(&head, matches!(route, Ok(Route::Open(_))));
        let options = host.router().config().http_compression();
        self.accepted = options
            .is_some()
            .then(|| fields(&head, "accept-encoding"))
            .and_then(|codings| Coding::accepted(options, codings.into_iter()));
        let step = match route {
            Err(Reject::NotFound) if host.forwards() && !upgrade => {
                head.into_request_head().map_err(Reject::from).map(|head| {
                    self.stage = Stage::Receiving(Box::new(head));
                    Step::ReadBody
                })
            }
            Err(reject) => Err(reject),
            Ok(Route::Preflight(response)) => Ok(self.respond(response, false)),
            Ok(Route::Open(_)) if !host.has_room() => Err(Reject::Unavailable),
            Ok(Route::Open(opening)) => self.ask(now, host, head, opening, ready),
            Ok(Route::Session(request)) => self.enter(now, host, head, &request, ready),
        };
        step.unwrap_or_else(|reject| self.refuse(host, &reject, upgrade))
    }

    /// Completes the exchange if the event has come that it waits for.
    pub fn drive<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        ready: bool,
    ) -> Step<S> {
        match &mut self.stage {
            Stage::Idle | Stage::Receiving(_) => Step::Wait,
            Stage::Waiting { .. } | Stage::Forwarded(_) if !ready => Step::Wait,
            Stage::Forwarded(request) => match host.response(request) {
                Some(response) => {
                    self.stage = Stage::Idle;
                    self.respond(response, false)
                }
                None => Step::Wait,
            },
            Stage::Waiting { session, on } => {
                let response = take_response(&mut host.lock(now, session, on.0));
                match response {
                    Some(response) => self.complete(now, host, response, false),
                    None => Step::Wait,
                }
            }
            Stage::Asking(asking) => {
                let Some(verdict) = host.verdict(&mut asking.handshake) else { return Step::Wait };
                let stage = core::mem::replace(&mut self.stage, Stage::Idle);
                let Stage::Asking(asking) = stage else { return Step::Wait };
                self.decide(now, host, *asking, verdict, ready)
            }
        }
    }

    /// Takes the body after [`Step::ReadBody`].
    pub fn receive_body<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        body: Body,
        ready: bool,
    ) -> Step<S> {
        if let Stage::Receiving(_) = self.stage {
            return self.forward(now, host, body, ready);
        }
        let Stage::Waiting { session, on } = &self.stage else { return Step::Wait };
        let body = decode(body, self.coding.take(), &host.router().config().limits);
        let mut guard = host.lock(now, session, on.0);
        guard.session().handle_body(now, *on, body);
        let response = if ready { take_response(&mut guard) } else { None };
        drop(guard);
        match response {
            Some(response) => self.complete(now, host, response, false),
            None => Step::Wait,
        }
    }

    /// Counts bytes of a body that has not ended. They are a sign of life.
    pub fn note_read<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        bytes: usize,
    ) {
        if let Stage::Waiting { session, on } = &self.stage {
            host.lock(now, session, on.0).session().handle_progress(now, bytes);
        }
    }

    /// Counts bytes of a large response. See [`Sending::note_written`].
    pub fn note_written<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        bytes: usize,
    ) {
        if let Some(sending) = &self.sending {
            sending.note_written(now, host, bytes);
        }
    }

    /// Ends a large response: it has been written, or will not be.
    pub fn end_sending<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
    ) {
        if let Some(sending) = self.sending.take() {
            sending.end(now, host);
        }
    }

    /// Takes the large response that is being written, to outlive the exchange.
    pub const fn take_sending(&mut self) -> Option<Sending<S>> {
        self.sending.take()
    }

    /// Has the session end a poll, because a further request waits behind it. [`drive`](Self::drive) follows.
    pub fn release_poll<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
    ) {
        if let Stage::Waiting { session, on } = &self.stage {
            host.lock(now, session, on.0).session().handle_pipelined(now, *on);
        }
    }

    /// Ends the exchange: the connection is lost.
    pub fn lose<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
    ) {
        self.end_sending(now, host);
        let stage = core::mem::replace(&mut self.stage, Stage::Idle);
        if let Stage::Waiting { session, on } = stage {
            let mut guard = host.lock(now, &session, on.0);
            guard.session().handle_exchange_lost(now, on);
            guard.detach();
        }
    }
}

impl<S> Sending<S> {
    /// Counts bytes that the socket has taken after it was full.
    ///
    /// They tell that the client reads, however slowly; see
    /// [`Outbox::take_progress`](super::Outbox::take_progress).
    pub fn note_written<H: Host<Session = S>>(&self, now: Time, host: &mut H, bytes: usize) {
        if bytes > 0 {
            host.lock(now, &self.session, self.on.0).session().handle_written(now, bytes);
        }
    }

    /// Ends the response: it has been written, or will not be.
    pub fn end<H: Host<Session = S>>(self, now: Time, host: &mut H) {
        host.lock(now, &self.session, self.on.0).detach();
    }
}

/// Getters.
impl<S, Q, F> Exchange<S, Q, F> {
    /// Returns whether no request is being handled.
    pub const fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Idle)
    }

    /// Returns whether a session has responded, or will.
    pub const fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting { .. })
    }

    /// Returns whether a large response is being written.
    pub const fn is_sending(&self) -> bool {
        self.sending.is_some()
    }

    /// Returns the handshake that the application is deciding about.
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
}

impl<S, Q, F> Exchange<S, Q, F> {
    /// Asks the application about a handshake.
    fn ask<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        head: impl Head,
        opening: Opening,
        ready: bool,
    ) -> Result<Step<S>, Reject> {
        let extended = head.is_extended_connect();
        let head = head.into_request_head()?;
        let switch = match opening.transport() {
            TransportKind::WebSocket => Some(Switch::new(host.router(), &head, extended)?),
            TransportKind::Polling => None,
        };
        let mut handshake = host.ask(head);
        let verdict = host.verdict(&mut handshake);
        let asking = Asking { opening, switch, handshake };
        Ok(match verdict {
            Some(verdict) => self.decide(now, host, asking, verdict, ready),
            None => {
                self.stage = Stage::Asking(Box::new(asking));
                Step::Wait
            }
        })
    }

    /// Obeys the application's decision about a handshake.
    fn decide<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        asking: Asking<Q>,
        verdict: Result<(), Refusal>,
        ready: bool,
    ) -> Step<S> {
        match verdict {
            Ok(()) => self.open(now, host, asking, ready),
            Err(refusal) => {
                let upgrade = asking.switch.is_some();
                self.refuse(host, &Reject::Forbidden(refusal), upgrade)
            }
        }
    }

    fn open<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        asking: Asking<Q>,
        ready: bool,
    ) -> Step<S> {
        let Asking { opening, switch, handshake } = asking;
        let id = host.fresh_id();
        let carrier = match switch {
            Some(_) => CarrierId::WebSocket(WebSocketId(id)),
            None => CarrierId::Exchange(ExchangeId(id)),
        };
        let session = match host.open(now, opening, carrier, handshake) {
            Ok(session) => session,
            Err(reject) => return self.refuse(host, &reject, switch.is_some()),
        };
        if let Some(switch) = switch {
            return self.upgrade(switch, WebSocketId(id), session);
        }
        self.stage = Stage::Waiting { session, on: ExchangeId(id) };
        // The session responds to its handshake at once.
        self.drive(now, host, ready)
    }

    /// Takes a request to the session that it is for.
    fn enter<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        head: impl Head,
        request: &SessionRequest,
        ready: bool,
    ) -> Result<Step<S>, Reject> {
        let Some(session) = host.find(&request.sid) else {
            let is_of_sessions = request.kind != RequestKind::Other;
            if is_of_sessions && host.hands_over(&request.sid, &head) {
                return Ok(Step::HandOver(Box::new(HandOver::new(request.sid, head)?)));
            }
            return Err(Reject::UnknownSession);
        };
        let id = host.fresh_id();
        let options = host.router().config().http_compression();
        // Before the session is locked, and of meaning for what is admitted alone.
        let coding = match request.kind {
            RequestKind::Post => {
                Coding::of_body(options, fields(&head, "content-encoding").into_iter())
            }
            _ => Ok(None),
        };
        let mut guard = host.lock(now, &session, id);
        let mut reads_body = false;
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
                self.coding = coding.map_err(|UnknownCoding| Reject::UnknownCoding)?;
                guard.attach();
                guard.session().handle_post(now, ExchangeId(id), binary);
                reads_body = true;
            }
            Admission::Upgrade { base64 } => {
                drop(guard);
                let extended = head.is_extended_connect();
                let switch = Switch::new(host.router(), &head.into_request_head()?, extended)?;
                let mut guard = host.lock(now, &session, id);
                guard.attach();
                // If the session has changed in between, it closes this WebSocket.
                guard.session().handle_websocket_open(now, WebSocketId(id), base64);
                drop(guard);
                return Ok(self.upgrade(switch, WebSocketId(id), session));
            }
        }
        let response = if ready { take_response(&mut guard) } else { None };
        drop(guard);
        self.stage = Stage::Waiting { session, on: ExchangeId(id) };
        Ok(match response {
            Some(response) => self.complete(now, host, response, reads_body),
            None if reads_body => Step::ReadBody,
            None => Step::Wait,
        })
    }

    /// Takes a request for another path to the application.
    fn forward<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        body: Body,
        ready: bool,
    ) -> Step<S> {
        let stage = core::mem::replace(&mut self.stage, Stage::Idle);
        let Stage::Receiving(head) = stage else { return Step::Wait };
        match body {
            Body::Complete(body) => {
                self.stage = Stage::Forwarded(Box::new(host.forward(*head, body)));
                self.drive(now, host, ready)
            }
            Body::TooLarge | Body::Invalid => self.respond(Response::empty(413), false),
        }
    }

    /// Passes on the response of the session. While a large one is written, the session is told that the client
    /// reads.
    fn complete<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        response: Response,
        close: bool,
    ) -> Step<S> {
        let stage = core::mem::replace(&mut self.stage, Stage::Idle);
        if let Stage::Waiting { session, on } = stage
            && is_large(&response)
        {
            self.end_sending(now, host);
            self.sending = Some(Sending { session, on });
        }
        // Behind the look at its length, which says whether the session knows of it still.
        let response = match self.accepted {
            Some(coding) if response.compressible => encode(response, coding, host),
            _ => response,
        };
        self.respond(response, close)
    }

    /// Refuses a request that has begun and has no response.
    ///
    /// Behind the refusal of an `upgrade` the connection closes, as behind that of the reference. The bytes that its
    /// client may have sent already are not HTTP.
    pub fn refuse<H: Host>(&mut self, host: &mut H, reject: &Reject, upgrade: bool) -> Step<S> {
        host.refused(reject);
        self.respond(reject.response(), upgrade)
    }

    fn respond(&mut self, mut response: Response, close: bool) -> Step<S> {
        let mut headers = core::mem::take(&mut self.headers);
        headers.extend(&response.headers);
        response.headers = headers;
        Step::Respond { response, close }
    }

    fn upgrade(&mut self, mut switch: Switch, on: WebSocketId, session: S) -> Step<S> {
        let mut headers = core::mem::take(&mut self.headers);
        headers.extend(&switch.headers);
        switch.headers = headers;
        Step::Upgrade(Upgrade { session, on, switch })
    }
}

impl<S, Q, F> Default for Exchange<S, Q, F> {
    fn default() -> Self {
        Self::new()
    }
}

/// The values of the fields of that name, of which there are none as a rule.
fn fields<'a>(head: &'a impl HttpRequest, name: &str) -> Vec<&'a [u8]> {
    let mut values = Vec::new();
    head.for_each_value(name, &mut |value| values.push(value));
    values
}

/// Compresses a response if that is of use. It needs no `Vary`, as no cache keeps it.
fn encode(mut response: Response, coding: Coding, host: &mut impl Host) -> Response {
    let config = Arc::clone(host.router().config());
    if let Some(options) = config.http_compression()
        && options.compresses(response.body.len())
        && let Some(body) = coding.encode(&response.body, options, &mut host.compressors().0)
    {
        response.body = body;
        // Names of codings are tokens.
        let _ = response.headers.push("Content-Encoding", coding.name());
    }
    response
}

/// Inflates the body of a request, if it is in a coding.
fn decode(body: Body, coding: Option<Coding>, limits: &Limits) -> Body {
    let (Body::Complete(bytes), Some(coding)) = (&body, coding) else { return body };
    match coding.decode(bytes, limits.max_payload) {
        Ok(bytes) => Body::Complete(bytes),
        Err(DecodeFailure::TooLarge) => Body::TooLarge,
        Err(DecodeFailure::Invalid) => Body::Invalid,
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

/// Returns whether a client may take longer to read a response than it may be silent.
fn is_large(response: &Response) -> bool {
    response.body.len() >= WRITE_CHUNK
}
