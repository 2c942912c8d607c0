//! Long-polling: at most one GET and one POST, and what is in them and in their answers.

use std::time::Duration;

use bytes::Bytes;
use enginewire::{
    ClientTimerKind, CloseReason, ExchangeId, HttpResponse, Message, Packet, Request, Revision,
    Text, Time, TransportFault, TransportKind,
    codec::{PayloadDecoder, PayloadForm},
};

use super::{Model, messages::open_data};

/// The head of an answer.
struct Answer<'a> {
    status: u16,
    binary: bool,
    cookie: Option<&'a [u8]>,
}

impl HttpResponse for Answer<'_> {
    fn status(&self) -> u16 {
        self.status
    }

    fn header_nth(&self, name: &str, nth: usize) -> Option<&[u8]> {
        match (name, nth) {
            ("content-type", 0) if self.binary => Some(b"application/octet-stream"),
            ("set-cookie", 0) => self.cookie,
            _ => None,
        }
    }
}

/// What the network does.
impl Model {
    /// The server's open packet on what is under way, and a message right behind it.
    pub(in crate::client_session) fn open(&mut self, now: Time, upgrades: bool) {
        let open = format!("0{}", open_data(upgrades));
        if self.transport == TransportKind::WebSocket {
            let last = self.sockets.len().wrapping_sub(1);
            self.socket_open(now, last);
            return self.socket_message(now, last, Message::Text(Text::from(&*open)));
        }
        let body = match self.config.revision {
            Revision::V4 => format!("{open}\x1e4first"),
            Revision::V3 => format!("{}:{open}6:4first", open.len()),
        };
        self.answer_get(now, 200, false, None, body.into());
    }

    pub(in crate::client_session) fn answer_get(
        &mut self,
        now: Time,
        status: u16,
        binary: bool,
        cookie: Option<&[u8]>,
        body: Bytes,
    ) {
        let Some(on) = self.get.take() else { return };
        self.session.handle_response(now, on, &Answer { status, binary, cookie }, body.clone());
        let mut ends = None;
        if self.polls() {
            self.deadlines.stop(ClientTimerKind::Get);
            ends = match status {
                // Whatever it is, nobody will hear of it.
                _ if self.parted => None,
                200 => self.payload(now, body, binary),
                _ => self.fail(now, TransportFault::Status(status)),
            };
        }
        self.settle(ends);
    }

    pub(in crate::client_session) fn answer_post(&mut self, now: Time, status: u16) {
        let Some(on) = self.post.take() else { return };
        let head = Answer { status, binary: false, cookie: None };
        self.session.handle_response(now, on, &head, Bytes::from_static(b"4ok"));
        let mut ends = None;
        if self.polls() {
            self.deadlines.stop(ClientTimerKind::Post);
            ends = match status {
                _ if self.parted => Some(CloseReason::ForcedClose),
                200 => None,
                _ => self.fail(now, TransportFault::Status(status)),
            };
        }
        self.settle(ends);
    }

    pub(in crate::client_session) fn lose_get(&mut self, now: Time, fault: TransportFault) {
        let Some(on) = self.get.take() else { return };
        self.session.handle_exchange_lost(now, on, fault.clone());
        let mut ends = None;
        if self.polls() {
            self.deadlines.stop(ClientTimerKind::Get);
            ends = self.get_failed(now, fault);
        }
        self.settle(ends);
    }

    pub(in crate::client_session) fn lose_post(&mut self, now: Time, fault: TransportFault) {
        let Some(on) = self.post.take() else { return };
        self.session.handle_exchange_lost(now, on, fault.clone());
        let mut ends = None;
        if self.polls() {
            self.deadlines.stop(ClientTimerKind::Post);
            ends = self.post_failed(now, fault);
        }
        self.settle(ends);
    }

    /// An answer to a request that is over, or never was.
    pub(in crate::client_session) fn answer_any(&mut self, now: Time, number: u64) {
        let on = ExchangeId(number);
        if self.get == Some(on) || self.post == Some(on) {
            return;
        }
        let head = Answer { status: 500, binary: false, cookie: Some(b"a=b") };
        self.session.handle_response(now, on, &head, Bytes::from_static(b"4late"));
        self.settle(None);
    }

