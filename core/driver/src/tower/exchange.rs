//! One exchange with another HTTP server: the future of a response.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::{Buf, Bytes};
use enginewire::{
    Alarm, Body as RequestBody, HeaderLines, Reject, Response, Time,
    carrier::{self, Gathering, Host as _, Step},
    wire::http::{Event, Fault},
};
use http::{HeaderName, HeaderValue, StatusCode, Version, header, request::Parts};
use http_body::Body as HttpBody;

use super::{Body, Upgraded, head::TowerHead};
use crate::{
    cell::SessionCell,
    handler::Slot,
    host::{Asked, Forwarded, ServerHost},
    lifecycle::Phase,
    peer::Peer,
    presence::Presence,
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
    /// Once the exchange has had to wait.
    presence: Option<Presence>,
    alarm: Alarm,
}

impl Exchanging {
    pub(super) fn new(shared: Arc<Shared>, mut request: Parts, peer: Peer) -> Self {
        let upgrades = shared.hooks.upgrades.as_ref();
        let connection = upgrades.and_then(|upgrades| upgrades.take(&mut request.extensions));
        let has_slot = connection.is_some() && shared.hooks.handler.is_some();
        Self {
            shared,
            peer,
            version: request.version,
            request: Some(request),
            exchange: carrier::Exchange::new(),
            body: None,
            is_whole: false,
            connection,
            slot: has_slot.then(|| Box::new(Slot::new())),
            presence: None,
            alarm: Alarm::new(),
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
        let now = self.shared.sessions.clock.now();
        self.alarm.expire(now);
        let step = self.drive(now, body.as_mut(), cx);
        match step {
            Step::Wait | Step::ReadBody => {
                self.wait(cx);
                Poll::Pending
            }
            Step::Respond { response, close } => {
                // The rest of the body is not read, and may never come.
                let close = close || !(self.is_whole || body.is_end_stream());
                Poll::Ready(self.respond(response, close))
            }
            Step::Upgrade(upgrade) => Poll::Ready(self.upgrade(upgrade)),
            // Never: the connection is not this server's to hand over.
            Step::HandOver(_) => Poll::Ready(self.respond(Reject::UnknownSession.response(), true)),
        }
    }

    /// Goes on until there is a response, or nothing more can be done now.
    fn drive<B: HttpBody>(
        &mut self,
        now: Time,
        mut body: Pin<&mut B>,
        cx: &mut Context<'_>,
    ) -> Step<Arc<SessionCell>> {
        let Self { shared, peer, request, exchange, body: gathering, is_whole, slot, .. } = self;
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
                    Step::Respond { .. } | Step::Upgrade(_) | Step::HandOver(_) => return step,
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

    /// Has the task woken by phases of the server and the deadline of the body.
    fn wait(&mut self, cx: &Context<'_>) {
        let presence = self.presence.get_or_insert_with(|| Presence::new(Arc::clone(&self.shared)));
        if !presence.is_woken_by(cx.waker()) {
            // It would wake the task that was here before.
            presence.disarm(&mut self.alarm);
            presence.register_as(cx.waker(), cx.waker());
            // The phase may have changed before.
            if self.shared.sessions.lifecycle.phase() == Phase::Aborting {
                cx.waker().wake_by_ref();
            }
        }
        if let Some(body) = &self.body {
            presence.arm(&mut self.alarm, Some(body.deadline()), cx.waker());
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
        if close && self.version < Version::HTTP_2 {
            fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// Responds to a WebSocket handshake, and spawns the task of its connection.
    fn upgrade(&mut self, mut upgrade: carrier::Upgrade<Arc<SessionCell>>) -> http::Response<Body> {
        let mut response = http::Response::new(Body::default());
        let fields = response.headers_mut();
        append(fields, mem::take(&mut upgrade.switch.headers));
        append(fields, mem::take(&mut upgrade.switch.extension));
        // RFC 8441 section 5: an extended CONNECT is responded to as any CONNECT is.
        if let Some(accept) = &upgrade.switch.accept {
            fields.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
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
        if let Some(presence) = &self.presence {
            presence.disarm(&mut self.alarm);
        }
    }
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
