//! WebSockets: the one that is the transport, the one that is tried, and those that must be closed.

use enginewire::{
    CloseReason, Event, Message, Packet, Time, TransportFault, WebSocketEnd, WebSocketId,
    codec::{self, Frame},
};

use super::{Ends, Model, State};

pub(super) struct Socket {
    /// It takes no binary frames.
    pub(super) base64: bool,
    pub(super) must_close: bool,
    pub(super) closed: bool,
    pub(super) lost: bool,
}

pub(super) struct Probe {
    pub(super) on: WebSocketId,
    pub(super) probed: bool,
    pub(super) deadline: Time,
}

/// What the client does.
impl Model {
    pub(in crate::session) fn socket_open(&mut self, now: Time, on: WebSocketId, base64: bool) {
        let mut socket = Socket::new(base64);
        if self.may_upgrade() {
            let deadline = now + self.config.upgrade_timeout;
            self.probe = Some(Probe { on, probed: false, deadline });
        } else {
            socket.must_close = true;
        }
        self.sockets.insert(on, socket);
        self.session.handle_websocket_open(now, on, base64);
        self.after(Ends::No);
    }

    pub(in crate::session) fn socket_message(
        &mut self,
        now: Time,
        on: WebSocketId,
        message: Message,
    ) {
        let decoded = match message.clone() {
            Message::Text(text) => codec::decode_text(self.revision, text).map(Some),
            Message::Binary(bytes) => Ok(codec::decode_binary(self.revision, bytes)),
        };
        let mut ends = Ends::No;
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.on == on) {
            match decoded {
                Ok(Some(Packet::Ping(data))) if data == "probe" => {
                    probe.probed = true;
                    self.may_be_noop();
                    if let Some(post) = self.post.take_if(|post| post.withheld && post.late) {
                        self.answers(post.on, 200);
                        self.free(now);
                    }
                }
                Ok(Some(Packet::Upgrade)) if probe.probed => {
                    self.probe = None;
                    self.current = Some(on);
                    self.inbox.push_back(Event::Upgraded);
                    ends = self.drained_perhaps();
                }
                _ => {
                    self.probe = None;
                    self.must_close(on);
                }
            }
        } else if self.current == Some(on) && self.state != State::Closed {
            ends = match decoded {
                Ok(packet) => packet.map_or(Ends::No, |packet| self.packet(now, packet)),
                Err(error) => Ends::With(CloseReason::ParseError(error)),
            };
        }
        self.session.handle_websocket_message(now, on, message);
        self.after(ends);
    }

    pub(in crate::session) fn socket_lost(
        &mut self,
        now: Time,
        on: WebSocketId,
        end: WebSocketEnd,
    ) {
        let mut ends = Ends::No;
        if let Some(socket) = self.sockets.get_mut(&on) {
            socket.lost = true;
        }
        self.probe.take_if(|probe| probe.on == on);
        if self.current == Some(on) && self.state != State::Closed {
            ends = Ends::With(match end.clone() {
                WebSocketEnd::Closed => CloseReason::TransportClose,
                WebSocketEnd::Violation(violation) => CloseReason::TransportError(violation.into()),
                WebSocketEnd::Failed => CloseReason::TransportError(TransportFault::ConnectionLost),
            });
        }
        self.session.handle_websocket_lost(now, on, end);
        self.after(ends);
    }
}

/// What the driver does.
impl Model {
    /// Pulls one frame; whether there was one.
    pub(in crate::session) fn write(&mut self, on: WebSocketId) -> bool {
        // Messages in answers that have not been looked at came out before those in frames.
        self.take_actions();
        let wants = self.session.wants_write(on);
        let frame = self.session.poll_write(on);
        assert_eq!(frame.is_some(), wants);
        let Some(frame) = frame else { return false };
        let packet = self.frame(&frame);
        if self.probe.as_ref().is_some_and(|probe| probe.on == on) {
            assert_eq!(packet, Packet::Pong("probe".into()));
        } else {
            assert!(self.current == Some(on) && self.state != State::Closed);
            assert!(!(frame.binary && self.sockets[&on].base64));
            assert!(!matches!(packet, Packet::Noop | Packet::Close | Packet::Upgrade));
            self.came_out(packet);
        }
        let ends = self.drained_perhaps();
        self.after(ends);
        true
    }

    fn frame(&self, frame: &Frame) -> Packet {
        let bytes = frame.prefix.into_iter().chain(frame.payload.iter().copied()).collect();
        if frame.binary {
            return codec::decode_binary(self.revision, bytes).expect("a binary packet");
        }
        let text = enginewire::Text::from_utf8(bytes).expect("a text frame is text");
        codec::decode_text(self.revision, text).expect("a packet")
    }

    pub(super) fn must_close(&mut self, on: WebSocketId) {
        self.sockets.get_mut(&on).expect("a WebSocket that was opened").must_close = true;
    }

    pub(super) fn may_upgrade(&self) -> bool {
        !self.polling_refused() && self.probe.is_none() && self.config.allow_upgrades
    }
}

impl Socket {
    pub(super) const fn new(base64: bool) -> Self {
        Self { base64, must_close: false, closed: false, lost: false }
    }
}
