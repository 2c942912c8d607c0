//! One exchange with another HTTP server: the future of a response.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, Bytes};
use enginewire::{
    Body as RequestBody, HeaderLines, Reject, Response, Time,
    carrier::{self, Gathering, Host as _, RelayedResponse, Step},
    wire::http::{Event, Fault},
};
use http::{HeaderName, HeaderValue, StatusCode, Version, header, request::Parts};
use http_body::Body as HttpBody;

use super::{
    Body, Upgraded,
    head::TowerHead,
    relaying::{Failure, Relaying},
};
use crate::{
    cell::SessionCell,
    handler::Slot,
    host::{Asked, Forwarded, ServerHost},
    lifecycle::Phase,
    peer::Peer,
    presence::Waiting,
    scratch::Scratch,
    shared::Shared,
};

/// A request, from its head to its response. Lost when dropped before.
pub(super) struct Exchanging {
    shared: Arc<Shared>,
    peer: Peer,
    version: Version,
    /// Until the first poll.
    request: Option<Parts>,
    exchange: carrier::Exchange<Arc<SessionCell>, Asked, Forwarded>,
    /// The body that is being received.
    body: Option<Gathering>,
    /// The body has been read to its end, which not every one tells by itself (a chunked one of hyper does not).
    is_whole: bool,
    /// There if the connection of the request may be handed over.
    connection: Option<Upgraded>,
    /// For the handler of a session that begins with a WebSocket.
    slot: Option<Box<Slot>>,
    /// The request, if another node has its session.
    relaying: Option<Box<Relaying>>,
    waiting: Waiting,
}

impl Exchanging {
    pub(super) fn new(shared: Arc<Shared>, mut request: Parts, peer: Peer) -> Self {
        let upgrades = shared.hooks.upgrades.as_ref();
        let connection = upgrades.and_then(|upgrades| upgrades.take(&mut request.extensions));
        let has_slot = connection.is_some() && shared.hooks.handler.is_some();
        Self {
            waiting: Waiting::new(Arc::clone(&shared)),
            shared,
            peer,
            version: request.version,
            request: Some(request),
            exchange: carrier::Exchange::new(),
            body: None,
            is_whole: false,
            connection,
            slot: has_slot.then(|| Box::new(Slot::new())),
            relaying: None,
        }
    }

    pub(super) fn poll<B: HttpBody>(
        &mut self,
        mut body: Pin<&mut B>,
        cx: &mut Context<'_>,
    ) -> Poll<http::Response<Body>> {
        if self.shared.sessions.lifecycle.phase() == Phase::Aborting {
            self.lose();
            return Poll::Ready(self.respond(Reject::Unavailable.response(), true));
        }
        if self.relaying.is_some() {
            return self.poll_relayed(body, cx);
        }
        let now = self.shared.sessions.clock.now();
        self.waiting.expire(now);
        match self.drive(now, body.as_mut(), cx) {
            // It is another node's from now on.
            _ if self.relaying.is_some() => self.poll_relayed(body, cx),
            Step::Wait | Step::ReadBody | Step::HandOver(_) => {
                self.waiting.wait(self.body.as_ref().map(Gathering::deadline), cx);
                Poll::Pending
            }
            Step::Respond { response, close } => {
                // The rest of the body is not read, and may never come.
                let close = close || !(self.is_whole || body.is_end_stream());
                Poll::Ready(self.respond(response, close))
            }
            Step::Upgrade(upgrade) => Poll::Ready(self.upgrade(upgrade)),
        }
    }

