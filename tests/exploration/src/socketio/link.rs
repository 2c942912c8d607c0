//! A session with what is on its way: messages in order, until it breaks.

use std::{collections::VecDeque, hash::Hasher, time::Duration};

use enginewire::{CloseReason, Encoded, Fingerprint, Message, SendError, Time, TrySendError};
use enginewire_socketio::{Connection, Session};

/// One session of the client, from when it is open on both sides.
pub(super) struct Link {
    pub(super) number: u8,
    pub(super) to_server: VecDeque<Up>,
    /// With the moments at which they were sent.
    pub(super) to_client: VecDeque<(Time, Down)>,
    /// There until the session is over for the server.
    pub(super) connection: Option<Connection<u8>>,
    pub(super) carrier: Carrier,
    /// The client will hear nothing more of it.
    pub(super) left_by_client: bool,
    /// When the network has broken it.
    pub(super) cut_at: Option<Time>,
}

/// On its way to the server.
#[derive(Clone, Debug, Hash)]
pub(super) enum Up {
    Message(Message),
    /// The session is broken.
    Lost,
}

/// On its way to the client.
#[derive(Clone, Debug, Hash)]
pub(super) enum Down {
    Message(Message),
    /// The server has closed the session.
    End,
    /// The session is broken.
    Lost,
}

/// The server's side of a session below its connection.
#[derive(Clone)]
pub(super) struct Carrier {
    now: Time,
    /// With the moments at which they were sent.
    pub(super) queue: VecDeque<(Time, Encoded)>,
    room: Option<u8>,
    /// There was no room, and the connection was not told of any since.
    pub(super) is_full: bool,
    pub(super) is_closed: bool,
    /// Credit of messages that nobody has given back.
    pub(super) unread: usize,
    /// More was given back than there was.
    pub(super) is_overdrawn: bool,
}

impl Carrier {
    pub(super) const fn new(now: Time, room: Option<u8>) -> Self {
        Self {
            now,
            queue: VecDeque::new(),
            room,
            is_full: false,
            is_closed: false,
            unread: 0,
            is_overdrawn: false,
        }
    }

    pub(super) fn fingerprint<H: Hasher>(&self, now: Time, into: &mut Fingerprint<H>) {
        let Self { now: _, queue, room: _, is_full, is_closed, unread, is_overdrawn } = self;
        into.push(&(is_full, is_closed, unread, is_overdrawn, queue.len()));
        for (sent, message) in queue {
            into.push(message);
            into.push_time(now, Some(*sent));
        }
    }
}

impl Session for Carrier {
    fn send(&mut self, message: Encoded) -> Result<(), TrySendError> {
        if self.is_closed {
            return Err(TrySendError { message, reason: SendError::Closed });
        }
        if let (queued, Some(max)) = (self.queue.len(), self.room.map(usize::from))
            && queued >= max
        {
            self.is_full = true;
            return Err(TrySendError { message, reason: SendError::Full { queued, max } });
        }
        self.queue.push_back((self.now, message));
        Ok(())
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    fn queued(&self) -> (usize, usize) {
        (self.queue.len(), self.room.map_or(usize::MAX, usize::from))
    }

    fn is_receiving(&self) -> bool {
        true
    }

    fn release(&mut self, cost: usize) {
        self.is_overdrawn |= cost > self.unread;
        self.unread = self.unread.saturating_sub(cost);
    }

    fn close(&mut self, _: Time) {
        self.is_closed = true;
    }

    fn abort(&mut self, _: CloseReason) {
        self.queue.clear();
        self.is_closed = true;
    }
}

impl Link {
    pub(super) const fn new(
        now: Time,
        number: u8,
        room: Option<u8>,
        connection: Connection<u8>,
    ) -> Self {
        Self {
            number,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            connection: Some(connection),
            carrier: Carrier::new(now, room),
            left_by_client: false,
            cut_at: None,
        }
    }

    /// Whether there is nothing more to come of it.
    pub(super) const fn is_over(&self) -> bool {
        self.left_by_client && self.connection.is_none()
    }

    pub(super) fn push_up(&mut self, message: String) {
        if self.connection.is_some() && self.cut_at.is_none() {
            self.to_server.push_back(Up::Message(message.into()));
        }
    }

    pub(super) fn push_down(&mut self, sent: Time, item: Down) {
        if !self.left_by_client && self.cut_at.is_none() {
            self.to_client.push_back((sent, item));
        }
    }

    /// When the server notices at the latest that it is broken, or that nothing passes.
    pub(super) fn heartbeat(&self) -> Option<Time> {
        self.connection.as_ref()?;
        let oldest = self.carrier.queue.front().map(|(sent, _)| *sent);
        let oldest = self.to_client.front().map(|(sent, _)| *sent).or(oldest);
        self.cut_at.or(oldest).map(|since| since + HEARTBEAT)
    }

    pub(super) const fn set_now(&mut self, now: Time) {
        self.carrier.now = now;
    }

    /// Sends what has waited longest.
    pub(super) fn write(&mut self) {
        let Some((sent, message)) = self.carrier.queue.pop_front() else { return };
        for part in (0..message.parts()).filter_map(|index| message.part(index)) {
            self.push_down(sent, Down::Message(part.message().clone()));
        }
    }

    /// The network loses it with all that is on it. Each side learns of it in its own time.
    pub(super) fn cut(&mut self, now: Time) {
        self.cut_at = Some(now);
        self.to_server.clear();
        self.to_client.clear();
        if self.connection.is_some() {
            self.to_server.push_back(Up::Lost);
        }
        if !self.left_by_client {
            self.to_client.push_back((now, Down::Lost));
        }
    }

    pub(super) fn fingerprint<H: Hasher>(&self, now: Time, into: &mut Fingerprint<H>) {
        let Self { number, to_server, to_client, connection, carrier, .. } = self;
        let Self { left_by_client, cut_at, .. } = self;
        into.push(&(number, to_server, left_by_client, to_client.len()));
        carrier.fingerprint(now, into);
        for (sent, item) in to_client {
            into.push(item);
            into.push_time(now, Some(*sent));
        }
        into.push_time(now, *cut_at);
        into.push(&connection.is_some());
        if let Some(connection) = connection {
            connection.fingerprint(now, into);
        }
    }
}

impl Clone for Link {
    fn clone(&self) -> Self {
        #[expect(clippy::expect_used, reason = "its parser is JSON")]
        let connection =
            self.connection.as_ref().map(|connection| connection.fork().expect("a copy"));
        Self {
            number: self.number,
            to_server: self.to_server.clone(),
            to_client: self.to_client.clone(),
            connection,
            carrier: self.carrier.clone(),
            left_by_client: self.left_by_client,
            cut_at: self.cut_at,
        }
    }
}

/// Time in which a heartbeat fails. It is shorter than [`RecoveryConfig::max_delay`], as it must be.
///
/// [`RecoveryConfig::max_delay`]: enginewire_socketio::adapter::RecoveryConfig::max_delay
const HEARTBEAT: Duration = Duration::from_secs(5);
