//! WebSockets: the one that is the transport, the one that is tried, and those that are over.

use enginewire::{
    ClientTimerKind, CloseReason, Event, Message, Packet, Text, Time, TransportFault,
    TransportKind, WebSocketEnd, WebSocketId,
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

/// A WebSocket that is to become the transport.
#[derive(Default)]
pub(super) struct Probe {
    /// Its name, once it has been asked for.
    pub(super) on: Option<WebSocketId>,
    pub(super) asked: bool,
    pub(super) answered: bool,
}

/// What the network does.
impl Model {
    pub(in crate::client_session) fn socket_open(&mut self, now: Time, index: usize) {
        let Some(on) = self.socket(index, &[Way::Opening]) else { return };
        self.ways.insert(on, Way::Open);
        self.session.handle_websocket_open(now, on, None);
        self.settle(None);
    }

    pub(in crate::client_session) fn socket_refused(&mut self, now: Time, index: usize) {
        let Some(on) = self.socket(index, &[Way::Opening]) else { return };
        let fault = TransportFault::Unreachable;
        self.session.handle_websocket_refused(now, on, fault.clone());
        let ends = if self.is_transport(on) { self.fail(now, fault) } else { None };
        self.lost(on, ends);
    }

    /// Also on one that the session has closed: the server may not know yet.
    pub(in crate::client_session) fn socket_message(
        &mut self,
        now: Time,
        index: usize,
        message: Message,
    ) {
        let Some(on) = self.socket(index, &[Way::Open, Way::Closed]) else { return };
        self.session.handle_websocket_message(now, on, message.clone());
        let decoded = match message {
            Message::Text(text) => codec::decode_text(self.config.revision, text).map(Some),
            Message::Binary(bytes) => Ok(codec::decode_binary(self.config.revision, bytes)),
        };
        let mut ends = None;
        if self.is_transport(on) {
            ends = match decoded {
                Ok(Some(packet)) => self.packet(now, packet),
                Ok(None) => None,
                Err(error) => self.fail(now, error.into()),
            };
        } else if let Some(probe) = self.probe.as_mut().filter(|probe| probe.on == Some(on)) {
            match decoded {
                Ok(Some(Packet::Pong(data))) if data == "probe" && probe.asked => {
                    probe.answered = true;
                }
                _ => self.end_probe(),
            }
        }
        self.settle(ends);
    }

    pub(in crate::client_session) fn socket_lost(
        &mut self,
        now: Time,
        index: usize,
        end: WebSocketEnd,
    ) {
        let Some(on) = self.socket(index, &[Way::Open, Way::Closed]) else { return };
        self.session.handle_websocket_lost(now, on, end.clone());
        let ends = match end {
            _ if !self.is_transport(on) => None,
            WebSocketEnd::Violation(violation) => self.fail(now, violation.into()),
            // There was no session that could have been closed.
            _ if !self.opened => self.fail(now, TransportFault::ConnectionLost),
            WebSocketEnd::Closed | WebSocketEnd::Failed => Some(CloseReason::TransportClose),
        };
        self.lost(on, ends);
    }

    fn lost(&mut self, on: WebSocketId, ends: Option<CloseReason>) {
        self.ways.insert(on, Way::Lost);
        if self.is_probe(on) {
            self.end_probe();
        }
        self.settle(ends);
    }

    /// Once the server has answered the probe and nothing is under way by polling, the WebSocket is the
    /// transport.
    pub(super) fn upgrade_perhaps(&mut self) {
        let rests = self.get.is_none() && self.post.is_none();
        if !(rests && self.probe.as_ref().is_some_and(|probe| probe.answered)) {
            return;
        }
        self.end_probe();
        self.deadlines.stop(ClientTimerKind::Rest);
        self.transport = TransportKind::WebSocket;
        self.upgrade_due = true;
        self.inbox.push_back(Event::Upgraded);
    }
}

/// What the driver does.
impl Model {
    /// Pulls one frame; whether there was one.
    pub(in crate::client_session) fn write(&mut self, index: usize) -> bool {
        let Some(on) = self.socket(index, &[Way::Open, Way::Closed, Way::Lost]) else {
            return false;
        };
        let wants = self.session.wants_write(on);
        let frame = self.session.poll_write(on);
        assert_eq!(frame.is_some(), wants);
        let Some(frame) = frame else { return false };
        let packet = self.frame(&frame);
        assert_eq!(self.ways[&on], Way::Open, "{packet:?} on {on:?}");
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.on == Some(on)) {
            assert_eq!(packet, Packet::Ping("probe".into()));
            assert!(!std::mem::replace(&mut probe.asked, true), "asked twice");
        } else {
            assert!(self.is_transport(on), "{packet:?} on {on:?}");
            if std::mem::take(&mut self.upgrade_due) {
                assert_eq!(packet, Packet::Upgrade);
            } else {
                self.came_out(packet);
            }
        }
        let ends = self.drained();
        self.settle(ends);
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
    pub(super) fn socket(&self, index: usize, ways: &[Way]) -> Option<WebSocketId> {
        let on = *self.sockets.get(index.checked_rem(self.sockets.len())?)?;
        ways.contains(&self.ways[&on]).then_some(on)
    }

    /// There is no upgrade under way, or none any more.
    pub(super) fn end_probe(&mut self) {
        self.probe = None;
        self.deadlines.stop(ClientTimerKind::Upgrade);
    }

    pub(super) fn is_probe(&self, on: WebSocketId) -> bool {
        self.probe.as_ref().is_some_and(|probe| probe.on == Some(on))
    }

    /// Whether it carries the session, or may come to.
    pub(super) fn is_transport(&self, on: WebSocketId) -> bool {
        let is_last = self.sockets.last() == Some(&on);
        self.over.is_none() && self.transport == TransportKind::WebSocket && is_last
    }
}
