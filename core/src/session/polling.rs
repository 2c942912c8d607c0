//! HTTP long-polling, with at most one GET and one POST at a time. The GET waits for what the
//! session has to say. The POST brings what the client has to say.

use alloc::string::String;
use core::hash::Hasher;

use bytes::Bytes;

use super::{
    Body, CloseReason, ExchangeId, ServerAction, ServerSession, ServerTimerKind, State, Transport,
    TransportFault,
};
use crate::{
    channel::{form_of, packets},
    codec::{DecodeError, PacketRef, PayloadEncoder, PayloadForm, jsonp},
    exchange::{HeaderLines, Response},
    fingerprint::Fingerprint,
    packet::{Packet, Revision},
    router::{BadRequest, Reject},
    time::Time,
};

/// The polling side of a session.
#[derive(Clone, Debug)]
pub(super) struct Polling {
    /// The client cannot take binary payloads. Of meaning in revision 3 only.
    base64: bool,
    /// Answers are scripts that call back with this index.
    jsonp: Option<String>,
    /// The GET that waits.
    get: Option<ExchangeId>,
    /// The POST that has not been answered.
    post: Option<Post>,
}

#[derive(Clone, Debug)]
struct Post {
    on: ExchangeId,
    /// The body is `application/octet-stream`.
    binary: bool,
    /// The body has been taken, but the answer waits: for the application, or for the session's end.
    withheld: bool,
    /// It is withheld and has brought messages that were dropped, so it must not be said to be taken.
    late: bool,
}

impl Polling {
    pub(super) const fn new(base64: bool, jsonp: Option<String>) -> Self {
        Self { base64, jsonp, get: None, post: None }
    }

    /// Returns whether a GET waits for a response.
    pub(super) const fn is_waiting(&self) -> bool {
        self.get.is_some()
    }

    pub(super) fn fingerprint<H: Hasher>(&self, into: &mut Fingerprint<H>) {
        let Self { base64, jsonp, get, post } = self;
        into.push(&(base64, jsonp));
        into.push_name(get.map(|on| on.0));
        into.push_name(post.as_ref().map(|post| post.on.0));
        let post = post.as_ref();
        into.push(&post.map(|Post { on: _, binary, withheld, late }| (binary, withheld, late)));
    }
}

/// Network inputs.
impl ServerSession {
    /// A GET came: it waits until there is something to answer it with.
    ///
    /// A second GET while one waits ends the session.
    pub fn handle_poll(&mut self, now: Time, on: ExchangeId) {
        if let Some(reject) = self.polling_refused() {
            return self.respond(on, reject.response());
        }
        if self.polling.get.is_some() {
            self.respond(on, Response::empty(400));
            return self.finish(CloseReason::TransportError(TransportFault::PollOverlap));
        }
        self.polling.get = Some(on);
        if !self.channel.queue.is_empty() {
            self.answer_poll();
        } else if self.state == State::Closing {
            self.respond_packets(&[PacketRef::Noop, PacketRef::Close]);
            self.finish(CloseReason::ForcedClose);
        } else if self.is_probed() {
            self.delay_noop(now);
        }
    }

    /// Ends a GET that waits, after a further request came on its connection. The GET ends with a
    /// noop, because the further request cannot be answered before it.
    ///
    /// Responses come in the order of the requests (RFC 9112 section 9.3.2). A client or proxy that
    /// pipelines would otherwise wait with its POST for a message of ours, or for the next ping.
    pub fn handle_pipelined(&mut self, _now: Time, on: ExchangeId) {
        if self.polling.get == Some(on) {
            self.answer_poll_with_noop();
        }
    }

    /// The head of a POST came; [`handle_body`](Self::handle_body) or
    /// [`handle_exchange_lost`](Self::handle_exchange_lost) follows. `binary` says that its content
    /// type is `application/octet-stream`.
    ///
    /// A second POST before the first was answered ends the session.
    pub fn handle_post(&mut self, _now: Time, on: ExchangeId, binary: bool) {
        if let Some(reject) = self.polling_refused() {
            return self.respond(on, reject.response());
        }
        if let Some(first) = self.polling.post.take() {
            self.respond(first.on, Response::empty(400));
            self.respond(on, Response::empty(400));
            return self.finish(CloseReason::TransportError(TransportFault::PostOverlap));
        }
        if binary && self.revision == Revision::V4 {
            self.respond(on, Response::empty(400));
            return self.finish(CloseReason::TransportError(TransportFault::InvalidContent));
        }
        self.polling.post = Some(Post { on, binary, withheld: false, late: false });
    }

