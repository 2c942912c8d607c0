//! HTTP long-polling from the client's side.
//!
//! A GET waits for packets of the server, and a POST brings those of the client. At most one of each is in
//! progress.

use alloc::string::String;
use core::{fmt, hash::Hasher, time::Duration};

use bytes::Bytes;

use super::{ClientAction, ClientSession, ClientTimerKind, State, Transport};
use crate::{
    channel::{CloseReason, ExchangeId, TransportFault, form_of, packets, time_for},
    codec::{DecodeError, PacketRef, PayloadEncoder, PayloadForm},
    config::TransportKind,
    exchange::{HttpResponse, Request},
    fingerprint::Fingerprint,
    packet::Packet,
    time::Time,
};

/// The polling side of a session.
#[derive(Clone, Debug, Default)]
pub(super) struct Polling {
    /// The GET under way. The first one brings the handshake.
    get: Option<ExchangeId>,
    /// The POST under way.
    post: Option<Post>,
    /// The POST under way, or the one before, was the last: it has told the server that we close.
    parted: bool,
    /// So many answers in a row brought nothing.
    empty_answers: u32,
}

/// A POST under way.
#[derive(Clone)]
struct Post {
    on: ExchangeId,
    content_type: Option<&'static str>,
    body: Bytes,
}

impl Polling {
    /// Returns whether no POST is in progress.
    pub(super) const fn may_post(&self) -> bool {
        self.post.is_none()
    }

    pub(super) fn fingerprint<H: Hasher>(&self, into: &mut Fingerprint<H>) {
        let Self { get, post, parted, empty_answers } = self;
        into.push_name(get.map(|on| on.0));
        into.push_name(post.as_ref().map(|post| post.on.0));
        into.push(&post.as_ref().map(|Post { on: _, content_type, body }| (content_type, body)));
        into.push(&(parted, empty_answers));
    }

    fn is_post(&self, on: ExchangeId) -> bool {
        self.post.as_ref().is_some_and(|post| post.on == on)
    }
}

/// Without the body, which holds messages.
impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post").field("on", &self.on).field("body", &self.body.len()).finish()
    }
}

/// Network inputs.
impl ClientSession {
    /// A request was answered.
    pub fn handle_response(
        &mut self,
        now: Time,
        on: ExchangeId,
        head: &dyn HttpResponse,
        body: Bytes,
    ) {
        if self.owns(on) && !self.polling.parted {
            if self.config.cookies {
                self.cookies.store(now, self.place.scope(), self.config.wall_clock, head);
            }
            match self.follow_redirect(head, self.polling.is_post(on)) {
                Ok(false) => {}
                Ok(true) => return self.ask_elsewhere(now, on),
                Err(fault) => {
                    self.forget_exchange(on);
                    return self.fail(now, fault);
                }
            }
        }
        let status = head.status();
        let (was_get, was_post) = (self.polling.get == Some(on), self.polling.is_post(on));
        self.forget_exchange(on);
        if was_post {
            // Only 200 is success, as for the reference.
            if self.polling.parted {
                self.finish(CloseReason::ForcedClose);
            } else if status != 200 {
                self.fail(now, TransportFault::Status(status));
            }
        } else if was_get {
            if self.polling.parted {
                // Whatever it is, nobody will hear of it.
            } else if status != 200 {
                self.refusal = first_line(&body);
                return self.fail(now, TransportFault::Status(status));
            } else if let Err(error) = self.handle_payload(now, body, is_binary(head)) {
                return self.fail(now, error.into());
            }
        }
        self.complete_upgrade();
    }

    /// Handles the loss of an exchange: its request will have no response.
    ///
    /// No connection was to be had, or it was lost, or the server broke a rule of HTTP.
    pub fn handle_exchange_lost(&mut self, now: Time, on: ExchangeId, fault: TransportFault) {
        let (was_get, was_post) = (self.polling.get == Some(on), self.polling.is_post(on));
        self.forget_exchange(on);
        if was_post {
            self.post_failed(now, fault);
        } else if was_get {
            self.get_failed(now, fault);
        }
    }
}

