//! What the tests, benchmarks and test programs share.

pub mod client;
pub mod client_program;
pub mod echo;
pub mod front;
pub mod host;
pub mod process;
pub mod profile;
pub mod program;
pub mod pusher;
pub mod random;
pub mod refusing;
pub mod runtimes;
pub mod script;
#[cfg(feature = "admin")]
mod sio_admin;
mod sio_client_program;
pub mod sio_cluster_program;
pub mod sio_contract;
pub mod sio_program;
pub mod sio_recovering;
pub mod test_sockets;
pub mod tls;

/// The README's programs, compiled, and run but for those that need a network.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
