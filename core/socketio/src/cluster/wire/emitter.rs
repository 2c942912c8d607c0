//! Programs that send to a cluster without being a node of it.

use alloc::borrow::Cow;

use super::{
    super::Operation, command::Command, config::WireConfig, ids::EMITTER, messages::Sender,
};
use crate::EncodeError;

/// Sender of operations to a cluster that this program is no node of.
///
/// It writes the bytes of npm `@socket.io/redis-emitter` and `@socket.io/redis-streams-emitter`. For
/// [`Format::Sharded`](super::Format::Sharded) and [`Format::Heartbeats`](super::Format::Heartbeats) it writes what a node does, with the namespace.
///
/// Nothing tells whether a node hears it. Nodes of the reference that are sharded take no notice of a namespace that
/// they do not have.
///
/// ```
/// use enginewire_socketio::{
///     Args,
///     adapter::Target,
///     cluster::{
///         Broadcast, Operation,
///         wire::{ClassicConfig, Command, Emitter, Format, WireConfig},
///     },
/// };
///
/// let emitter = Emitter::new(WireConfig::new(Format::Classic(ClassicConfig::default())));
/// let operation = Operation::Broadcast(Broadcast::new(Target::all().to("chat"), Args::event("hi", &1)?));
/// let Command::Publish { channel, .. } = emitter.emit("/", &operation)? else { panic!() };
/// assert_eq!(&*channel, "socket.io#/#chat#");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Emitter {
    config: WireConfig,
}

/// Error of an operation that an emitter cannot send. The application is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// It expects responses, which an emitter does not get, or is for the log.
    #[error("an emitter gets no responses")]
    Request,
    /// The payload has no form in this format.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl Emitter {
    /// Creates an emitter. The nodes have the same format, prefix and mode.
    pub const fn new(config: WireConfig) -> Self {
        Self { config }
    }

    /// Returns the command that sends an operation to all nodes.
    ///
    /// A `/` that is missing at the beginning of the namespace is added.
    ///
    /// # Errors
    ///
    /// The operation expects responses, or its payload cannot be written.
    pub fn emit(&self, namespace: &str, operation: &Operation) -> Result<Command, EmitError> {
        let is_asking = match operation {
            Operation::Broadcast(broadcast) => broadcast.request.is_some(),
            Operation::ServerSideEmit { request, .. } => request.is_some(),
            // The log is for nodes, which are told of their entries.
            Operation::FetchSockets { .. } | Operation::Respond { .. } | Operation::Log(_) => true,
            _ => false,
        };
        if is_asking {
            return Err(EmitError::Request);
        }
        let namespace = match namespace.starts_with('/') {
            true => Cow::Borrowed(namespace),
            false => Cow::Owned(["/", namespace].concat()),
        };
        let sender = Sender { uid: EMITTER, namespace: &namespace };
        Ok(self.config.operation(&sender, operation, None)?)
    }
}
