//! GETs and POSTs: which must be answered, with what, and which may wait.

use enginewire::{
    Body, CloseReason, ExchangeId, Packet, Response, Revision, Time, TransportFault,
    codec::{DecodeError, PayloadDecoder, PayloadForm, jsonp},
};

use super::{Ends, Model, State};

pub(super) struct Exchange {
    pub(super) is_get: bool,
    pub(super) at: Time,
    /// The status that it must be answered with, once that is certain.
    pub(super) status: Option<u16>,
    pub(super) answered: bool,
    pub(super) lost: bool,
    /// No answer was on its way when it was lost.
    pub(super) must_not_be_answered: bool,
    /// It may be ended without having anything to tell.
    pub(super) may_be_noop: bool,
}

pub(super) struct Post {
    pub(super) on: ExchangeId,
    pub(super) binary: bool,
    pub(super) withheld: bool,
    /// Some of its messages were dropped.
    pub(super) late: bool,
}

/// What the client does.
impl Model {
    pub(in crate::session) fn get(&mut self, now: Time, on: ExchangeId) {
        let mut exchange = Exchange::new(true, now);
        let mut ends = Ends::No;
        if self.polling_refused() {
            exchange.status = Some(400);
        } else {
            let overlap = CloseReason::TransportError(TransportFault::PollOverlap);
            let mut reasons = Vec::new();
            // Whether the last one still waits is certain only once the actions have been taken.
            match self.waiting_get() {
                Some(_) if !self.session.has_actions() => ends = Ends::With(overlap),
                Some(_) => reasons.push(overlap),
                None => {}
            }
            if self.state == State::Closing {
                reasons.push(CloseReason::ForcedClose);
            }
            if !reasons.is_empty() {
                ends = Ends::Perhaps(reasons);
            }
        }
        self.exchanges.insert(on, exchange);
        self.session.handle_poll(now, on);
        if self.session.close_reason().is_some_and(|reason| reason.as_str() == "transport error") {
            let exchange = self.exchanges.get_mut(&on).expect("just put in");
            exchange.status = Some(400);
        }
        self.after(ends);
    }

    pub(in crate::session) fn post(&mut self, now: Time, on: ExchangeId, binary: bool) {
        let mut ends = Ends::No;
        self.exchanges.insert(on, Exchange::new(false, now));
        if self.polling_refused() {
            self.answers(on, 400);
        } else if let Some(first) = self.post.take() {
            self.answers(first.on, 400);
            self.answers(on, 400);
            ends = Ends::With(CloseReason::TransportError(TransportFault::PostOverlap));
        } else if binary && self.revision == Revision::V4 {
            self.answers(on, 400);
            ends = Ends::With(CloseReason::TransportError(TransportFault::InvalidContent));
        } else {
            self.post = Some(Post { on, binary, withheld: false, late: false });
        }
        self.session.handle_post(now, on, binary);
        self.after(ends);
    }

    pub(in crate::session) fn body(&mut self, now: Time, on: ExchangeId, body: Body) {
        let awaited = self.post.as_ref().filter(|post| post.on == on && !post.withheld);
        let Some(binary) = awaited.map(|post| post.binary) else {
            self.session.handle_body(now, on, body);
            return self.after(Ends::No);
        };
        let mut ends = Ends::No;
        self.dropped = false;
        let status = match &body {
            _ if self.state == State::Closed => 400,
            Body::TooLarge => 413,
            Body::Invalid => {
                ends = Ends::With(CloseReason::TransportError(TransportFault::InvalidContent));
                400
            }
            Body::Complete(bytes) => match self.payload(now, bytes, binary) {
                Ok(packets_end) => {
                    ends = packets_end;
                    // A client that upgrades waits for the answer, whatever it is.
                    let upgrading = self.probe.as_ref().is_some_and(|probe| probe.probed);
                    self.dropped &= !(upgrading && matches!(ends, Ends::No));
                    if self.dropped { 400 } else { 200 }
                }
                Err(error) => {
                    ends = Ends::With(CloseReason::ParseError(error));
                    400
                }
            },
        };
        let late = self.dropped;
        let waits = late || (status == 200 && self.held);
        if waits && self.state != State::Closed && matches!(ends, Ends::No) {
            self.post = Some(Post { on, binary, withheld: true, late });
        } else {
            self.answers(on, status);
            self.post = None;
        }
        self.session.handle_body(now, on, body);
        self.after(ends);
    }

    pub(in crate::session) fn exchange_lost(&mut self, now: Time, on: ExchangeId) {
        let mut ends = Ends::No;
        let certain = !self.session.has_actions();
        if let Some(exchange) = self.exchanges.get_mut(&on) {
            let waits = exchange.is_get && exchange.waits();
            exchange.lost = true;
            exchange.must_not_be_answered |= certain;
            if waits && self.state != State::Closed {
                let reason = CloseReason::TransportError(TransportFault::PollLost);
                ends = if certain { Ends::With(reason) } else { Ends::Perhaps(vec![reason]) };
            }
        }
        if let Some(post) = self.post.take_if(|post| post.on == on)
            && !post.withheld
            && self.state != State::Closed
        {
            ends = Ends::With(CloseReason::TransportError(TransportFault::PostLost));
        }
        self.session.handle_exchange_lost(now, on);
        self.after(ends);
    }
}

