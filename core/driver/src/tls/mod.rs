//! TLS by rustls, the same on every runtime.
//!
//! A server has it by [`ServerBuilder::tls`](crate::ServerBuilder::tls), a client by an `https` or `wss` URL. The types
//! of `tls::rustls` are those of the crate of that name, version 0.23.
//!
//! # The crypto provider
//!
//! A configuration of the application's has the provider that it was built with. Clients without one take the
//! default of the process (`CryptoProvider::install_default`). If there is none, they take ring with the
//! feature `tls`, and fail with `tls-no-provider` alone.
//!
//! # What is changed in a configuration
//!
//! ALPN (RFC 7301) is always `http/1.1`, on both sides: a configuration shared with a server of HTTP/2 would select
//! `h2` otherwise, which WebSockets of this crate do not speak. A server accepts no early data (RFC 8446 section 2.3),
//! because an attacker may replay it.

mod accept;
mod client;
mod fault;
mod info;
mod server;
mod stream;

#[doc(no_inline)]
pub use rustls;

pub(crate) use self::{
    accept::{InFlight, TlsConnection},
    client::{ClientTls, connect},
    server::Handshakes,
};
pub use self::{
    client::encrypt,
    fault::{CertificateFault, TlsFault},
    info::TlsInfo,
    server::{ServerTls, TlsStats},
    stream::TlsStream,
};

/// The one protocol that both sides offer by ALPN (RFC 7301 section 6).
const HTTP_1_1: &[u8] = b"http/1.1";
