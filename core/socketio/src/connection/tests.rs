//! Rules of a connection, through its public methods and a session that only remembers.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec,
    vec::Vec,
};
use core::time::Duration;

use enginewire::{
    CloseReason, Encoded, Message, Revision, SendError, Time, TransportFault, TrySendError,
};

use super::*;
use crate::parser::{Encoder, NamedEvent, Parser};

mod acks;
mod bounds;
mod connecting;
mod ending;
mod events;
mod fork;

/// A session: what was sent on it, and what happened to it.
#[derive(Default)]
pub(crate) struct Wire {
    pub(crate) sent: Vec<Encoded>,
    /// Messages that still have room.
    pub(crate) room: Option<usize>,
    pub(crate) is_busy: bool,
    /// The application has too much to catch up with.
    pub(crate) is_unread: bool,
    pub(crate) released: usize,
    pub(crate) closed_at: Option<Time>,
    pub(crate) aborted: Option<CloseReason>,
}

impl Wire {
    /// What was sent since the last look. Attachments are in brackets.
    pub(crate) fn sent(&mut self) -> Vec<String> {
        let sent = core::mem::take(&mut self.sent);
        let parts = |message: &Encoded| {
            let parts = (0..message.parts()).filter_map(|index| message.part(index));
            let text = |message: &Message| match message {
                Message::Text(text) => text.to_string(),
                Message::Binary(bytes) => format!("{bytes:?}"),
            };
            parts.map(|part| text(part.message())).collect::<Vec<_>>().join(" ")
        };
        sent.iter().map(parts).collect()
    }
}

impl Session for Wire {
    fn send(&mut self, message: Encoded) -> Result<(), TrySendError> {
        if self.closed_at.is_some() || self.aborted.is_some() {
            return Err(TrySendError { message, reason: SendError::Closed });
        }
        match &mut self.room {
            Some(0) => {
                let reason = SendError::Full { queued: 1, max: 1 };
                return Err(TrySendError { message, reason });
            }
            Some(room) => *room -= 1,
            None => {}
        }
        self.sent.push(message);
        Ok(())
    }

    fn is_idle(&self) -> bool {
        !self.is_busy
    }

    fn queued(&self) -> (usize, usize) {
        (usize::from(self.room == Some(0)), 1)
    }

    fn is_receiving(&self) -> bool {
        !self.is_unread
    }

    fn release(&mut self, cost: usize) {
        self.released += cost;
    }

    fn close(&mut self, now: Time) {
        self.closed_at.get_or_insert(now);
    }

    fn abort(&mut self, reason: CloseReason) {
        self.aborted = Some(reason);
    }
}

/// A connection, its session and the clock.
pub(super) struct World {
    connection: Connection<u32>,
    wire: Wire,
    now: Time,
    /// What the messages of the client count for.
    cost: usize,
}

impl World {
    fn new() -> Self {
        Self::with(ConnectionConfig::default(), Revision::V4)
    }

    fn with(config: ConnectionConfig, revision: Revision) -> Self {
        let connection = Connection::new(Time::ZERO, Arc::new(config), revision);
        Self { connection, wire: Wire::default(), now: Time::ZERO, cost: 0 }
    }

    /// A client that is connected to `/`.
    fn connected() -> (Self, Slot) {
        let mut world = Self::new();
        let slot = world.connect("/");
        (world, slot)
    }

    /// Connects the client to a namespace.
    fn connect(&mut self, namespace: &str) -> Slot {
        let packet = if namespace == "/" { "0".into() } else { format!("0{namespace},") };
        self.client_sends(&packet);
        let Some(ConnectionEvent::Connect(slot, _)) = self.connection.poll_event() else {
            panic!("{packet} is no request");
        };
        assert!(self.accept(slot));
        self.sent();
        slot
    }

    fn accept(&mut self, slot: Slot) -> bool {
        self.connection.accept(slot, &id(), None, [], &mut self.wire)
    }

    fn client_sends(&mut self, message: impl Into<Message>) {
        let message = message.into();
        self.cost += message.cost();
        self.connection.handle_message(self.now, message, &mut self.wire);
    }

    /// Time passes, and every deadline on the way is kept.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.connection.poll_timeout().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            self.connection.handle_timeout(self.now, &mut self.wire);
        }
        self.now = end;
    }

    /// The process does not run for a while.
    fn pause(&mut self, time: Duration) {
        self.now = self.now + time;
        self.connection.handle_timeout(self.now, &mut self.wire);
    }

    fn sent(&mut self) -> Vec<String> {
        self.wire.sent()
    }

    /// What happened since the last look.
    fn events(&mut self) -> Vec<String> {
        let mut events = Vec::new();
        while let Some(event) = self.connection.poll_event() {
            events.push(match event {
                ConnectionEvent::Connect(_, request) => match request.auth {
                    Some(auth) => {
                        format!("connect {} {}", request.namespace, auth.as_json().unwrap())
                    }
                    None => format!("connect {}", request.namespace),
                },
                ConnectionEvent::Cancelled(_) => "cancelled".into(),
                ConnectionEvent::Readable(_) => "readable".into(),
                ConnectionEvent::Acknowledged(_, token, Ok(args)) => {
                    format!("ack {token} {}", args.payload().as_json().unwrap())
                }
                ConnectionEvent::Acknowledged(_, token, Err(error)) => {
                    format!("no ack {token}: {error}")
                }
                ConnectionEvent::Disconnected(_, reason) => format!("disconnected: {reason}"),
            });
        }
        events
    }

    /// The events that wait in a slot.
    fn received(&mut self, slot: Slot) -> Vec<String> {
        let mut received = Vec::new();
        while let Some(event) = self.connection.take_event(slot, &mut self.wire) {
            let ack = event.ack().map(|id| format!("{id}")).unwrap_or_default();
            received.push(format!("{ack}{}", event.args().payload().as_json().unwrap()));
        }
        received
    }

    fn emit(&mut self, slot: Slot, name: &str) -> Result<(), EmitError> {
        let event = event(name, None);
        self.connection.emit(slot, event, &mut self.wire).map_err(|error| error.reason)
    }

    /// Emits the event `ask` with the number `id`, which is its token, too.
    fn ask(&mut self, slot: Slot, id: u32, timeout: Duration) -> Result<(), EmitError> {
        let ack = AckId(id.into());
        let (event, deadline) = (event("ask", Some(ack)), self.now + timeout);
        let asked = self.connection.emit_with_ack(slot, event, ack, deadline, id, &mut self.wire);
        asked.map_err(|error| error.reason)
    }
}

fn event(name: &str, ack: Option<AckId>) -> Encoded {
    Encoder::new().event(&Parser::Json, "/", ack, &NamedEvent::new(name, &())).unwrap()
}

fn id() -> SocketId {
    SocketId::random(&mut |buffer: &mut [u8]| buffer.fill(0))
}

const SECOND: Duration = Duration::from_secs(1);
