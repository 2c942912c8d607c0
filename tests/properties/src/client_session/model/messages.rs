//! Packets in both directions, and the messages in them: in order, exactly once, and counted to the
//! byte.

use std::time::Duration;

use enginewire::{
    ClientTimerKind, CloseReason, Encoded, Event, Limits, Message, Packet, Revision, SendError,
    Time, TransportFault, TransportKind,
};

use super::{Model, websocket::Probe};
use crate::sent::Sent;

/// Out.
impl Model {
    pub(in crate::client_session) fn send(&mut self, message: &Encoded) {
        let (queued, max) = (self.session.queued(), self.config.limits.max_queued);
        let expected = if !self.is_open() {
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
        self.settle(None);
    }

    /// What waits for the server, as the limits count it.
    pub(super) fn queued(&self) -> usize {
        self.queue.iter().map(|sent| sent.cost).sum()
    }

    /// A packet left on the transport.
    pub(super) fn came_out(&mut self, packet: Packet) {
        self.took = true;
        match (packet, self.config.revision) {
            (Packet::Message(message), _) => {
                let first = self.queue.front_mut().expect("a message that was sent");
                assert_eq!(first.parts.pop_front(), Some(message));
                self.reached.sent += 1;
                if first.parts.is_empty() {
                    self.queue.pop_front();
                }
            }
            (Packet::Pong(data), Revision::V4) => {
                assert_eq!(&*data, "");
                self.pongs = self.pongs.checked_sub(1).expect("the server has pinged");
            }
            (Packet::Ping(data), Revision::V3) => {
                assert_eq!(&*data, "");
                assert!(std::mem::take(&mut self.ping), "it is too early for a ping");
            }
            (packet, _) => panic!("{packet:?} is not a client's"),
        }
    }
}

/// In.
impl Model {
    /// What a packet on the session's transport does.
    pub(super) fn packet(&mut self, now: Time, packet: Packet) -> Option<CloseReason> {
        if !self.opened {
            return match packet {
                Packet::Open(data) => self.shake_hands(now, &data),
                _ => self.fail(now, TransportFault::Handshake),
            };
        }
        self.hear(now, &packet);
        match packet {
            Packet::Message(message) if self.is_open() => {
                self.unread += cost(&message);
                if self.unread >= self.config.limits.max_unread {
                    (self.held, self.unheard) = (true, true);
                }
                self.inbox.push_back(Event::Message(message));
                None
            }
            Packet::Close if self.closing => Some(CloseReason::ForcedClose),
            Packet::Close => Some(CloseReason::TransportClose),
            _ => None,
        }
    }

    /// Takes one event; whether there was one.
    pub(in crate::client_session) fn take_event(&mut self) -> bool {
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
                self.refused = self.refused.checked_sub(1).expect("somebody was refused");
                return true;
            }
            Event::Message(message) => {
                self.reached.received += 1;
                self.unread -= cost(message);
                self.held &= self.unread > self.config.limits.max_unread / 2;
            }
            Event::Opened => self.reached.opened = true,
            Event::Upgraded => self.reached.upgraded = true,
            Event::Closed(_) => self.ended = true,
            other => panic!("the model does not know {other:?}"),
        }
        assert_eq!(self.inbox.pop_front(), Some(event));
        self.settle(None);
        true
    }

    /// The first packet. What data can be understood is the handshake's business, but those of a server
    /// in order can.
    fn shake_hands(&mut self, now: Time, data: &str) -> Option<CloseReason> {
        let offered = [false, true].into_iter().find(|offer| data == open_data(*offer));
        let Some(handshake) = self.session.handshake() else {
            assert_eq!(offered, None, "{data} is in order");
            return self.fail(now, TransportFault::Handshake);
        };
        let upgrades = handshake.upgrades_to_websocket;
        if let Some(offer) = offered {
            let told = (upgrades, handshake.ping_interval, handshake.ping_timeout);
            assert_eq!(told, (offer, Duration::from_millis(300), Duration::from_millis(200)));
        }
        self.opened = true;
        self.deadlines.stop(ClientTimerKind::Open);
        self.start_heartbeat(now);
        if self.closing {
            return self.drained();
        }
        self.inbox.push_back(Event::Opened);
        let has_websocket = self.config.transports.contains(&TransportKind::WebSocket);
        if upgrades && has_websocket && self.transport == TransportKind::Polling {
            self.probe = Some(Probe::default());
            self.deadlines.set(ClientTimerKind::Upgrade, now + self.config.upgrade_timeout);
        }
        None
    }
}

/// The data of an open packet in order.
pub(super) fn open_data(upgrades: bool) -> String {
    let offered = if upgrades { r#""websocket""# } else { "" };
    format!(
        r#"{{"sid":"a","upgrades":[{offered}],"pingInterval":300,"pingTimeout":200,"maxPayload":50}}"#
    )
}

fn cost(message: &Message) -> usize {
    message.len() + Limits::MESSAGE_OVERHEAD
}
