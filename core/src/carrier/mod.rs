//! Carriers of sessions: HTTP exchanges and WebSockets, each on a TCP connection.
//!
//! A connection carries exchanges, one after the other, and after an upgrade a WebSocket.
//!
//! [`ServerHub`](crate::ServerHub) and the drivers are built of the two values here. [`Connection`] is one TCP connection:
//! bytes in, bytes out, deadlines, when to read. [`Entry`] is a session, the connections that carry it, and the
//! [`Layer`] on top of it. They meet through a [`Host`], which finds sessions and locks them: in a slab, or
//! behind mutexes.
//!
//! Behind another HTTP server, an [`Exchange`] is one request and its response without their bytes, and a [`Gathering`]
//! its body. [`Connection`] is built of the same exchange. A [`RelayedExchange`] is a request for a session of another
//! node.
//!
//! **Not part of the promise of semantic versioning**, but for [`Layer`] and [`LayerContext`]: for drivers of this
//! version.

mod body;
mod connection;
mod entry;
mod exchange;
mod exchanges;
mod grace;
mod layer;
mod outbox;
mod relay;
mod websocket;

#[cfg(test)]
mod tests;

use alloc::sync::Arc;

use bytes::Bytes;

pub(crate) use self::websocket::MAX_REPLIES;
pub use self::{
    body::Gathering,
    connection::{Connection, Follow, Scratch},
    entry::{Entry, FromWaker, Settled},
    exchange::{Exchange, HandOver, Head, Sending, Step, Switch, Upgrade},
    exchanges::{Exchanges, Upgraded},
    grace::GracePeriod,
    layer::{Layer, LayerContext},
    outbox::{Outbox, Stream, Written},
    relay::{NodeState, Passage, RelayedExchange, RelayedResponse, is_handed_over, write_head},
    websocket::{Transit, WRITE_CHUNK, WebSocketCarrier},
};
use crate::{
    deflate::Codecs,
    exchange::{HttpRequest, Response},
    router::{HandOverFault, Opening, Refusal, Reject, Router},
    session::{CarrierId, ServerAction, ServerSession},
    sid::Sid,
    time::Time,
    wire::{Output, http},
};

/// A server, as one of its connections sees it.
pub trait Host {
    /// Names a session for as long as a connection carries it.
    type Session;
    /// The request that opens a session, and whatever becomes of asking the application about it.
    type Handshake;
    /// A request for another path, and its response to come. Or one for a session of another node.
    type Request;
    /// A session that the connection has to itself for a moment.
    type Guard<'a>: Guard
    where
        Self: 'a;

    /// Router of requests.
    fn router(&self) -> &Router;

    /// The limits and timeouts of connections.
    fn http(&self) -> &Arc<http::Config>;

    /// A name that no exchange or WebSocket of this server has had.
    fn fresh_id(&mut self) -> u64;

    /// Whether a new session would be taken.
    fn has_room(&self) -> bool;

    /// The session with this id.
    fn find(&mut self, sid: &Sid) -> Option<Self::Session>;

    /// A handshake was found in order: the application is asked about it, or is not.
    fn ask(&mut self, head: http::RequestHead) -> Self::Handshake;

    /// Returns the application's decision, once there is one. Asked again whenever the connection is driven.
    fn verdict(&mut self, handshake: &mut Self::Handshake) -> Option<Result<(), Refusal>>;

    /// Opens a session and attaches its first carrier.
    ///
    /// # Errors
    ///
    /// How to refuse it.
    fn open(
        &mut self,
        now: Time,
        opening: Opening,
        first: CarrierId,
        handshake: Self::Handshake,
    ) -> Result<Self::Session, Reject>;

    /// Takes a session for the exchange or WebSocket `id`.
    fn lock<'a>(&'a mut self, now: Time, session: &'a Self::Session, id: u64) -> Self::Guard<'a>;

    /// Returns whether requests for other paths go to the application.
    fn forwards(&self) -> bool {
        false
    }

    /// Takes a request for another path to the application.
    fn forward(&mut self, head: http::RequestHead, body: Bytes) -> Self::Request;