    /// The body of a POST came. It is answered once its messages have found room, or if the session is
    /// closing and none is left, once that is over: a client that was refused at once would not come for
    /// what is queued. In an upgrade it is answered at once, as the client waits with that for the answer.
    pub fn handle_body(&mut self, now: Time, on: ExchangeId, body: Body) {
        let receiving = |post: &mut Post| post.on == on && !post.withheld;
        // Apart from the session: its end would answer a POST of which the body is still to come.
        let Some(post) = self.polling.post.take_if(receiving) else { return };
        let bytes = match body {
            Body::Complete(bytes) => bytes,
            Body::TooLarge => return self.respond(on, Response::empty(413)),
            // What it was to bring is lost, as with a payload that cannot be parsed.
            Body::Invalid => {
                self.finish(CloseReason::TransportError(TransportFault::InvalidContent));
                return self.respond(on, Response::empty(400));
            }
        };
        match self.handle_payload(now, &bytes, post.binary) {
            Ok(late) => {
                let late = late && !self.is_probed();
                if (late || self.channel.is_throttled()) && self.state != State::Closed {
                    self.polling.post = Some(Post { withheld: true, late, ..post });
                } else {
                    self.respond_taken(on, late);
                }
            }
            Err(error) => {
                self.finish(CloseReason::ParseError(error));
                self.respond(on, Response::empty(400));
            }
        }
    }

    /// The connection of an exchange was lost before it was answered.
    pub fn handle_exchange_lost(&mut self, _now: Time, on: ExchangeId) {
        if self.polling.get == Some(on) {
            self.polling.get = None;
            self.finish(CloseReason::TransportError(TransportFault::PollLost));
        }
        if let Some(post) = self.polling.post.take_if(|post| post.on == on)
            && !post.withheld
        {
            self.finish(CloseReason::TransportError(TransportFault::PostLost));
        }
    }
}

impl ServerSession {
    /// Answers the handshake, which is a GET with header fields of its own.
    pub(super) fn respond_handshake(&mut self, on: ExchangeId, headers: HeaderLines) {
        self.polling.get = Some(on);
        self.answer_poll();
        if let Some(ServerAction::Respond(_, response)) = self.actions.back_mut() {
            let first = core::mem::replace(&mut response.headers, headers);
            response.headers.extend(&first);
        }
    }

    /// If a GET waits and there is something queued, brings them together.
    pub(super) fn answer_poll(&mut self) {
        if self.channel.queue.is_empty() || self.transport != Transport::Polling {
            return;
        }
        let Some(on) = self.polling.get.take() else { return };
        self.timers.stop(ServerTimerKind::Noop);
        let mut payload = self.payload(self.channel.queue.has_binary());
        let compressible = self.channel.queue.fill(&mut payload.1);
        self.respond_payload(on, payload, compressible);
        self.channel.tell_writable(&self.config.limits);
    }

    /// Ends a GET that has nothing to wait for.
    pub(super) fn answer_poll_with_noop(&mut self) {
        self.respond_packets(&[PacketRef::Noop]);
    }

    /// Ends a GET whose session has moved to a WebSocket, as the reference does.
    pub(super) fn answer_poll_with_close(&mut self) {
        self.respond_packets(&[PacketRef::Close]);
    }

    /// The application closes. A GET that waits learns of it at once, one still to come then.
    pub(super) fn close_polling(&mut self) {
        if self.polling.get.is_some() {
            self.finish(CloseReason::ForcedClose);
        }
    }

    /// Answers what waits when the session ends. A POST whose body is still to come is refused like one
    /// that comes later: its client may never send the rest.
    pub(super) fn finish_polling(&mut self, reason: &CloseReason) {
        match reason {
            CloseReason::TransportClose => self.answer_poll_with_noop(),
            _ => self.answer_poll_with_close(),
        }
        self.answer_withheld_post();
        if let Some(post) = self.polling.post.take() {
            self.respond(post.on, Reject::UnknownSession.response());
        }
    }

