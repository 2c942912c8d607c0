//! Messages in both directions: in order, exactly once, and counted to the byte.

use enginewire::{
    CloseReason, Encoded, Event, Limits, Packet, Revision, SendError, Time, TransportFault,
};

use super::{Ends, Model, State};
use crate::sent::Sent;

/// Out.
impl Model {
    pub(in crate::session) fn send(&mut self, message: &Encoded) {
        let (queued, max) = (self.session.queued(), self.config.limits.max_queued);
        let expected = if self.state != State::Open {
            Err(SendError::Closed)
        } else if message.parts() == 0 || queued < max {
            Ok(())
        } else {
            self.full = true;
            Err(SendError::Full { queued, max })
        };
        assert_eq!(self.session.has_room(), queued < max);
        if expected.is_ok() && message.parts() > 0 {
            self.queue.push_back(Sent::new(message));
        }
        assert_eq!(self.session.send(message.clone()).map_err(SendError::from), expected);
        self.after(Ends::No);
    }

    /// A packet has reached the peer.
    pub(super) fn came_out(&mut self, packet: Packet) {
        assert_eq!(matches!(packet, Packet::Open(_)), !self.shaken, "the handshake is the first");
        match packet {
            Packet::Open(handshake) => {
                self.shaken = true;
                self.reached.opened = true;
                assert!(handshake.contains(self.session.sid().as_str()));
            }
            Packet::Ping(data) => assert!(self.revision == Revision::V4 && data.is_empty()),
            Packet::Pong(data) if data == "probe" => assert!(self.current.is_some()),
            Packet::Pong(data) => assert!(self.revision == Revision::V3 && data.is_empty()),
            Packet::Message(message) => {
                let first = self.queue.front_mut().expect("a message that was sent");
                assert_eq!(first.parts.pop_front(), Some(message), "not the one that is next");
                self.reached.sent += 1;
                if first.parts.is_empty() {
                    self.queue.pop_front();
                }
            }
            other => panic!("{other:?} came out"),
        }
    }
}

/// In.
impl Model {
    /// What a packet on the session's transport does.
    pub(super) fn packet(&mut self, now: Time, packet: Packet) -> Ends {
        self.hear(now, &packet);
        match (packet, self.revision) {
            (Packet::Message(message), _) => {
                let max_unread = self.config.limits.max_unread;
                let taken = match self.state {
                    State::Open => true,
                    State::Closing => !self.abandoned && self.unread < max_unread,
                    State::Closed => false,
                };
                if taken {
                    self.unread += message.len() + Limits::MESSAGE_OVERHEAD;
                    self.held |= self.unread >= max_unread && self.state == State::Open;
                    self.stop_reading();
                    self.inbox.push_back(Event::Message(message));
                } else {
                    self.dropped |= self.state == State::Closing;
                }
                Ends::No
            }
            (Packet::Close, _) => Ends::With(CloseReason::TransportClose),
            (Packet::Ping(_), Revision::V4) | (Packet::Pong(_), Revision::V3) => {
                Ends::With(CloseReason::TransportError(TransportFault::HeartbeatDirection))
            }
            _ => Ends::No,
        }
    }

    /// Takes one event; whether there was one.
    pub(in crate::session) fn take_event(&mut self) -> bool {
        let has_events = self.session.has_events();
        let event = self.session.poll_event();
        assert_eq!(event.is_some(), has_events);
        let Some(event) = event else {
            assert!(self.inbox.is_empty(), "{:?} is missing", self.inbox);
            return false;
        };
        assert!(!self.ended, "{event:?} behind the last");
        match &event {
            Event::Writable => {
                if !std::mem::take(&mut self.writable) {
                    // A session may have found room and ended in one go.
                    let last = self.state == State::Closed && std::mem::take(&mut self.full);
                    assert!(last, "nobody was refused");
                }
                return true;
            }
            Event::Message(message) => {
                self.reached.received += 1;
                self.unread -= message.len() + Limits::MESSAGE_OVERHEAD;
                if self.unread <= self.config.limits.max_unread / 2 {
                    self.release();
                }
            }
            Event::Upgraded => self.reached.upgraded = true,
            Event::Opened => panic!("a server's session is open from the beginning"),
            Event::Closed(_) => self.ended = true,
            other => panic!("the model does not know {other:?}"),
        }
        assert_eq!(self.inbox.pop_front(), Some(event));
        self.after(Ends::No);
        true
    }

    /// The application has caught up.
    pub(super) fn release(&mut self) {
        self.held = false;
        if let Some(post) = self.post.take_if(|post| post.withheld && !post.late) {
            self.answers(post.on, 200);
        }
    }
}