/// What the client gets.
impl Model {
    /// An exchange has its answer.
    pub(super) fn responded(&mut self, on: ExchangeId, response: &Response) {
        let exchange = self.exchanges.get_mut(&on).expect("an exchange that was begun");
        assert!(!std::mem::replace(&mut exchange.answered, true), "{on:?} is answered twice");
        assert!(!exchange.must_not_be_answered, "{on:?} was lost long ago");
        let (is_get, status) = (exchange.is_get, response.status);
        let may_be_noop = exchange.may_be_noop;
        if let Some(expected) = exchange.status {
            return assert_eq!(status, expected, "{on:?}");
        }
        assert!(is_get && status == 200, "{on:?} has the answer {status} too early");
        let packets = self.answer(response);
        let controls =
            packets.iter().filter(|packet| matches!(packet, Packet::Noop | Packet::Close));
        if controls.count() > 0 {
            let fits = match packets[..] {
                [Packet::Noop] => may_be_noop,
                [Packet::Close] => self.state == State::Closed || self.current.is_some(),
                [Packet::Noop, Packet::Close] => self.state == State::Closed,
                _ => false,
            };
            return assert!(fits && self.shaken, "{packets:?}");
        }
        for packet in packets {
            self.came_out(packet);
        }
    }

    pub(super) fn answers(&mut self, on: ExchangeId, status: u16) {
        let exchange = self.exchanges.get_mut(&on).expect("an exchange that was begun");
        assert_eq!(exchange.status.replace(status), None);
    }

    /// Whoever waits now may be answered only so that he does not wait any longer.
    pub(super) fn may_be_noop(&mut self) {
        let gets = self.exchanges.values_mut().filter(|exchange| exchange.is_get);
        gets.filter(|get| get.waits()).for_each(|get| get.may_be_noop = true);
    }

    pub(super) fn waiting_get(&self) -> Option<&Exchange> {
        self.exchanges.values().find(|exchange| exchange.is_get && exchange.waits())
    }

    /// The packets in the answer to a GET.
    fn answer(&self, response: &Response) -> Vec<Packet> {
        let (body, form) = if self.jsonp {
            assert_eq!(response.content_type, Some("text/javascript; charset=UTF-8"));
            let body = response.body.strip_prefix(b"___eio[7](").expect("a call");
            let string = body.strip_suffix(b");").expect("a call to its end");
            let payload: String = serde_json::from_slice(string).expect("with a string");
            let text =
                if self.revision == Revision::V4 { PayloadForm::V4 } else { PayloadForm::V3Text };
            (payload.into(), text)
        } else {
            let form = match (self.revision, response.content_type) {
                (Revision::V4, Some("text/plain; charset=UTF-8")) => PayloadForm::V4,
                (Revision::V3, Some("text/plain; charset=UTF-8")) => PayloadForm::V3Text,
                (Revision::V3, Some("application/octet-stream")) => PayloadForm::V3Binary,
                other => panic!("{other:?}"),
            };
            assert!(!(self.base64 && form == PayloadForm::V3Binary));
            (response.body.clone(), form)
        };
        let length = body.len();
        let decoded: Result<Vec<_>, _> = PayloadDecoder::new(form, body, usize::MAX).collect();
        let packets = decoded.expect("a payload");
        assert!(packets.len() == 1 || length <= self.config.limits.max_payload);
        assert!(!packets.is_empty(), "an answer with nothing in it");
        packets
    }

    /// What the packets in the body of a POST do.
    fn payload(
        &mut self,
        now: Time,
        body: &bytes::Bytes,
        binary: bool,
    ) -> Result<Ends, DecodeError> {
        let form = match (self.revision, binary) {
            (Revision::V4, _) => PayloadForm::V4,
            (Revision::V3, false) => PayloadForm::V3Text,
            (Revision::V3, true) => PayloadForm::V3Binary,
        };
        let body = if self.jsonp { jsonp::decode_body(body)? } else { Some(body.clone()) };
        let Some(body) = body else { return Ok(Ends::No) };
        for packet in PayloadDecoder::new(form, body, self.config.limits.max_packets) {
            let ends = self.packet(now, packet?);
            if !matches!(ends, Ends::No) {
                return Ok(ends);
            }
        }
        Ok(Ends::No)
    }
}

impl Exchange {
    pub(super) const fn new(is_get: bool, at: Time) -> Self {
        Self {
            is_get,
            at,
            status: None,
            answered: false,
            lost: false,
            must_not_be_answered: false,
            may_be_noop: false,
        }
    }

    /// Whether it still waits, as far as actions that were taken tell.
    pub(super) const fn waits(&self) -> bool {
        !self.answered && !self.lost && self.status.is_none()
    }
}
