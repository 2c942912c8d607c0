//! The interface of a bus, which carries messages between the nodes of a cluster.

use std::{
    error::Error,
    sync::Arc,
    task::{Context, Poll},
};

use enginewire_socketio::{
    Room,
    adapter::EntryId,
    cluster::{AppendId, LogResponse, Message, NodeId, Operation, RequestId},
};

/// Carrier of messages between the nodes of a cluster.
///
/// [`IoBuilder::cluster`](super::super::IoBuilder::cluster) takes it. A task of the server polls it, from the start of the server to its end. Messages of one node should arrive in the
/// order in which they were sent. Messages that are lost or come twice are lost, or come twice, for the sockets as well.
/// No node gets its own messages.
///
/// It either names the other nodes, with [`BusEvent::Joined`] and [`BusEvent::Lost`], or
/// [counts](Self::counts_nodes) them.
///
/// A bus holds few messages itself. What it does not take waits within
/// [`IoBuilder::max_cluster_queue`](super::super::IoBuilder::max_cluster_queue).
pub trait Bus: Send + 'static {
    /// Completes when the bus takes a message. The task is woken when it may.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Takes a message. Called after [`poll_ready`](Self::poll_ready) has completed, once for each time.
    fn send(&mut self, message: Message);

    /// Writes what was sent, as far as that can be done at once. Default: does nothing.
    ///
    /// Called behind [`send`](Self::send), [`handle_namespace`](Self::handle_namespace) and
    /// [`handle_room`](Self::handle_room), once for several. The task is woken when more can be written.
    fn poll_flush(&mut self, _cx: &mut Context<'_>) {}

    /// Completes with the next event. The task is woken when there may be one.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<BusEvent>;

    /// Returns whether the bus counts the other nodes, and does not name them. Default false.
    ///
    /// It then tells the number with [`BusEvent::Nodes`], and with [`BusEvent::Asked`] for each request.
    fn counts_nodes(&self) -> bool {
        false
    }

    /// Returns whether the bus has a log that the nodes share. Default false.
    ///
    /// With [recovery](super::super::IoBuilder::recovery) clients then come back on any node. The bus gets
    /// [`Operation::Log`] among its messages. It carries these out in order with the others, and responds with
    /// [`BusEvent::Appended`] or [`BusEvent::AppendFailed`], and [`BusEvent::Logged`]. Broadcasts that other nodes have logged come with their
    /// [entry](enginewire_socketio::cluster::Broadcast::offset). They and this node's own, which come as
    /// [`BusEvent::Appended`], are told in the order of the log.
    fn has_log(&self) -> bool {
        false
    }

    /// Hears that a namespace exists on this node, or that it does no longer. Default: does nothing.
    ///
    /// Called before messages of the namespace are sent. What is told twice has not changed.
    fn handle_namespace(&mut self, _namespace: &Arc<str>, _exists: bool) {}

    /// Returns whether the bus wants to hear of rooms, with [`handle_room`](Self::handle_room). Default false.
    ///
    /// Asked once. Without it rooms cost nothing.
    fn watches_rooms(&self) -> bool {
        false
    }

    /// Hears that a room has members on this node, or has none any more.
    ///
    /// Default: does nothing. Sockets' own rooms are among them. What is told twice has not changed.
    fn handle_room(&mut self, _namespace: &Arc<str>, _room: &Room, _exists: bool) {}

    /// Completes when everything that was sent is on its way.
    ///
    /// The other nodes should then know that this one leaves. The server waits at most a second for it, and then drops the bus. Default: completes at once.
    fn poll_close(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// Event of a [`Bus`].
#[derive(Debug)]
#[non_exhaustive]
#[cfg_attr(
    target_pointer_width = "64",
    expect(clippy::large_enum_variant, reason = "moved once, and nearly all are messages")
)]
pub enum BusEvent {
    /// Another node is there. Requests wait for it from now on.
    Joined(NodeId),
    /// Another node has left, or was lost. Requests no longer wait for it.
    Lost(NodeId),
    /// Another node has sent a message.
    Message {
        /// The node.
        from: NodeId,
        /// The namespace.
        namespace: Arc<str>,
        /// The operation.
        operation: Operation,
    },
    /// The number of other nodes, for a bus that [counts](Bus::counts_nodes) them.
    Nodes(usize),
    /// The number of other nodes that a request has reached.
    ///
    /// It waits for as many responses. Told by a bus that [counts](Bus::counts_nodes) them.
    Asked {
        /// The request.
        request: RequestId,
        /// The number.
        nodes: usize,
    },
    /// A broadcast of this node is in the log, for a bus that [has one](Bus::has_log).
    Appended {
        /// The append.
        append: AppendId,
        /// The entry.
        entry: EntryId,
    },
    /// A broadcast of this node that the log has refused.
    ///
    /// For a bus that [has one](Bus::has_log). It is delivered on this node alone.
    AppendFailed(AppendId),
    /// The log has gone back.
    ///
    /// Its entries from now on may have the ids of earlier ones. For a bus that [has one](Bus::has_log), and whose log has
    /// lost entries that this node was told of. Clients recover from the entries that follow.
    LogRewound,
    /// A response to a request to the log, for a bus that [has one](Bus::has_log).
    Logged {
        /// The request.
        request: RequestId,
        /// The response.
        response: LogResponse,
    },
    /// At least so many entries of the log were removed before they were read.
    ///
    /// Told by a bus that [has one](Bus::has_log), ahead of the entries behind them. They count in
    /// [`Stats::cluster_dropped`](super::super::Stats::cluster_dropped), and clients that missed them do not recover.
    Missed(u64),
    /// The bus carries no messages for now. Appends and requests to its log end without a response.
    ///
    /// Operations stay on this node until [`Up`](Self::Up).
    Down(Box<dyn Error + Send + Sync>),
    /// The bus carries messages again, as it does at the beginning.
    Up,
}