    /// Returns the application's response, once there is one. Asked again whenever the connection is driven.
    fn response(&mut self, request: &mut Self::Request) -> Option<Response>;

    /// Returns the compressors of responses.
    fn compressors(&mut self) -> &mut Compressors;

    /// Returns whether a request goes to another node that has its session. Default false: that is unknown.
    ///
    /// If it does, [`hand_over`](Self::hand_over) follows before another request begins.
    fn hands_over(&mut self, _sid: &Sid, _head: &dyn HttpRequest) -> bool {
        false
    }

    /// Begins to connect to the node that has a session.
    ///
    /// Puts out what the node is sent first, such as the [head](write_head). `None` if the session is unknown after all.
    /// Default none.
    fn hand_over(&mut self, _request: HandOver, _output: &mut Output) -> Option<Self::Request> {
        None
    }

    /// Writes to another node and reads from it, as far as can be done now. The connection is woken when more can be.
    ///
    /// # Errors
    ///
    /// The node cannot be reached, or is not what it should be.
    fn relay(
        &mut self,
        _node: &mut Self::Request,
        _passage: Passage<'_>,
    ) -> Result<NodeState, HandOverFault> {
        Ok(NodeState::Ended)
    }

    /// A request begins. For logs.
    fn begun(&mut self, _head: &dyn HttpRequest) {}

    /// The request that has begun, or whose handshake has its verdict, was refused. For logs.
    fn refused(&mut self, _reject: &Reject) {}

    /// Another node has not responded to a request. For logs.
    ///
    /// Or not to the end of it, where that is known.
    fn hand_over_failed(&mut self, _node: &Self::Request, _fault: HandOverFault) {}

    /// An exchange came to nothing, or a request was none. For logs.
    fn failed(&mut self, _event: &http::Event) {}
}

/// Compressors that all connections of a thread share, for responses and for messages of clients.
///
/// Makes one when it is needed first, of some 270 KiB, and keeps it. Without the feature `deflate` there are none.
#[derive(Debug, Default)]
pub struct Compressors(pub(crate) Codecs);

impl Compressors {
    /// Makes a set without any.
    pub const fn new() -> Self {
        Self(Codecs::new())
    }
}

/// A session that one of its carriers has to itself. Settles the [`Entry`] when dropped.
pub trait Guard {
    /// Waker of a connection.
    type Waker: Clone;
    /// Collects connections to be woken.
    type Wakes: Extend<Self::Waker>;

    /// Returns the entry and the carrier that holds it.
    fn held(&mut self) -> Held<'_, Self::Waker, Self::Wakes>;

    /// Returns the session.
    #[inline]
    fn session(&mut self) -> &mut ServerSession {
        self.held().entry.session_mut()
    }

    /// Handles deadlines of the session that its owner has not noticed.
    ///
    /// Returns whether the session is over.
    fn expire(&mut self, now: Time) -> bool {
        let Held { entry, .. } = self.held();
        entry.expire(now);
        entry.session().is_closed()
    }

    /// Makes the holder a carrier of the session.
    ///
    /// Actions for it are kept until it takes them, and its connection is woken then.
    fn attach(&mut self) {
        let Held { entry, id, waker, .. } = self.held();
        entry.attach(id, waker.clone());
    }

    /// Ends the holder's time as a carrier.
    fn detach(&mut self) {
        let Held { entry, id, .. } = self.held();
        entry.detach(id);
    }

    /// Takes the session's action for the holder.
    #[inline]
    fn take_action(&mut self) -> Option<ServerAction> {
        let Held { entry, id, waker, wakes } = self.held();
        entry.take_action(id, waker, wakes)
    }

    /// Notes whether the holder's socket takes bytes.
    fn set_blocked(&mut self, blocked: bool) {
        let Held { entry, id, .. } = self.held();
        entry.set_blocked(id, blocked);
    }
}

/// An entry and the carrier that holds it.
#[derive(Debug)]
pub struct Held<'a, W, X> {
    /// The entry.
    pub entry: &'a mut Entry<W>,
    /// The carrier.
    pub id: u64,
    /// Waker of the carrier's connection.
    pub waker: &'a W,
    /// Connections to be woken.
    pub wakes: &'a mut X,
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