impl ClientSession {
    /// Sends the request `on` once more, where it was redirected to.
    fn ask_elsewhere(&mut self, now: Time, on: ExchangeId) {
        let next = ExchangeId(self.fresh_id());
        let mut request = self.request(now, TransportKind::Polling);
        match &mut self.polling.post {
            Some(post) if post.on == on => {
                post.on = next;
                request.method = "POST";
                request.content_type = post.content_type;
                request.body = post.body.clone();
            }
            _ => self.polling.get = Some(next),
        }
        self.actions.push_back(ClientAction::Request(next, request));
    }

    /// An exchange is over.
    fn forget_exchange(&mut self, on: ExchangeId) {
        if self.polling.is_post(on) {
            self.polling.post = None;
            self.timers.stop(ClientTimerKind::Post);
        } else if self.polling.get == Some(on) {
            self.polling.get = None;
            self.timers.stop(ClientTimerKind::Get);
        }
    }

    fn owns(&self, on: ExchangeId) -> bool {
        self.polling.get == Some(on) || self.polling.is_post(on)
    }

    /// Whether no request is under way, so that nothing of what was sent or is to come can be
    /// overtaken.
    pub(super) const fn is_at_rest(&self) -> bool {
        self.polling.get.is_none() && self.polling.post.is_none()
    }

    /// After the last POST nobody waits for the GET any more.
    pub(super) fn get_failed(&mut self, now: Time, fault: TransportFault) {
        if !self.polling.parted {
            self.fail(now, fault);
        }
    }

    /// The last POST was only to tell the server that the session is over.
    pub(super) fn post_failed(&mut self, now: Time, fault: TransportFault) {
        if self.polling.parted {
            self.finish(CloseReason::ForcedClose);
        } else {
            self.fail(now, fault);
        }
    }

    /// Takes a payload apart. What comes before an error counts.
    fn handle_payload(&mut self, now: Time, body: Bytes, binary: bool) -> Result<(), DecodeError> {
        let form = form_of(self.config.revision, binary);
        let mut empty = true;
        for packet in packets(form, body, self.config.limits.max_packets) {
            let packet = packet?;
            empty &= packet == Packet::Noop;
            self.handle_packet(now, packet);
            // Without a handshake by now it has failed, and another transport may be under way.
            if self.state == State::Closed || self.handshake.is_none() {
                return Ok(());
            }
        }
        if self.handshake.is_none() {
            // Asking again would open one session after the other at the server.
            self.fail(now, TransportFault::Handshake);
        } else {
            self.note_answer(now, empty);
        }
        Ok(())
    }

    /// A server that answers at once and has nothing to say would otherwise be asked as fast as the
    /// network allows.
    fn note_answer(&mut self, now: Time, empty: bool) {
        if !empty {
            self.polling.empty_answers = 0;
            return;
        }
        self.polling.empty_answers = self.polling.empty_answers.saturating_add(1);
        if self.polling.empty_answers >= MAX_EMPTY_ANSWERS {
            self.timers.set(ClientTimerKind::Rest, now + REST);
        }
    }

    /// Whether [`next_request`](Self::next_request) has something.
    pub(super) fn wants_request(&self) -> bool {
        self.wants_post() || self.wants_get()
    }

    /// The next request, if one is due.
    pub(super) fn next_request(&mut self, now: Time) -> Option<ClientAction> {
        let (request, kind) = if self.wants_post() {
            (self.next_post(now), ClientTimerKind::Post)
        } else if self.wants_get() {
            (self.request(now, TransportKind::Polling), ClientTimerKind::Get)
        } else {
            return None;
        };
        let on = ExchangeId(self.fresh_id());
        match kind {
            ClientTimerKind::Post => {
                let (content_type, body) = (request.content_type, request.body.clone());
                self.polling.post = Some(Post { on, content_type, body });
                self.limit_close(now);
            }
            _ => self.polling.get = Some(on),
        }
        if let Some(timeout) = self.config.request_timeout {
            self.timers.set(kind, now + timeout);
        }
        Some(ClientAction::Request(on, request))
    }

