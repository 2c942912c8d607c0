//! What the fuzz targets do. Each module has a `run`, which takes the bytes that the fuzzer made up
//! and panics if the code under test breaks a rule; the module's first lines say how the bytes are
//! read. Only the public API of `enginewire` is used.

pub mod client_hub;
pub mod client_session;
pub mod http;
pub mod http_client;
pub mod hub;
pub mod jsonp;
pub mod packets;
pub mod payloads;
pub mod query;
pub mod session;
pub mod stream;
pub mod websocket;

mod memory;
mod naive;
mod oracle;
mod script;
mod sent;
