//! The server's end of a client's connections.

use enginewire::wire::{http::RequestHead, ws};

/// One connection of a client, which is named `I`.
pub(crate) struct Link<I> {
    pub(crate) id: I,
    pub(crate) connected: bool,
    /// How much it takes.
    pub(crate) room: usize,
    /// The first bytes that were written: of a WebSocket, the opening handshake.
    head: Vec<u8>,
    /// What has come and was not read.
    pub(crate) held: Vec<u8>,
}

impl<I> Link<I> {
    pub(crate) const fn new(id: I) -> Self {
        Self { id, connected: false, room: usize::MAX, head: Vec::new(), held: Vec::new() }
    }

    /// Takes as much of what the client writes as there is room for.
    pub(crate) fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (taken, _) = bytes.split_at(bytes.len().min(self.room));
        self.room -= if self.room == usize::MAX { 0 } else { taken.len() };
        let missing = MAX_HEAD.saturating_sub(self.head.len()).min(taken.len());
        self.head.extend_from_slice(&taken[..missing]);
        taken
    }

    pub(crate) fn is_websocket(&self) -> bool {
        self.request().is_some_and(|head| head.header("upgrade").is_some())
    }

    /// The response to an opening handshake of a WebSocket, right or not.
    pub(crate) fn accept(&self, right: bool) -> Vec<u8> {
        let Some(Ok(accept)) = self.request().map(|head| ws::accept(&head)) else {
            return Vec::new();
        };
        let key = if right { accept.as_str() } else { "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" };
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {key}\r\n\r\n"
        )
        .into_bytes()
    }

    /// The first request.
    fn request(&self) -> Option<RequestHead> {
        let end = self.head.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        Some(RequestHead::parse(&self.head[..end], 100).expect("a request in order"))
    }
}

pub(crate) fn answer(body: &[u8], fields: &str) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A frame of a server.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
    let payload = &payload[..length.into()];
    let [high, low] = length.to_be_bytes();
    let head = if length < 126 { vec![first, low] } else { vec![first, 126, high, low] };
    [&head[..], payload].concat()
}

/// Answers that a session does not want, or that are said in other ways.
pub(crate) const ANSWERS: [&str; 8] = [
    "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n4a\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\n4a",
    "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n6",
    "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
];

/// What is kept of what a client writes.
const MAX_HEAD: usize = 1024;