    /// Whether requests may be sent: not while the session waits for those under way to end, so as
    /// to leave polling.
    fn polls(&self) -> bool {
        self.transport == Transport::Polling
            && self.state != State::Closed
            && !self.polling.parted
            && !self.is_pausing()
    }

    fn wants_post(&self) -> bool {
        let something = !self.channel.queue.is_empty() || self.state == State::Closing;
        self.polls() && self.handshake.is_some() && self.polling.post.is_none() && something
    }

    fn wants_get(&self) -> bool {
        self.polls()
            && self.polling.get.is_none()
            && self.is_receiving()
            && !self.timers.is_set(ClientTimerKind::Rest)
    }

    /// A POST with as much of the queue as the server takes; once the queue of a closing session is
    /// empty, with the packet that says so.
    fn next_post(&mut self, now: Time) -> Request {
        let queue = &mut self.channel.queue;
        let binary = !self.config.force_base64 && queue.has_binary();
        let form = form_of(self.config.revision, binary);
        let max = self.handshake.as_ref().and_then(|handshake| handshake.max_payload);
        let mut payload = PayloadEncoder::new(form, max.unwrap_or(usize::MAX));
        if queue.is_empty() {
            payload.push(PacketRef::Close);
            self.polling.parted = true;
        } else {
            queue.fill(&mut payload);
            self.channel.tell_writable(&self.config.limits);
        }
        let mut request = self.request(now, TransportKind::Polling);
        request.method = "POST";
        request.content_type = Some(form.content_type());
        request.body = payload.finish();
        request
    }

    /// Sets the time for which a closing session waits.
    ///
    /// While messages are queued that is the whole [`close_timeout`](super::ClientConfig::close_timeout).
    /// After that only the response to the last POST is due: a server that keeps it back delays the end
    /// no longer than its bytes may take.
    pub(super) fn limit_close(&mut self, now: Time) {
        if self.state != State::Closing {
            return;
        }
        let last = self.polling.post.as_ref().filter(|_| self.channel.queue.bytes() == 0);
        let response = last.map(|post| now + self.config.linger + time_for(post.body.len()));
        let deadline = response.map_or(self.close_by, |response| response.min(self.close_by));
        self.timers.set(ClientTimerKind::Close, deadline);
    }

    /// Gives up the requests under way.
    pub(super) fn abandon_exchanges(&mut self) {
        let post = self.polling.post.take().map(|post| post.on);
        for on in [self.polling.get.take(), post].into_iter().flatten() {
            self.actions.push_back(ClientAction::Abandon(on));
        }
        self.timers.stop(ClientTimerKind::Get);
        self.timers.stop(ClientTimerKind::Post);
    }
}

/// Whether an answer of revision 3 is in the binary form.
fn is_binary(head: &dyn HttpResponse) -> bool {
    let content_type = head.header_nth("content-type", 0).unwrap_or_default();
    let kind = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    let binary = PayloadForm::V3Binary.content_type().as_bytes();
    kind.trim_ascii().eq_ignore_ascii_case(binary)
}

/// Answers without anything in them, in a row, from which on the client rests before it asks again.
/// During an upgrade a server gives a few of them, far fewer.
const MAX_EMPTY_ANSWERS: u32 = 8;

/// How long a client rests: what bounds it to ten polls a second.
const REST: Duration = Duration::from_millis(100);

/// The first line of a body that refuses a session, for a person to read. `None` if it is no text.
fn first_line(body: &Bytes) -> Option<String> {
    let line = core::str::from_utf8(body).ok()?.lines().next()?.trim();
    let text: String = line.chars().filter(|c| !c.is_control()).take(MAX_REFUSAL).collect();
    (!text.is_empty()).then_some(text)
}

/// Characters of a refusal that are kept: a sentence or two.
const MAX_REFUSAL: usize = 200;
