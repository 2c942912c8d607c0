//! WebSockets: the one that is the transport, the one that is tried, and those that are over.

use enginewire::{
    Message, Packet, SocketEnd, SocketId, Text, Time, TransportFault, TransportKind,
    codec::{self, Frame},
};

use super::Model;

/// How far a WebSocket has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Opening,
    Open,
    /// It was given up or closed by the session.
    Closed,
    Lost,
}

pub(super) struct Probe {
    pub(super) on: SocketId,
    pub(super) asked: bool,
    pub(super) answered: bool,
}

/// What the network does.
impl Model {
    pub(in crate::client_session) fn socket_open(&mut self, now: Time, index: usize) {
        let Some(on) = self.socket(index, &[Way::Opening]) else { return };
        self.ways.insert(on, Way::Open);
        self.input(now, vec![], |session| session.handle_socket_open(now, on));
    }

    pub(in crate::client_session) fn socket_refused(&mut self, now: Time, index: usize) {
        let Some(on) = self.socket(index, &[Way::Opening]) else { return };
        self.ways.insert(on, Way::Lost);
        self.forget_probe(on);
        let fault = TransportFault::Unreachable;
        self.input(now, vec![], |session| session.handle_socket_refused(now, on, fault));
    }

    /// Also on one that the session has closed: the server may not know yet.
    pub(in crate::client_session) fn socket_message(
        &mut self,
        now: Time,
        index: usize,
        message: Message,
    ) {
        let Some(on) = self.socket(index, &[Way::Open, Way::Closed]) else { return };
        let decoded = match message.clone() {
            Message::Text(text) => codec::decode_text(self.config.revision, text).ok(),
            Message::Binary(bytes) => codec::decode_binary(self.config.revision, bytes),
        };
        let mut packets = Vec::new();
        if self.is_transport(on) {
            packets.extend(decoded);
        } else if let Some(probe) = self.probe.as_mut().filter(|probe| probe.on == on) {
            match decoded {
                Some(Packet::Pong(data)) if data == "probe" && probe.asked => probe.answered = true,
                _ => self.probe = None,
            }
        }
        self.input(now, packets, |session| session.handle_socket_message(now, on, message));
    }

    pub(in crate::client_session) fn socket_lost(
        &mut self,
        now: Time,
        index: usize,
        end: SocketEnd,
    ) {
        let Some(on) = self.socket(index, &[Way::Open, Way::Closed]) else { return };
        self.ways.insert(on, Way::Lost);
        self.forget_probe(on);
        self.input(now, vec![], |session| session.handle_socket_lost(now, on, end));
    }
}

/// What the driver does.
impl Model {
    /// Pulls one frame; whether there was one.
    pub(in crate::client_session) fn write(&mut self, index: usize) -> bool {
        let Some(on) = self.socket(index, &[Way::Open, Way::Closed, Way::Lost]) else {
            return false;
        };
        let (wants, was_closed) = (self.session.wants_write(on), self.session.is_closed());
        let frame = self.session.poll_write(on);
        assert_eq!(frame.is_some(), wants);
        let Some(frame) = frame else { return false };
        let packet = self.frame(&frame);
        assert!(!was_closed && self.ways[&on] == Way::Open, "{packet:?} on {on:?}");
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.on == on) {
            if packet == Packet::Ping("probe".into()) {
                assert!(!std::mem::replace(&mut probe.asked, true), "asked twice");
                return true;
            }
            assert!(probe.answered && self.get.is_none() && self.post.is_none());
            self.probe = None;
            assert!(packet == Packet::Upgrade && !std::mem::replace(&mut self.upgrade_out, true));
        } else if packet == Packet::Upgrade {
            // The session was closed in between.
            assert!(self.closing && !std::mem::replace(&mut self.upgrade_out, true));
        } else {
            assert!(self.is_transport(on));
            self.came_out(packet);
        }
        assert!(self.queue.is_empty() || !self.session.is_closed(), "messages were thrown away");
        self.after();
        true
    }

    fn frame(&self, frame: &Frame) -> Packet {
        let bytes = frame.prefix.into_iter().chain(frame.payload.iter().copied()).collect();
        if frame.binary {
            assert!(!self.config.force_base64);
            return codec::decode_binary(self.config.revision, bytes).expect("a binary packet");
        }
        let text = Text::from_utf8(bytes).expect("a text frame is text");
        codec::decode_text(self.config.revision, text).expect("a packet")
    }

    /// The WebSocket of that number, if it has come so far.
    pub(super) fn socket(&self, index: usize, ways: &[Way]) -> Option<SocketId> {
        let on = *self.sockets.get(index.checked_rem(self.sockets.len())?)?;
        ways.contains(&self.ways[&on]).then_some(on)
    }

    pub(super) fn forget_probe(&mut self, on: SocketId) {
        self.probe.take_if(|probe| probe.on == on);
    }

    pub(super) fn is_transport(&self, on: SocketId) -> bool {
        self.session.transport() == TransportKind::WebSocket && self.sockets.last() == Some(&on)
    }
}
