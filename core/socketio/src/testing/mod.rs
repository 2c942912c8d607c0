//! Tests of applications and servers without sockets, threads or a runtime.
//!
//! A [`Pair`] is a [`Hub`](crate::hub::Hub) and its clients on a virtual clock. Every step is the test's: a fault, a
//! deadline, a race.
//!
//! ```
//! use core::time::Duration;
//! use enginewire_socketio::{
//!     AckError, AckId,
//!     hub::{HubConfig, Output},
//!     testing::{Pair, Update},
//! };
//!
//! let mut pair = Pair::new(HubConfig::default());
//! let anna = pair.open();
//! pair.connect(anna, "/")?;
//! let Some(Output::Connect(socket, ..)) = pair.poll() else { panic!() };
//! pair.hub.accept(pair.now(), socket);
//! assert!(matches!(pair.recv(anna), Some((_, Update::Connected(_)))));
//!
//! // A question to a client that is silent ends at its deadline.
//! let ask = pair.hub.emit_with_ack(pair.now(), socket, "age?", &(), Duration::from_secs(3))?;
//! let Some((_, Update::Event(question))) = pair.recv(anna) else { panic!() };
//! assert_eq!((question.name(), question.ack()), ("age?", Some(AckId(0))));
//! pair.pass(Duration::from_secs(3));
//! let Some(Output::Acknowledged(id, Err(AckError::Timeout))) = pair.poll() else { panic!() };
//! assert_eq!(id, ask);
//!
//! // Too late: nothing happens.
//! pair.acknowledge(anna, "/", AckId(0), &42)?;
//! assert!(pair.poll().is_none());
//! # Ok::<(), enginewire_socketio::EmitError>(())
//! ```
//!
//! Applications on a runtime have `TestLink` in the module `testing` of `enginewire-tokio` and its siblings.

mod client;
mod pair;
pub(crate) mod wires;

#[cfg(test)]
mod tests;

pub use self::{
    client::{Client, ServerFault, Update},
    pair::{ClientId, FROZEN_ROOM, Pair},
};
