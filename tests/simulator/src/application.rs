//! What stands above the protocol: yours.

use std::time::Duration;

use enginewire::{
    ClientHub, CloseReason, Encoded, Message, ServerHub, Time, TransportKind, TrySendError,
    hub::SessionId,
};

use crate::{ledger::Repeats, random::Random};

/// A session as one of its sides sees it. Lives are counted from 1: each [`World::connect`] begins one.
///
/// [`World::connect`]: crate::World::connect
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndId {
    /// The client of this life.
    Client(u64),
    /// The server's side of a session with the client of this life. A client that has not got the
    /// answer to its handshake may leave one behind that it has never heard of.
    Server(u64, SessionId),
}

impl EndId {
    /// The life.
    pub const fn life(self) -> u64 {
        match self {
            Self::Client(life) | Self::Server(life, _) => life,
        }
    }
}

/// The application at every end of every session: code on top of Engine.IO, or a test of it.
///
/// All that it does goes through the [`End`] that it is lent, so that it can be replayed: no clock and
/// no randomness of its own.
#[expect(unused_variables, reason = "most applications want few of these")]
pub trait Application {
    /// The session is open.
    fn handle_opened(&mut self, end: &mut End<'_>) {}

    /// A message came.
    fn handle_message(&mut self, end: &mut End<'_>, message: Message) {}

    /// There is room again after `send` had found none.
    fn handle_writable(&mut self, end: &mut End<'_>) {}

    /// The session has moved to a WebSocket.
    fn handle_upgraded(&mut self, end: &mut End<'_>) {}

    /// The time has come that was asked for with [`End::wake_after`].
    fn handle_wake(&mut self, end: &mut End<'_>) {}

    /// The session is over.
    fn handle_closed(&mut self, now: Time, id: EndId, reason: &CloseReason) {}
}

/// One end of a session, lent to the application.
pub struct End<'a> {
    pub(crate) id: EndId,
    pub(crate) now: Time,
    pub(crate) core: Core<'a>,
    pub(crate) random: &'a mut Random,
    pub(crate) repeats: Repeats,
    pub(crate) wishes: &'a mut Wishes,
}

/// The state machine below.
pub(crate) enum Core<'a> {
    Client(&'a mut ClientHub),
    Server(&'a mut ServerHub, SessionId),
}

/// What the application wants of the world.
#[derive(Default)]
pub(crate) struct Wishes {
    pub(crate) wakes: Vec<(Time, EndId)>,
    pub(crate) paused: Option<bool>,
    pub(crate) closed: bool,
    /// Messages that were taken, and bytes of the largest.
    pub(crate) sent: u64,
    pub(crate) largest: usize,
}

impl End<'_> {
    /// Which end this is.
    pub const fn id(&self) -> EndId {
        self.id
    }

    /// The time in this world.
    pub const fn now(&self) -> Time {
        self.now
    }

    /// The only chance that an application may leave things to.
    pub const fn random(&mut self) -> &mut Random {
        self.random
    }

    /// Sends a message to the other side.
    ///
    /// # Errors
    ///
    /// Those of [`ServerHub::send`] and [`ClientHub::send`].
    pub fn send(&mut self, message: impl Into<Encoded>) -> Result<(), TrySendError> {
        let message = message.into();
        let size = message.len();
        match &mut self.core {
            Core::Client(hub) => hub.send(message)?,
            Core::Server(hub, session) => hub.send(*session, message)?,
        }
        self.wishes.sent += 1;
        self.wishes.largest = self.wishes.largest.max(size);
        Ok(())
    }

    /// Closes the session once everything has been let out.
    pub fn close(&mut self) {
        self.wishes.closed = true;
        match &mut self.core {
            Core::Client(hub) => hub.close(self.now),
            Core::Server(hub, session) => hub.close_session(self.now, *session),
        }
    }

    /// Closes the session now.
    pub fn abort(&mut self) {
        self.wishes.closed = true;
        match &mut self.core {
            Core::Client(hub) => hub.abort(),
            Core::Server(hub, session) => hub.abort_session(*session),
        }
    }

    /// Takes no messages until [`resume`](Self::resume).
    pub fn pause(&mut self) {
        self.wishes.paused = Some(true);
        if let Core::Server(hub, session) = &mut self.core {
            hub.pause(*session);
        }
    }

    /// Takes messages again.
    pub fn resume(&mut self) {
        self.wishes.paused = Some(false);
        if let Core::Server(hub, session) = &mut self.core {
            hub.resume(*session);
        }
    }

    /// Has [`Application::handle_wake`] called.
    pub fn wake_after(&mut self, wait: Duration) {
        self.wishes.wakes.push((self.now + wait, self.id));
    }

    /// The transport that carries messages now.
    pub fn transport(&self) -> Option<TransportKind> {
        match &self.core {
            Core::Client(hub) => Some(hub.session().transport()),
            Core::Server(hub, session) => hub.session(*session).map(|session| session.transport()),
        }
    }

    /// What a proxy has sent a second time of this life so far, and what may come of it: an application
    /// that knows which messages there were can allow for that, and for nothing else.
    pub const fn repeats(&self) -> Repeats {
        self.repeats
    }

    /// Whether messages can be sent, room provided.
    pub fn is_open(&self) -> bool {
        match &self.core {
            Core::Client(hub) => hub.session().is_open(),
            Core::Server(hub, session) => {
                hub.session(*session).is_some_and(|session| session.is_open())
            }
        }
    }
}