    pub(in crate::client_session) fn lose_any(&mut self, now: Time, number: u64) {
        let on = ExchangeId(number);
        if self.get == Some(on) || self.post == Some(on) {
            return;
        }
        self.session.handle_exchange_lost(now, on, TransportFault::ConnectionLost);
        self.settle(None);
    }

    /// Behind the last POST nobody waits for the GET any more.
    pub(super) fn get_failed(&mut self, now: Time, fault: TransportFault) -> Option<CloseReason> {
        if self.parted { None } else { self.fail(now, fault) }
    }

    /// The last POST only tells the server that the session is over.
    pub(super) fn post_failed(&mut self, now: Time, fault: TransportFault) -> Option<CloseReason> {
        if self.parted { Some(CloseReason::ForcedClose) } else { self.fail(now, fault) }
    }

    /// What the packets in an answer do. Those before a fault count, and those behind the end do not.
    fn payload(&mut self, now: Time, body: Bytes, binary: bool) -> Option<CloseReason> {
        let form = match self.config.revision {
            Revision::V4 => PayloadForm::V4,
            Revision::V3 if binary => PayloadForm::V3Binary,
            Revision::V3 => PayloadForm::V3Text,
        };
        let mut empty = true;
        for packet in PayloadDecoder::new(form, body, self.config.limits.max_packets) {
            let packet = match packet {
                Ok(packet) => packet,
                Err(error) => return self.fail(now, error.into()),
            };
            empty &= packet == Packet::Noop;
            let ends = self.packet(now, packet);
            if ends.is_some() || !self.opened {
                return ends;
            }
        }
        if !self.opened {
            return self.fail(now, TransportFault::Handshake);
        }
        self.empty_answers = if empty { self.empty_answers + 1 } else { 0 };
        if self.empty_answers >= 8 {
            // A server that has so little to say is asked ten times a second.
            self.deadlines.set(ClientTimerKind::Rest, now + Duration::from_millis(100));
        }
        None
    }
}

/// What the driver does.
impl Model {
    pub(super) fn requested(&mut self, now: Time, on: ExchangeId, request: &Request) {
        assert!(request.target.contains("transport=polling"));
        assert_eq!(request.target.contains("&sid="), self.opened);
        assert!(self.polls() && !self.parted, "a request behind the end");
        assert!(!self.probe.as_ref().is_some_and(|probe| probe.answered), "polling should pause");
        assert!(on.0 > self.exchanges, "{on:?} twice");
        self.exchanges = on.0;
        let is_get = request.method == "GET";
        if let Some(timeout) = self.config.request_timeout {
            let kind = if is_get { ClientTimerKind::Get } else { ClientTimerKind::Post };
            self.deadlines.set(kind, now + timeout);
        }
        if is_get {
            assert!(!self.held, "nobody reads");
            assert_eq!(self.get.replace(on), None);
            return;
        }
        assert_eq!((request.method, self.opened), ("POST", true));
        assert_eq!(self.post.replace(on), None);
        let form = match request.content_type {
            Some("application/octet-stream") => PayloadForm::V3Binary,
            _ if self.config.revision == Revision::V3 => PayloadForm::V3Text,
            _ => PayloadForm::V4,
        };
        let length = request.body.len();
        let packets = PayloadDecoder::new(form, request.body.clone(), usize::MAX);
        let packets: Vec<_> = packets.collect::<Result<_, _>>().expect("a payload");
        let max = self.session.handshake().and_then(|handshake| handshake.max_payload);
        assert!(packets.len() == 1 || max.is_none_or(|max| length <= max));
        assert!(!packets.is_empty(), "a POST with nothing in it");
        for packet in packets {
            match packet {
                Packet::Close => {
                    assert!(self.closing && self.queue.is_empty(), "messages were thrown away");
                    self.parted = true;
                }
                packet => self.came_out(packet),
            }
        }
        self.posted = length;
        if self.closing {
            self.limit_close(now);
        }
    }
}