    /// Goes on until there is a response, or nothing more can be done now.
    fn drive<B: HttpBody>(
        &mut self,
        now: Time,
        mut body: Pin<&mut B>,
        cx: &mut Context<'_>,
    ) -> Step<Arc<SessionCell>> {
        let Self { shared, peer, request, exchange, body: gathering, .. } = self;
        let Self { is_whole, slot, relaying, .. } = self;
        Scratch::with(|Scratch { supplies, .. }| {
            let mut slot = slot.as_mut().map(|slot| slot.open());
            let mut host = ServerHost::new(shared, peer, cx, supplies, slot.as_mut());
            let mut step = match request.take() {
                Some(mut parts) => {
                    host.extensions = mem::take(&mut parts.extensions);
                    let (config, upgradable) = (&*shared.http, self.connection.is_some());
                    let head = TowerHead { parts: &parts, config, upgradable };
                    exchange.begin(now, &mut host, head, true)
                }
                None => exchange.drive(now, &mut host, true),
            };
            loop {
                match step {
                    Step::Respond { .. } | Step::Upgrade(_) => return step,
                    Step::HandOver(handed) => {
                        let length = body.size_hint().exact();
                        match Relaying::begin(now, shared, peer, &mut host, *handed, length) {
                            Ok(relayed) => *relaying = Some(Box::new(relayed)),
                            Err(reject) => return exchange.refuse(&mut host, &reject, true),
                        }
                        return Step::Wait;
                    }
                    Step::ReadBody => {
                        let announced = body.size_hint().lower();
                        *gathering = Gathering::new(now, &shared.http, announced);
                        if gathering.is_none() {
                            step =
                                exchange.receive_body(now, &mut host, RequestBody::TooLarge, true);
                            continue;
                        }
                    }
                    Step::Wait => {}
                }
                let Some(received) = gathering else { return step };
                match poll_body(received, body.as_mut(), now, host.cx) {
                    Read::Some(length) => {
                        if length > 0 {
                            exchange.note_read(now, &mut host, length);
                            step = exchange.drive(now, &mut host, true);
                            if let Step::Respond { .. } = step {
                                return step;
                            }
                        }
                        let fault = received.handle_timeout(now, &shared.http);
                        let Some(fault) = fault else { return step };
                        return fail(exchange, now, &mut host, fault);
                    }
                    Read::Whole => {
                        *is_whole = true;
                        let whole =
                            gathering.take().map_or(RequestBody::TooLarge, Gathering::finish);
                        step = exchange.receive_body(now, &mut host, whole, true);
                    }
                    Read::TooMuch => {
                        *gathering = None;
                        step = exchange.receive_body(now, &mut host, RequestBody::TooLarge, true);
                    }
                    Read::Lost => {
                        host.failed(&Event::Lost);
                        exchange.lose(now, &mut host);
                        return Step::Respond { response: Response::empty(400), close: true };
                    }
                }
            }
        })
    }

    /// Passes a request on to another node, and its response back.
    fn poll_relayed<B: HttpBody>(
        &mut self,
        body: Pin<&mut B>,
        cx: &mut Context<'_>,
    ) -> Poll<http::Response<Body>> {
        let Some(relaying) = &mut self.relaying else { return Poll::Pending };
        let response = ready!(relaying.poll_response(body, cx));
        let relaying = self.relaying.take();
        Poll::Ready(match (response, relaying) {
            (Ok(response), Some(relaying)) => self.pass_on(&response, relaying),
            (Err(Failure::Refused(reject)), _) => self.refuse(&reject, cx),
            _ => self.respond(Response::empty(400), true),
        })
    }

