//! Settings of a manager and of its sockets.

use core::{fmt, time::Duration};

use enginewire::{Reconnect, Revision};

use crate::{
    parser::{Parser, ParserLimits},
    payload::Payload,
};

/// Settings of a [`Manager`](super::Manager).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ManagerConfig {
    /// Revision of Engine.IO. Default 4, that of Socket.IO 3 and later.
    ///
    /// Revision 3 is that of Socket.IO 2. It must be the one of the sessions.
    pub revision: Revision,
    /// Format of packets. Default JSON.
    pub parser: Parser,
    /// Limits on a packet.
    pub limits: ParserLimits,
    /// Waits between attempts to connect. `None`: a lost connection is not tried again.
    pub reconnect: Option<Reconnect>,
    /// Time in which a server must respond to a request to connect to a namespace. Default 60 s.
    ///
    /// Servers take their time to authorize: the reference's gives up after 45 s. A session on which a response is
    /// missing is given up and tried again.
    pub response_timeout: Duration,
    /// Destination of events that are emitted while a socket is not connected. Default [`Offline::Buffer`].
    pub offline: Offline,
    /// Limit on the events of a socket that wait for a connection, in bytes. Default 1 MiB.
    ///
    /// Events with retries count, too, until they are acknowledged.
    pub max_offline: usize,
    /// Limit on the acknowledgements that a socket waits for. Default 1024.
    pub max_pending_acks: usize,
    /// Limit on the times in a row that a refused socket asks again. Default 0.
    ///
    /// It asks the application for another payload each time, so it is of use with [`Auth::Ask`] alone.
    pub refused_attempts: u32,
    /// Time in which what is queued must have left once no socket needs the connection. Default 10 s.
    pub close_timeout: Duration,
}

impl Default for ManagerConfig {
    fn default() -> Self {
        Self {
            revision: Revision::V4,
            parser: Parser::default(),
            limits: ParserLimits::default(),
            reconnect: Some(Reconnect::default()),
            response_timeout: Duration::from_secs(60),
            offline: Offline::default(),
            max_offline: 1 << 20,
            max_pending_acks: 1024,
            refused_attempts: 0,
            close_timeout: Duration::from_secs(10),
        }
    }
}

/// Destination of events that are emitted while a socket is not connected.
///
/// Volatile ones are dropped in any case, and those with retries wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Offline {
    /// They wait for the connection, up to [`ManagerConfig::max_offline`]. Then there is no room.
    #[default]
    Buffer,
    /// They are an error.
    Refuse,
    /// They are dropped. An acknowledgement fails at once.
    Drop,
}

/// Payload of a request to connect to a namespace: what the server's authorization looks at.
///
/// `Debug` redacts it, because it is a secret as often as not.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Auth {
    /// No payload.
    #[default]
    None,
    /// The same each time.
    Payload(Payload),
    /// The application is asked each time, by [`ManagerEvent::Auth`](super::ManagerEvent::Auth).
    Ask,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Payload(_) => "Payload(..)",
            Self::Ask => "Ask",
        })
    }
}
