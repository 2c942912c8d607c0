//! Rules of a manager, through its public methods and a session that only remembers.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec,
    vec::Vec,
};
use core::time::Duration;

use enginewire::{CloseReason, Encoded, Message, Revision, Time, TransportFault};

use super::*;
use crate::{
    connection::{EmitError, tests::Wire},
    packet::AckId,
    parser::{Encoder, NamedEvent, Parser},
    payload::Payload,
};

mod acks;
mod bounds;
mod connecting;
mod ending;
mod fork;
mod offline;
mod reconnecting;
mod recovery;
mod retries;

/// A manager, its session and the clock.
struct World {
    manager: Manager<u32>,
    session: Option<Wire>,
    now: Time,
    /// What the messages of the server count for.
    cost: usize,
}

impl World {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut ManagerConfig)) -> Self {
        let mut config = ManagerConfig::default();
        // Waits of one, two, four and five seconds.
        config.reconnect = config.reconnect.map(|policy| policy.with_jitter(0.0));
        change(&mut config);
        let manager = Manager::new(Arc::new(config));
        Self { manager, session: None, now: Time::ZERO, cost: 0 }
    }

    /// A client whose socket of `/` is connected as `id`.
    fn connected() -> (Self, Slot) {
        let mut world = Self::new();
        let slot = world.connected_to("/");
        (world, slot)
    }

    /// Makes a socket, and lets the server connect it.
    fn connected_to(&mut self, namespace: &str) -> Slot {
        let slot = self.socket(namespace);
        self.open();
        self.sent();
        self.server_connects(namespace);
        assert!(self.manager.is_connected(slot));
        self.updates(slot);
        self.events();
        slot
    }

    /// Makes a socket that is to be connected.
    fn socket(&mut self, namespace: &str) -> Slot {
        let slot = self.manager.open(namespace, Auth::None).unwrap();
        self.connect(slot);
        slot
    }

    fn connect(&mut self, slot: Slot) {
        self.manager.connect(self.now, slot, &mut self.session);
    }

    /// Opens a session if the manager asks for one. Other events are left out.
    fn open(&mut self) {
        if self.events().contains(&"open".into()) {
            self.opened();
        }
    }

    /// A session has opened.
    fn opened(&mut self) {
        self.session = Some(Wire::default());
        self.manager.handle_opened(self.now, None, &mut self.session);
    }

    fn server_connects(&mut self, namespace: &str) {
        self.server_sends(format!("0{}{{\"sid\":\"id\"}}", prefix(namespace)));
    }

    fn server_sends(&mut self, message: impl Into<Message>) {
        let message = message.into();
        self.cost += message.cost();
        self.manager.handle_message(self.now, message, &mut self.session);
    }

    /// The session ends for a reason, and leaves `undelivered` messages.
    fn lose(&mut self, reason: &CloseReason, undelivered: usize) {
        self.session = None;
        let mut entropy = |buffer: &mut [u8]| buffer.fill(0x80);
        self.manager.handle_closed(self.now, reason, undelivered, &mut entropy);
    }

    /// Time passes, and every deadline on the way is kept.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.manager.poll_timeout().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            self.manager.handle_timeout(self.now, &mut self.session);
            if self.manager.poll_timeout() == Some(due) {
                // It waits for the end of the session.
                break;
            }
        }
        self.now = end;
    }

    /// The process does not run for a while.
    fn pause(&mut self, time: Duration) {
        self.now = self.now + time;
        self.manager.handle_timeout(self.now, &mut self.session);
    }

    /// What was sent since the last look. Attachments are in brackets.
    fn sent(&mut self) -> Vec<String> {
        self.session.as_mut().map(Wire::sent).unwrap_or_default()
    }

    fn wire(&mut self) -> &mut Wire {
        self.session.as_mut().unwrap()
    }

    /// What messages that were released counted for.
    fn released(&self) -> usize {
        self.session.as_ref().unwrap().released
    }

    /// Limits the messages for which the session has room.
    fn set_room(&mut self, room: Option<usize>) {
        self.wire().room = room;
        if room != Some(0) {
            self.manager.handle_writable(self.now, &mut self.session);
        }
    }

    /// What happened since the last look.
    fn events(&mut self) -> Vec<String> {
        let mut events = Vec::new();
        if self.manager.poll_open() {
            events.push("open".into());
        }
        while let Some(event) = self.manager.poll_event() {
            events.push(match event {
                ManagerEvent::Auth(_) => "auth".into(),
                ManagerEvent::Readable(_) => continue,
                ManagerEvent::Writable(_) => "writable".into(),
                ManagerEvent::Acknowledged(_, token, Ok(args)) => {
                    format!("ack {token} {}", args.payload().as_json().unwrap())
                }
                ManagerEvent::Acknowledged(_, token, Err(error)) => {
                    format!("no ack {token}: {error}")
                }
                ManagerEvent::Closed { unsent } => format!("closed, {unsent} unsent"),
            });
        }
        events
    }

    /// The updates that wait in a slot.
    fn updates(&mut self, slot: Slot) -> Vec<String> {
        let mut updates = Vec::new();
        while let Some(update) = self.manager.take_update(slot, &mut self.session) {
            updates.push(match update {
                Update::Connected { id, recovered: false } => format!("connected {id}"),
                Update::Connected { id, recovered: true } => format!("recovered {id}"),
                Update::Event { event, connection } => {
                    let ack = event.ack().map(|id| id.to_string()).unwrap_or_default();
                    format!("{connection}:{ack}{}", event.args().payload().as_json().unwrap())
                }
                Update::Disconnected { reason, unsent: 0 } => format!("disconnected: {reason}"),
                Update::Disconnected { reason, unsent } => {
                    format!("disconnected: {reason}, {unsent} unsent")
                }
                Update::Refused(error) => format!("refused: {}", error.message()),
                Update::Failed(reason) => format!("failed: {reason}"),
                Update::Waiting { attempt, delay } => format!("attempt {attempt} in {delay:?}"),
            });
        }
        updates
    }

    fn emit(&mut self, slot: Slot, name: &str) -> Result<(), EmitError> {
        let event = self.event(slot, name, None);
        let result = self.manager.emit(slot, event, &mut self.session);
        result.map_err(|error| error.reason)
    }

    fn emit_volatile(&mut self, slot: Slot, name: &str) -> Result<(), EmitError> {
        let event = self.event(slot, name, None);
        let result = self.manager.emit_volatile(slot, event, &mut self.session);
        result.map_err(|error| error.reason)
    }

    /// Emits an event that is to be acknowledged. Its token is the number.
    fn ask(&mut self, slot: Slot, name: &str, timeout: Duration) -> Result<(), EmitError> {
        let id = self.manager.next_ack(slot);
        let (event, deadline) = (self.event(slot, name, Some(id)), self.now + timeout);
        let (token, session) = (id.0.try_into().unwrap(), &mut self.session);
        let result = self.manager.emit_with_ack(slot, event, id, deadline, token, session);
        result.map_err(|error| error.reason)
    }

    /// Emits an event with two retries, and ten seconds for each.
    fn retry(&mut self, slot: Slot, name: &str) -> Result<(), EmitError> {
        let id = self.manager.next_ack(slot);
        let event = self.event(slot, name, Some(id));
        let (token, timeout) = (id.0.try_into().unwrap(), 10 * SECOND);
        let (now, session) = (self.now, &mut self.session);
        let result =
            self.manager.emit_with_retries(now, slot, event, id, 2, timeout, token, session);
        result.map_err(|error| error.reason)
    }

    fn event(&self, slot: Slot, name: &str, ack: Option<AckId>) -> Encoded {
        let namespace = self.manager.namespace(slot).unwrap_or("/");
        Encoder::new().event(&Parser::Json, namespace, ack, &NamedEvent::new(name, &())).unwrap()
    }

    fn disconnect(&mut self, slot: Slot) -> usize {
        self.manager.disconnect(self.now, slot, &mut self.session)
    }

    fn close(&mut self) {
        self.manager.close(self.now, &mut self.session);
    }

    /// Whether the manager has closed the session.
    fn is_closing(&mut self) -> bool {
        self.wire().closed_at.is_some()
    }
}

/// The namespace of a packet as it stands on the wire.
fn prefix(namespace: &str) -> String {
    if namespace == "/" { String::new() } else { format!("{namespace},") }
}

fn lost() -> CloseReason {
    CloseReason::TransportError(TransportFault::ConnectionLost)
}

fn unreachable() -> CloseReason {
    CloseReason::TransportError(TransportFault::Unreachable)
}

const SECOND: Duration = Duration::from_secs(1);