    /// Responds as another node has, and goes on with the connection if that has switched protocols.
    fn pass_on(
        &mut self,
        relayed: &RelayedResponse,
        relaying: Box<Relaying>,
    ) -> http::Response<Body> {
        let mut response = http::Response::new(Body::default());
        let is_final = !relayed.is_upgrade();
        let fields = response.headers_mut();
        for (name, value) in relayed.fields() {
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
                fields.append(name, value);
            }
        }
        let status = StatusCode::from_u16(relayed.status()).unwrap_or(StatusCode::BAD_GATEWAY);
        if is_final && !relaying.has_body() {
            self.close(fields);
        } else if status == StatusCode::SWITCHING_PROTOCOLS {
            switch(fields);
        }
        *response.status_mut() = status;
        if is_final {
            *response.body_mut() = Body::relayed(relaying);
        } else if let (Some(connection), Some(upgrades)) =
            (self.connection.take(), &self.shared.hooks.upgrades)
        {
            let state = relaying.into_connection();
            upgrades.spawn_relayed(&self.shared, connection, self.peer.clone(), state);
        }
        response
    }

    /// Responds in the place of another node. The rest of the body is not read.
    fn refuse(&mut self, reject: &Reject, cx: &mut Context<'_>) -> http::Response<Body> {
        let Self { shared, peer, exchange, .. } = self;
        let step = Scratch::with(|Scratch { supplies, .. }| {
            exchange.refuse(&mut ServerHost::new(shared, peer, cx, supplies, None), reject, true)
        });
        match step {
            Step::Respond { response, close } => self.respond(response, close),
            // Never: a refusal is a response.
            _ => self.respond(reject.response(), true),
        }
    }

    fn respond(&mut self, response: Response, close: bool) -> http::Response<Body> {
        let Response { status, content_type, headers, body, .. } = response;
        let body = match self.exchange.take_sending() {
            Some(sending) => Body::sending(body, &self.shared, self.peer.clone(), sending),
            None => Body::new(body),
        };
        let mut response = http::Response::new(body);
        // An application may respond with any number.
        let status = StatusCode::from_u16(status).ok().filter(|status| !status.is_informational());
        *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let fields = response.headers_mut();
        let content_type = content_type.map(|value| Bytes::from_static(value.as_bytes()));
        if let Some(Ok(content_type)) = content_type.map(HeaderValue::from_maybe_shared) {
            fields.insert(header::CONTENT_TYPE, content_type);
        }
        append(fields, headers);
        if close {
            self.close(fields);
        }
        response
    }

    /// Has the HTTP server close the connection behind the response.
    fn close(&self, fields: &mut http::HeaderMap) {
        if self.version < Version::HTTP_2 {
            fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }

    /// Responds to a WebSocket handshake, and spawns the task of its connection.
    fn upgrade(&mut self, mut upgrade: carrier::Upgrade<Arc<SessionCell>>) -> http::Response<Body> {
        let mut response = http::Response::new(Body::default());
        let fields = response.headers_mut();
        append(fields, mem::take(&mut upgrade.switch.headers));
        append(fields, mem::take(&mut upgrade.switch.extension));
        // RFC 8441 section 5: an extended CONNECT is responded to as any CONNECT is.
        if let Some(accept) = &upgrade.switch.accept {
            switch(fields);
            if let Ok(accept) = HeaderValue::from_str(accept.as_str()) {
                fields.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
            }
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        }
        // Without a connection to hand over, nothing is an upgrade.
        if let (Some(connection), Some(upgrades)) =
            (self.connection.take(), &self.shared.hooks.upgrades)
        {
            let slot = self.slot.take();
            upgrades.spawn(&self.shared, connection, self.peer.clone(), upgrade, slot);
        }
        response
    }

    /// Ends what is in flight. The session is told.
    fn lose(&mut self) {
        let Self { shared, peer, exchange, .. } = self;
        if exchange.is_idle() {
            return;
        }
        let now = shared.sessions.clock.now();
        Scratch::with(|Scratch { supplies, .. }| {
            let cx = &mut Context::from_waker(Waker::noop());
            exchange.lose(now, &mut ServerHost::new(shared, peer, cx, supplies, None));
        });
    }
}

impl Drop for Exchanging {
    fn drop(&mut self) {
        self.lose();
    }
}

/// Puts the fields of a response that switches protocols on HTTP/1.1.
fn switch(fields: &mut http::HeaderMap) {
    fields.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// Bytes of a body that have come.
enum Read {
    /// So many, and others are still to come.
    Some(usize),
    /// The last ones.
    Whole,
    /// More than the limit.
    TooMuch,
    /// The client has gone.
    Lost,
}

/// Takes what has come of a body. Its session learns of a part only if it has to wait for the rest.
fn poll_body<B: HttpBody>(
    gathering: &mut Gathering,
    mut body: Pin<&mut B>,
    now: Time,
    cx: &mut Context<'_>,
) -> Read {
    let mut length = 0;
    loop {
        let frame = match body.as_mut().poll_frame(cx) {
            Poll::Pending => return Read::Some(length),
            Poll::Ready(None) => return Read::Whole,
            Poll::Ready(Some(Err(_))) => return Read::Lost,
            Poll::Ready(Some(Ok(frame))) => frame,
        };
        // Trailers mean nothing here.
        let Ok(mut data) = frame.into_data() else { continue };
        while data.has_remaining() {
            let chunk = data.chunk();
            if !gathering.receive(now, chunk) {
                return Read::TooMuch;
            }
            let taken = chunk.len();
            data.advance(taken);
            length += taken;
        }
        if body.is_end_stream() {
            return Read::Whole;
        }
    }
}

/// Ends an exchange by a fault of the client.
fn fail(
    exchange: &mut carrier::Exchange<Arc<SessionCell>, Asked, Forwarded>,
    now: Time,
    host: &mut ServerHost<'_, '_, '_>,
    fault: Fault,
) -> Step<Arc<SessionCell>> {
    let response = Reject::Head(fault).response();
    host.failed(&Event::Fault(fault));
    exchange.lose(now, host);
    Step::Respond { response, close: true }
}

/// Appends header lines that were checked when they were pushed. Their values are not copied.
fn append(fields: &mut http::HeaderMap, lines: HeaderLines) {
    // Nearly all responses have it, and nothing else.
    if lines == HeaderLines::NO_STORE {
        fields.append(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        return;
    }
    for (name, value) in lines.into_fields() {
        let (name, value) = (HeaderName::from_bytes(&name), HeaderValue::from_maybe_shared(value));
        if let (Ok(name), Ok(value)) = (name, value) {
            fields.append(name, value);
        }
    }
}
