//! The connection of a client, and the keys of its sockets.

use alloc::{sync::Arc, vec::Vec};

use enginewire::{
    Encoded, Event as EngineEvent, Layer, LayerContext, Time, hub::SessionId,
    wire::http::RequestHead,
};

use super::{
    AskId, GroupId, SocketKey,
    sockets::{Socket, Sockets},
};
use crate::{
    AckError, Args, ConnectError, ConnectRequest, Connection, ConnectionEvent, DisconnectReason,
    EmitError, Event, Session, Slot, TryEmitError,
};

/// The connection of one client.
pub(super) struct Client {
    pub(super) connection: Connection<Token>,
    head: Arc<RequestHead>,
    sockets: Vec<Place>,
    /// Sockets that had no room may have some.
    is_writable: bool,
}

/// Which output an acknowledgement becomes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Token {
    One(AskId),
    Many(GroupId),
}

/// One socket of the client.
struct Place {
    slot: Slot,
    key: SocketKey,
    /// An event was refused for want of room, and the application was not told of any since.
    is_full: bool,
}

/// Something that happened to a client, for the hub around it.
pub(super) enum Change {
    Connect(SocketKey, ConnectRequest),
    Cancelled(SocketKey),
    Readable(SocketKey),
    Writable(SocketKey),
    Acknowledged(SocketKey, Token, Result<Args, AckError>),
    /// With the events that were not taken.
    Disconnected(SocketKey, Vec<Event>, DisconnectReason),
}

impl Client {
    pub(super) const fn new(connection: Connection<Token>, head: Arc<RequestHead>) -> Self {
        Self { connection, head, sockets: Vec::new(), is_writable: false }
    }

    /// Sends with `send`, and notes if there was no room.
    pub(super) fn send(
        &mut self,
        slot: Slot,
        send: impl FnOnce(&mut Connection<Token>) -> Result<(), TryEmitError>,
    ) -> Result<(), EmitError> {
        let Err(TryEmitError { reason, .. }) = send(&mut self.connection) else { return Ok(()) };
        if let (EmitError::Full { .. }, Some(place)) = (&reason, self.place(slot)) {
            place.is_full = true;
        }
        Err(reason)
    }

    /// Checks whether a socket has room for an event, and notes if it has none.
    pub(super) fn check_room(
        &mut self,
        slot: Slot,
        session: &mut impl Session,
    ) -> Result<(), EmitError> {
        let (queued, max) = session.queued();
        match queued < max {
            true => self.place(slot).map(drop).ok_or(EmitError::Disconnected),
            // A session that has refused a message tells when there is room.
            false => {
                self.send(slot, |connection| connection.emit(slot, Encoded::group([]), session))
            }
        }
    }

    /// Refuses to connect the client. Returns false if it no longer waits.
    pub(super) fn refuse(
        &mut self,
        slot: Slot,
        error: &ConnectError,
        session: &mut impl Session,
    ) -> bool {
        let refused = self.connection.refuse(slot, error, session);
        if refused {
            self.forget(slot);
        }
        refused
    }

    /// Hands over what the connection has, after any change of it.
    #[inline]
    pub(super) fn settle(
        &mut self,
        of: SessionId,
        session: &mut impl Session,
        sockets: &mut Sockets,
        changes: &mut Vec<Change>,
    ) {
        if core::mem::take(&mut self.is_writable) {
            let full = self.sockets.iter_mut().filter(|place| place.is_full);
            changes.extend(full.map(|place| {
                place.is_full = false;
                Change::Writable(place.key)
            }));
        }
        while let Some(event) = self.connection.poll_event() {
            if let ConnectionEvent::Connect(slot, request) = event {
                let key = sockets.insert(Socket::new(of, slot, &request, &self.head));
                // Nearly all clients have one.
                self.sockets.reserve_exact(1);
                self.sockets.push(Place { slot, key, is_full: false });
                changes.push(Change::Connect(key, request));
                continue;
            }
            changes.extend(self.change(event, session));
        }
    }

    fn change(
        &mut self,
        event: ConnectionEvent<Token>,
        session: &mut impl Session,
    ) -> Option<Change> {
        Some(match event {
            ConnectionEvent::Connect(..) => return None,
            ConnectionEvent::Cancelled(slot) => Change::Cancelled(self.forget(slot)?),
            ConnectionEvent::Readable(slot) => Change::Readable(self.place(slot)?.key),
            ConnectionEvent::Acknowledged(slot, token, result) => {
                Change::Acknowledged(self.place(slot)?.key, token, result)
            }
            ConnectionEvent::Disconnected(slot, reason) => {
                let key = self.forget(slot)?;
                let connection = &mut self.connection;
                let events = core::iter::from_fn(|| connection.take_event(slot, session)).collect();
                self.connection.release(slot, session);
                Change::Disconnected(key, events, reason)
            }
        })
    }

    fn forget(&mut self, slot: Slot) -> Option<SocketKey> {
        let at = self.sockets.iter().position(|place| place.slot == slot)?;
        Some(self.sockets.swap_remove(at).key)
    }

    fn place(&mut self, slot: Slot) -> Option<&mut Place> {
        self.sockets.iter_mut().find(|place| place.slot == slot)
    }
}

impl Layer for Client {
    fn handle_event(&mut self, cx: &mut LayerContext<'_>, event: EngineEvent) {
        if matches!(event, EngineEvent::Writable) && self.sockets.iter().any(|place| place.is_full)
        {
            self.is_writable = true;
            cx.notify();
        }
        Layer::handle_event(&mut self.connection, cx, event);
    }

    fn handle_timeout(&mut self, cx: &mut LayerContext<'_>) {
        Layer::handle_timeout(&mut self.connection, cx);
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.connection.poll_timeout()
    }
}
