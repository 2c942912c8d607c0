//! Long-polling: at most one GET and one POST, and what is in them and in their answers.

use bytes::Bytes;
use enginewire::{
    AnswerHead, ExchangeId, Message, Packet, Request, Revision, Text, Time, TransportFault,
    TransportKind,
    codec::{PayloadDecoder, PayloadForm},
};

use super::Model;

/// The head of an answer.
struct Answer<'a> {
    status: u16,
    binary: bool,
    cookie: Option<&'a [u8]>,
}

impl AnswerHead for Answer<'_> {
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
        let offered = if upgrades { r#""websocket""# } else { "" };
        let open = format!(
            r#"0{{"sid":"a","upgrades":[{offered}],"pingInterval":300,"pingTimeout":200,"maxPayload":50}}"#
        );
        if self.session.transport() == TransportKind::WebSocket {
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
        let form = match self.config.revision {
            Revision::V4 => PayloadForm::V4,
            Revision::V3 if binary => PayloadForm::V3Binary,
            Revision::V3 => PayloadForm::V3Text,
        };
        let lives = self.session.transport() == TransportKind::Polling && !self.parted;
        let packets = PayloadDecoder::new(form, body.clone(), self.config.limits.max_packets);
        let packets: Vec<_> = packets.map_while(Result::ok).collect();
        self.input(now, if lives && status == 200 { packets } else { vec![] }, |session| {
            session.handle_answer(now, on, &Answer { status, binary, cookie }, body);
        });
    }

    pub(in crate::client_session) fn answer_post(&mut self, now: Time, status: u16) {
        let Some(on) = self.post.take() else { return };
        self.input(now, vec![], |session| {
            let head = Answer { status, binary: false, cookie: None };
            session.handle_answer(now, on, &head, Bytes::from_static(b"4ok"));
        });
    }

    pub(in crate::client_session) fn lose_get(&mut self, now: Time, fault: TransportFault) {
        let Some(on) = self.get.take() else { return };
        self.input(now, vec![], |session| session.handle_exchange_lost(now, on, fault));
    }

    pub(in crate::client_session) fn lose_post(&mut self, now: Time, fault: TransportFault) {
        let Some(on) = self.post.take() else { return };
        self.input(now, vec![], |session| session.handle_exchange_lost(now, on, fault));
    }

    /// An answer to a request that is over, or never was.
    pub(in crate::client_session) fn answer_any(&mut self, now: Time, number: u64) {
        let on = ExchangeId(number);
        if self.get == Some(on) || self.post == Some(on) {
            return;
        }
        self.input(now, vec![], |session| {
            let head = Answer { status: 500, binary: false, cookie: Some(b"a=b") };
            session.handle_answer(now, on, &head, Bytes::from_static(b"4late"));
        });
    }

    pub(in crate::client_session) fn lose_any(&mut self, now: Time, number: u64) {
        let on = ExchangeId(number);
        if self.get == Some(on) || self.post == Some(on) {
            return;
        }
        let fault = TransportFault::ConnectionLost;
        self.input(now, vec![], |session| session.handle_exchange_lost(now, on, fault));
    }
}

/// What the driver does.
impl Model {
    pub(super) fn requested(&mut self, on: ExchangeId, request: &Request) {
        assert!(request.target.contains("transport=polling"));
        assert_eq!(request.target.contains("&sid="), self.opened.is_some());
        assert!(!self.session.is_closed() && !self.parted, "a request behind the end");
        assert_eq!(self.session.transport(), TransportKind::Polling);
        assert!(!self.probe.as_ref().is_some_and(|probe| probe.answered), "polling should pause");
        assert!(on.0 > self.exchanges, "{on:?} twice");
        self.exchanges = on.0;
        if request.method == "GET" {
            assert!(!self.held, "nobody reads");
            assert_eq!(self.get.replace(on), None);
            return;
        }
        assert_eq!((request.method, self.opened.is_some()), ("POST", true));
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
    }
}
