//! Configuration of a node.

use core::time::Duration;

/// Configuration of one node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterConfig {
    /// Limit on the messages that wait for the bus, in bytes. Default 16 MiB.
    ///
    /// Further operations are carried out on this node alone, and say so.
    pub max_queued: usize,
    /// Limit on the broadcasts of other nodes whose acknowledgements are awaited. Default 1024.
    ///
    /// Clients get further ones, but their acknowledgements are not sent to the other node.
    pub max_requests: usize,
    /// Whether the bus knows the number of the other nodes, and not which they are. Default false.
    ///
    /// See [`Cluster::counting`](super::Cluster::counting).
    pub counts_nodes: bool,
    /// Whether the bus has a log that the nodes share, see [`LogRequest`](super::LogRequest). Default false.
    ///
    /// With [recovery](crate::hub::HubConfig::recovery) clients then come back on any node.
    pub has_log: bool,
    /// Time for the acknowledgements of a broadcast whose node does not tell its own. Default 10 s.
    pub ack_timeout: Duration,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            max_queued: 16 << 20,
            max_requests: 1024,
            counts_nodes: false,
            has_log: false,
            ack_timeout: Duration::from_secs(10),
        }
    }
}
