//! Deadlines of a client's session.

use crate::channel::Kind;

/// Purpose of a deadline of a [`ClientSession`](crate::ClientSession).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientTimerKind {
    /// The session has taken too long to open.
    Open,
    /// Revision 3: the next ping is due.
    Ping,
    /// The server has been silent for too long.
    Heartbeat,
    /// An upgrade has been going on for too long.
    Upgrade,
    /// The GET has not been answered in time.
    Get,
    /// The POST has not been answered in time.
    Post,
    /// A client that was sent away empty-handed too often may poll again.
    Rest,
    /// A closing session waits no longer for the server to take what is queued.
    Close,
}

/// Deadlines for something that the server has to do.
pub(super) const AWAITED: &[ClientTimerKind] = &[
    ClientTimerKind::Open,
    ClientTimerKind::Heartbeat,
    ClientTimerKind::Upgrade,
    ClientTimerKind::Get,
    ClientTimerKind::Post,
    ClientTimerKind::Close,
];

impl Kind<8> for ClientTimerKind {
    const ALL: [Self; 8] = [
        Self::Open,
        Self::Ping,
        Self::Heartbeat,
        Self::Upgrade,
        Self::Get,
        Self::Post,
        Self::Rest,
        Self::Close,
    ];

    fn index(self) -> usize {
        self as usize
    }
}
