//! What one TCP connection carries for sessions: HTTP exchanges, one after the other, and
//! after an upgrade the messages of a WebSocket.
//!
//! Everybody who serves sessions on sockets needs the rules between [`wire`](crate::wire) and
//! [`Session`], whether sessions are behind locks and connections in tasks or all of them in one slab:
//! to whom a request goes, when a peer is not to be read, how much to take from a session at a
//! time, how a connection ends. They stand here once. [`Exchanges`] and [`Socket`] know a session as
//! what a [`Host`] makes of it; [`Outbox`] keeps what a socket would not take. Use
//! [`Hub`](crate::Hub), or a crate with a driver, unless you write a driver.

mod exchanges;
mod outbox;
mod socket;

#[cfg(test)]
mod tests;

use alloc::string::String;

pub(crate) use self::socket::MAX_REPLIES;
pub use self::{
    exchanges::{Exchanges, Upgrade},
    outbox::{Outbox, Written},
    socket::{Came, Socket, WRITE_CHUNK},
};
use crate::{
    exchange::Response,
    router::{Opening, Reject, Router},
    session::{Action, Carrier, Session},
    sid::Sid,
    time::Time,
    wire::http,
};

/// A server, as one of its connections sees it.
pub trait Host {
    /// Names a session for as long as a connection carries it.
    type Session;
    /// The request that opens a session, and whatever becomes of asking the application about it.
    type Handshake;
    /// A session that the connection has to itself for a moment.
    type Guard<'a>: Guard
    where
        Self: 'a;

    /// What decides where requests go.
    fn router(&self) -> &Router;

    /// A name that no exchange or WebSocket of this server has had.
    fn fresh_id(&mut self) -> u64;

    /// Whether a new session would be taken.
    fn has_room(&self) -> bool;

    /// The session with this id.
    fn find(&mut self, sid: &Sid) -> Option<Self::Session>;

    /// A handshake was found in order: the application is asked about it, or is not.
    fn ask(&mut self, head: http::RequestHead) -> Self::Handshake;

    /// What the application says, once it does: an error is the message for the client. Asked again
    /// whenever the connection is looked at.
    fn verdict(&mut self, handshake: &mut Self::Handshake) -> Option<Result<(), String>>;

    /// Opens a session and attaches its first carrier.
    ///
    /// # Errors
    ///
    /// How to refuse it.
    fn open(
        &mut self,
        now: Time,
        opening: Opening,
        first: Carrier,
        handshake: Self::Handshake,
    ) -> Result<Self::Session, Reject>;

    /// Takes a session for the exchange or WebSocket `id`.
    fn lock<'a>(&'a mut self, session: &'a Self::Session, id: u64) -> Self::Guard<'a>;

    /// A request was refused. For logs.
    fn refused(&mut self, _reject: &Reject) {}

    /// An exchange came to nothing, or a request was none. For logs.
    fn failed(&mut self, _event: &http::Event) {}
}

/// A session that one of its carriers has to itself.
pub trait Guard {
    /// The session.
    fn session(&mut self) -> &mut Session;

    /// The exchange or WebSocket `id` carries the session from now on: what the session wants of it
    /// is kept for [`take_order`](Self::take_order), and its connection looked at then.
    fn attach(&mut self, id: u64);

    /// The exchange or WebSocket `id` is of no more interest.
    fn detach(&mut self, id: u64);

    /// What the session wants of the carrier that holds this guard.
    fn take_order(&mut self) -> Option<Order>;
}

/// What a session wants of a connection.
#[derive(Clone, Debug)]
pub enum Order {
    /// Answer the exchange.
    Respond(Response),
    /// Start the closing handshake of the WebSocket.
    CloseSocket,
}

impl Order {
    /// What an action asks, and the exchange or WebSocket that it asks it of.
    pub fn of(action: Action) -> (u64, Self) {
        match action {
            Action::Respond(on, response) => (on.0, Self::Respond(response)),
            Action::CloseSocket(on) => (on.0, Self::CloseSocket),
        }
    }
}

/// Whether a timer that was armed for `armed` must be armed anew, as `next` is when it is due now.
///
/// Deadlines move away with nearly every packet and are looked at again when they come up; only one
/// that has come nearer must be armed now.
pub const fn must_rearm(armed: Option<Time>, next: Option<Time>) -> bool {
    match (armed, next) {
        (Some(armed), Some(next)) => next.as_nanos() < armed.as_nanos(),
        (None, None) => false,
        _ => true,
    }
}

/// How a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// As before.
    Stay,
    /// Everything has been said and written. The sending side is shut down, and what the peer still
    /// sends is thrown away until it closes too, for [`linger`](http::Config::linger) at most: closing
    /// first could reset the connection and with that destroy our last words on their way.
    Linger,
    /// It is over.
    End,
}
