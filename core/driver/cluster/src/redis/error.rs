//! Errors of a connection with Redis.

use std::{fmt, io, sync::Arc, time::Duration};

use enginewire_socketio::cluster::wire::EmitError;

use super::{
    address::Address,
    resp::{MalformedReply, ServerError},
    url::InvalidRedisUrl,
};

/// Error of Redis: the address, the fault, and how many commands were in flight. It has no password.
#[derive(Clone, Debug)]
pub struct RedisError {
    pub(super) address: Option<Arc<str>>,
    pub(super) fault: RedisFault,
    pub(super) in_flight: usize,
}

/// Fault of a connection with Redis.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedisFault {
    /// The URL is not one of Redis: the caller is to blame.
    #[error(transparent)]
    Url(InvalidRedisUrl),
    /// No connection can be made.
    #[error(
        "it cannot be reached: {0} (does it run there, and does the network let this node through?)"
    )]
    Unreachable(Arc<io::Error>),
    /// The server does not let this node in: the URL is wrong.
    #[error(
        "it refuses the connection: {0} (check the user, the password and the database of the URL, and the name of the client)"
    )]
    Refused(String),
    /// The server is a sentinel, which carries no messages.
    #[error("it is a sentinel (give the name of the master, with RedisBuilder::sentinel)")]
    Sentinel,
    /// The sentinel knows no master of this name.
    ///
    /// The name is wrong, or the address.
    #[error("it is a sentinel that knows no master `{}`", .0.escape_debug())]
    UnknownMaster(String),
    /// The server is no master.
    ///
    /// A sentinel still names it, or a Redis Cluster has replaced it.
    #[error(
        "it is no master (a failover is going on, or its slots have moved; that is tried again)"
    )]
    Replica,
    /// The URL names several servers, which are no Redis Cluster.
    #[error(
        "it is no server of a Redis Cluster (a URL with several servers is for one, or for sentinels)"
    )]
    NoCluster,
    /// A slot of the Redis Cluster has no owner.
    ///
    /// Slot 0 stands for all where a server was taken out of the Redis Cluster.
    #[error("no server of the Redis Cluster owns slot {0}")]
    Unserved(u16),
    /// The server is too old.
    #[error("it does not know RESP3 (Redis from version 6 on does, and Valkey)")]
    Outdated,
    /// The server has closed the connection, or the network has broken it.
    #[error("the connection was lost: {0}")]
    Lost(Arc<io::Error>),
    /// The server has not responded in time: it is overloaded, stopped, or cut off.
    #[error("it has not responded for {0:?}")]
    Silent(Duration),
    /// The server is not one of Redis.
    #[error("{0} (is it Redis?)")]
    Malformed(String),
    /// The server does not carry out a command.
    #[error("it refuses {command}: {message}{advice}")]
    Command {
        /// The command.
        command: &'static str,
        /// The server's error.
        message: String,
        /// Remedy in brackets, if one is known.
        advice: &'static str,
    },
    /// The connection is not there at this moment, and is being made anew.
    #[error("it is not connected at this moment (that is tried again; send it later)")]
    Disconnected,
    /// The message cannot be written: the caller is to blame.
    #[error("the message cannot be sent: {0}")]
    Message(EmitError),
}

impl RedisError {
    pub(super) fn new(address: Option<&Address>, fault: RedisFault) -> Self {
        Self { address: address.map(|address| address.to_string().into()), fault, in_flight: 0 }
    }

    /// Returns the fault.
    pub const fn fault(&self) -> &RedisFault {
        &self.fault
    }

    /// Returns host and port of the server. `None` if the URL has none.
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// Returns the number of commands that had no response.
    ///
    /// They were carried out or not.
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }
}

impl RedisFault {
    pub(super) fn unreachable(error: io::Error) -> Self {
        Self::Unreachable(Arc::new(error))
    }

    pub(super) fn lost(error: io::Error) -> Self {
        Self::Lost(Arc::new(error))
    }

    pub(super) fn of_command(command: &'static str, error: &ServerError) -> Self {
        let message = error.to_string();
        let advice = match error.kind() {
            "MOVED" | "ASK" => " (servers of the Redis Cluster send it from one to the other)",
            "CLUSTERDOWN" => " (the Redis Cluster has lost servers, or a failover is going on)",
            "NOPERM" => " (the ACL of the user has to allow the command, its keys and channels)",
            "READONLY" => " (it is a replica: connect to the master, or ask sentinels for it)",
            "ERR" if message.contains("unknown command") => {
                " (sharded channels need Redis from version 7 on, streams from 5 on, and recovery from 6.2 on)"
            }
            _ => "",
        };
        Self::Command { command, message, advice }
    }

    /// The fault of a server that responds to the first commands with an error.
    pub(super) fn of_greeting(error: &ServerError) -> Self {
        match error.kind() {
            "NOPROTO" => Self::Outdated,
            _ if error.to_string().contains("unknown command") => Self::Outdated,
            _ => Self::Refused(error.to_string()),
        }
    }
}

impl From<InvalidRedisUrl> for RedisError {
    fn from(error: InvalidRedisUrl) -> Self {
        Self::new(None, RedisFault::Url(error))
    }
}

impl From<MalformedReply> for RedisFault {
    fn from(error: MalformedReply) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl fmt::Display for RedisError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = &self.address {
            write!(f, "Redis at {address}: ")?;
        }
        self.fault.fmt(f)?;
        if self.in_flight > 0 {
            write!(f, "; {} commands had no response, and may be lost", self.in_flight)?;
        }
        Ok(())
    }
}

impl std::error::Error for RedisError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            RedisFault::Unreachable(error) | RedisFault::Lost(error) => Some(&**error),
            RedisFault::Message(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_names_the_address_the_fault_and_the_remedy() {
        let fault = RedisFault::of_command("XADD", &"READONLY You can't write.".into());
        let error = RedisError { address: Some("a:6379".into()), fault, in_flight: 3 };
        let expected = "Redis at a:6379: it refuses XADD: READONLY You can't write. (it is a replica: connect to the \
                        master, or ask sentinels for it); 3 commands had no response, and may be lost";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn arguments_that_a_server_repeats_are_not_shown() {
        let error: ServerError =
            "ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `u`, `secret`"
                .into();
        let fault = RedisFault::of_greeting(&error);
        assert!(matches!(fault, RedisFault::Outdated));
        let fault = RedisFault::of_command("SSUBSCRIBE", &error);
        assert!(!format!("{fault} {fault:?} {error:?}").contains("secret"), "{fault:?}");
    }
}
