//! Messages in both directions: in order, exactly once, and counted to the byte.

use enginewire::{Encoded, Event, Limits, Message, Packet, Revision, SendError};

use super::Model;
use crate::sent::Sent;

/// What the application does.
impl Model {
    pub(in crate::client_session) fn send(&mut self, message: &Encoded) {
        let (queued, max) = (self.session.queued(), self.config.limits.max_queued);
        let expected = if !self.session.is_open() {
            Err(SendError::Closed)
        } else if message.parts() == 0 || queued < max {
            Ok(())
        } else {
            self.refused += 1;
            Err(SendError::Full { queued, max })
        };
        assert_eq!(self.session.has_room(), queued < max);
        if expected.is_ok() && message.parts() > 0 {
            self.queue.push_back(Sent::new(message));
        }
        assert_eq!(self.session.send(message.clone()).map_err(SendError::from), expected);
    }

    /// Takes one event; whether there was one.
    pub(in crate::client_session) fn take_event(&mut self) -> bool {
        let has_events = self.session.has_events();
        let event = self.session.poll_event();
        assert_eq!(event.is_some(), has_events);
        let Some(event) = event else {
            assert!(self.inbox.is_empty(), "{:?} is missing", self.inbox);
            assert_eq!(self.told.closed, self.session.is_closed());
            return false;
        };
        assert!(!self.told.closed, "{event:?} behind the last");
        match event {
            Event::Opened => {
                assert!(self.opened.is_some() && !std::mem::replace(&mut self.told.opened, true));
                self.reached.opened = true;
            }
            Event::Message(message) => {
                assert!(self.told.opened);
                self.reached.received += 1;
                self.unread -= cost(&message);
                self.held &= self.unread > self.config.limits.max_unread / 2;
                assert_eq!(self.inbox.pop_front(), Some(message));
            }
            Event::Upgraded => {
                assert!(self.told.opened && !std::mem::replace(&mut self.told.upgraded, true));
                self.reached.upgraded = true;
            }
            Event::Writable => {
                self.refused = self.refused.checked_sub(1).expect("somebody was refused");
            }
            Event::Closed(reason) => {
                assert!(self.inbox.is_empty(), "{:?} is missing", self.inbox);
                assert_eq!(self.session.close_reason(), Some(&reason));
                self.told.closed = true;
            }
        }
        true
    }
}

/// What comes out.
impl Model {
    /// A packet left on the transport.
    pub(super) fn came_out(&mut self, packet: Packet) {
        match (packet, self.config.revision) {
            (Packet::Message(message), _) => {
                let first = self.queue.front_mut().expect("a message that was sent");
                assert_eq!(first.parts.pop_front(), Some(message));
                self.reached.sent += 1;
                if first.parts.is_empty() {
                    self.queue.pop_front();
                }
            }
            (Packet::Pong(data), Revision::V4) | (Packet::Ping(data), Revision::V3) => {
                assert_eq!(&*data, "");
            }
            (packet, _) => panic!("{packet:?} is not a client's"),
        }
    }
}

pub(super) fn cost(message: &Message) -> usize {
    message.len() + Limits::MESSAGE_OVERHEAD
}
