//! Settings of connections.

use core::time::Duration;

use crate::parser::{Parser, ParserLimits};

/// Settings of a [`Connection`](crate::Connection), the same for all of a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionConfig {
    /// Format of packets. Default JSON.
    pub parser: Parser,
    /// Limits on a packet.
    pub limits: ParserLimits,
    /// Time in which a client must have connected to a namespace. Default 45 s, as the reference's.
    pub connect_timeout: Duration,
    /// Limit on the namespaces of a client. Default 64. Further ones are refused.
    pub max_namespaces: usize,
    /// Limit on the acknowledgements that a socket owes. Default 1024.
    pub max_pending_acks: usize,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            parser: Parser::default(),
            limits: ParserLimits::default(),
            connect_timeout: Duration::from_secs(45),
            max_namespaces: 64,
            max_pending_acks: 1024,
        }
    }
}
