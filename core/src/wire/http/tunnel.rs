//! A tunnel through a proxy.

use alloc::{format, string::String, sync::Arc};
use core::fmt;

use bytes::BytesMut;

use super::{
    client::{Client, next_head},
    config::ClientConfig,
    fault::ResponseFault,
    response_head::ResponseHead,
    scan::Scan,
};
use crate::{
    exchange::HeaderLines,
    url::Url,
    wire::{Input, Output},
};

/// Tunnel that a client opens: CONNECT out, the head of its response in.
///
/// See RFC 9110 section 9.3.6. With a status from 200 to 299 the tunnel stands, and all that follows on the connection
/// is between client and server. With any other, the connection is of no more use, and the body is not read.
///
/// ```
/// use std::sync::Arc;
///
/// use enginewire::{HeaderLines, Url, wire::{Input, Output, http::Tunnel}};
///
/// let server = Url::parse("https://chat.example")?;
/// let mut output = Output::new();
/// let mut tunnel = Tunnel::open(Arc::default(), &server, &HeaderLines::new(), &mut output);
///
/// let mut read = *b"HTTP/1.1 200 Connection established\r\n\r\n";
/// let head = tunnel.handle_bytes(&mut Input::new(&mut read)).expect("the response")?;
/// assert_eq!(head.status(), 200);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Tunnel {
    config: Arc<ClientConfig>,
    /// The start of a head, taken from an input that ended before it did.
    held: BytesMut,
    scan: Scan,
    /// How many interim responses came.
    interim: usize,
}

impl Tunnel {
    /// Writes the request for a tunnel to `server`. `headers` are for the proxy.
    pub fn open(
        config: Arc<ClientConfig>,
        server: &Url,
        headers: &HeaderLines,
        out: &mut Output,
    ) -> Self {
        let target = target(server);
        for part in ["CONNECT ", &target, " HTTP/1.1\r\nHost: ", &target, "\r\n"] {
            out.put_slice(part.as_bytes());
        }
        out.put_slice(headers.as_bytes());
        out.put_slice(b"\r\n");
        Self { config, held: BytesMut::new(), scan: Scan::answer(), interim: 0 }
    }

    /// Takes bytes from `input` up to the end of the response's head.
    ///
    /// Returns the head once it is complete.
    ///
    /// # Errors
    ///
    /// The proxy has broken a rule of HTTP, or its head is longer than the limit. The connection is of no more use.
    pub fn handle_bytes(
        &mut self,
        input: &mut Input<'_>,
    ) -> Option<Result<ResponseHead, ResponseFault>> {
        let (max, max_headers) = (self.config.head_limit(), self.config.max_headers);
        loop {
            let parse = |head: &[u8]| ResponseHead::parse_tunnel(head, max_headers);
            let head = match next_head(&mut self.held, &mut self.scan, input, max, parse) {
                Ok(head) => head?,
                Err(fault) => return Some(Err(fault)),
            };
            match head.status() {
                101 => return Some(Err(ResponseFault::Switched)),
                100..=199 if self.interim == Client::MAX_INTERIM => {
                    return Some(Err(ResponseFault::Interim { max: Client::MAX_INTERIM }));
                }
                100..=199 => self.interim += 1,
                _ => return Some(Ok(head)),
            }
            self.scan = Scan::answer();
        }
    }
}

/// Host and port, both of them always.
fn target(server: &Url) -> String {
    let (host, port) = (server.host(), server.port());
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").field("held", &self.held.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