    pub(super) fn answer_withheld_post(&mut self) {
        if let Some(post) = self.polling.post.take_if(|post| post.withheld) {
            self.respond_taken(post.on, post.late);
        }
    }

    /// Says of a POST that came too late that it was taken, as of messages on a WebSocket nothing is said
    /// at all: a client that is told otherwise ends the session, and one that is told nothing waits with the
    /// upgrade, and either way it does not get what is queued.
    pub(super) fn answer_late_post(&mut self, now: Time) {
        if let Some(post) = self.polling.post.take_if(|post| post.late) {
            self.respond(post.on, ok());
            self.heartbeat_freed(now);
        }
    }

    /// Whether the client waits for the answer to a POST that came too late, and can send nothing else.
    pub(super) fn withholds_late_post(&self) -> bool {
        self.polling.post.as_ref().is_some_and(|post| post.late)
    }

    /// Answers a POST whose body has been taken; one that was `late` has brought messages that were not.
    fn respond_taken(&mut self, on: ExchangeId, late: bool) {
        self.respond(on, if late { Reject::UnknownSession.response() } else { ok() });
    }

    /// Takes a payload apart. Says whether it has brought messages that were dropped. An error ends the
    /// session, but what came before it counts.
    fn handle_payload(
        &mut self,
        now: Time,
        body: &Bytes,
        binary: bool,
    ) -> Result<bool, DecodeError> {
        let form = form_of(self.revision, binary);
        let body = match self.polling.jsonp {
            Some(_) => match jsonp::decode_body(body)? {
                Some(payload) => payload,
                None => return Ok(false),
            },
            None => body.clone(),
        };
        let mut late = false;
        for packet in packets(form, body, self.config.limits.max_packets) {
            let packet = packet?;
            late |= self.drops_messages() && matches!(packet, Packet::Message(_));
            self.handle_packet(now, packet);
            if self.state == State::Closed {
                break;
            }
        }
        Ok(late)
    }

    /// Why a GET or POST has no business here. [`ServerSession::admit`] says the same beforehand.
    fn polling_refused(&self) -> Option<Reject> {
        if self.state == State::Closed {
            Some(Reject::UnknownSession)
        } else if self.transport != Transport::Polling {
            Some(BadRequest::TransportMismatch.into())
        } else {
            None
        }
    }

    /// Answers the GET that waits, if one does, with just these packets.
    fn respond_packets(&mut self, packets: &[PacketRef<'_>]) {
        let Some(on) = self.polling.get.take() else { return };
        self.timers.stop(ServerTimerKind::Noop);
        let mut payload = self.payload(false);
        for &packet in packets {
            payload.1.push(packet);
        }
        self.respond_payload(on, payload, false);
    }

    /// A payload in the form that the client takes; revision 3 has a form of its own for payloads
    /// with something binary in them.
    fn payload(&self, binary: bool) -> (PayloadForm, PayloadEncoder) {
        let form = form_of(self.revision, binary && !self.polling.base64);
        (form, PayloadEncoder::new(form, self.config.limits.max_payload))
    }

    fn respond_payload(
        &mut self,
        on: ExchangeId,
        (form, payload): (PayloadForm, PayloadEncoder),
        compressible: bool,
    ) {
        let payload = payload.finish();
        let (content_type, body, headers) = match &self.polling.jsonp {
            Some(index) => {
                let headers = HeaderLines::from_static(NO_STORE_NO_SNIFF);
                (SCRIPT, jsonp::encode_response(index, &payload), headers)
            }
            None => (form.content_type(), payload, HeaderLines::NO_STORE),
        };
        let content_type = Some(content_type);
        self.respond(on, Response { status: 200, content_type, headers, body, compressible });
    }

    fn respond(&mut self, on: ExchangeId, response: Response) {
        self.actions.push_back(ServerAction::Respond(on, response));
    }
}

/// Returns the response to a POST that was taken.
fn ok() -> Response {
    Response {
        status: 200,
        content_type: Some("text/html"),
        headers: HeaderLines::NO_STORE,
        body: Bytes::from_static(b"ok"),
        compressible: false,
    }
}

const SCRIPT: &str = "text/javascript; charset=UTF-8";
const NO_STORE_NO_SNIFF: &str = "cache-control: no-store\r\nX-Content-Type-Options: nosniff\r\n";
