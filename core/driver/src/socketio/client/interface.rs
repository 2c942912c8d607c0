//! A client as its handles see it, whatever has its connections.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use enginewire::{Encoded, Time, TransportKind};
use enginewire_socketio::{
    AckId, Auth, EmitError, EncodeError, Payload, Slot, SocketId,
    parser::{Parser, ParserLimits},
};

use super::{error::ClientError, event::Update};
use crate::{socketio::acks::Pending, waiters::Ticket, wakers::WakerKey};

/// A client behind a lock, for its handles. They know neither its runtime nor what has its connections.
pub(super) trait Cell: Send + Sync {
    fn options(&self) -> &Options;

    fn now(&self) -> Time;

    /// Makes a socket that is to be connected. Returns its namespace, too.
    fn open(
        &self,
        namespace: &str,
        auth: Auth,
        hook: Option<AuthHook>,
    ) -> Result<(Slot, String), ClientError>;

    fn connect(&self, slot: Slot);

    fn disconnect(&self, slot: Slot) -> usize;

    fn release(&self, slot: Slot);

    fn forget_offline(&self, slot: Slot) -> usize;

    fn forget_ack(&self, slot: Slot, id: AckId);

    /// Returns whether the server has connected a socket.
    fn is_connected(&self, slot: Slot) -> bool;

    /// Returns whether a socket is connected, or tries to be.
    fn is_active(&self, slot: Slot) -> bool;

    fn end_reason(&self, slot: Slot) -> Option<ClientError>;

    fn id(&self, slot: Slot) -> Option<SocketId>;

    fn queued(&self, slot: Slot) -> usize;

    /// Returns the transport of the session. `None` if there is no session.
    fn transport(&self) -> Option<TransportKind>;

    fn close(&self);

    /// Waits until the client is closed, and its connections are. Returns the events that were not sent.
    fn poll_closed(&self, cx: &Context<'_>, key: &mut WakerKey) -> Poll<usize>;

    fn stop_waiting_for_close(&self, key: WakerKey);

    /// Takes the next update of a socket. `None` once none will come.
    fn poll_update(&self, cx: &Context<'_>, slot: Slot) -> Poll<Option<Taken>>;

    /// Waits until a socket is connected, or not to be any more.
    ///
    /// With `first` a failed attempt is the end as well.
    fn poll_connected(
        &self,
        cx: &Context<'_>,
        slot: Slot,
        key: &mut WakerKey,
        first: bool,
    ) -> Poll<Result<(), ClientError>>;

    fn stop_waiting_for_change(&self, slot: Slot, key: WakerKey);

    /// Takes an event out of its place once there is room and it is the turn of `ticket`.
    fn poll_emit(
        &self,
        cx: &Context<'_>,
        slot: Slot,
        ticket: &mut Ticket,
        place: &mut Option<Encoded>,
        mode: &Mode,
    ) -> Poll<Result<(), EmitError>>;

    /// Queues an event if there is room that no task waits for.
    fn try_emit(&self, slot: Slot, message: Encoded, mode: &Mode) -> Result<(), EmitError>;

    /// Gives up the place of a future that was dropped.
    fn leave_room(&self, slot: Slot, ticket: &mut Ticket, mode: &Mode);
}

/// Makes the payload of a request to connect.
pub(super) type AuthHook = Arc<
    dyn Fn() -> Pin<Box<dyn Future<Output = Result<Payload, EncodeError>> + Send>> + Send + Sync,
>;

/// Options of a client besides those of its hub.
pub(super) struct Options {
    pub(super) parser: Parser,
    pub(super) limits: ParserLimits,
    pub(super) ack_timeout: Duration,
    pub(super) retries: u32,
}

/// Delivery that an event asks for.
pub(super) enum Mode {
    Event,
    Volatile,
    Ack {
        id: AckId,
        deadline: Time,
        pending: Arc<Pending>,
    },
    Retries {
        id: AckId,
        retries: u32,
        timeout: Duration,
        pending: Arc<Pending>,
    },
    /// It acknowledges an event of this connection.
    Acknowledgement(u32),
}

/// An update, and the connection that an event came on.
pub(super) enum Taken {
    Event(enginewire_socketio::Event, u32),
    Other(Update),
}
