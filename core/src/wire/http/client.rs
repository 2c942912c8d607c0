//! The client side of one connection.

use alloc::sync::Arc;
use core::{fmt, mem};

use bytes::{Bytes, BytesMut};

use super::{
    body::{Body, Progress},
    config::ClientConfig,
    fault::ResponseFault,
    fields::list,
    framing::BodyLength,
    response::write_decimal,
    response_head::ResponseHead,
    scan::Scan,
};
use crate::{
    deflate::{Codecs, Coding, DecodeFailure, UnknownCoding},
    exchange::Request,
    wire::{Input, Output},
};

/// The HTTP/1.1 client side of one connection: requests in, bytes out; bytes in, answers out.
///
/// One request at a time, each with its whole body; the answer comes with its whole body. The driver
/// hands every read to [`handle_bytes`](Self::handle_bytes) until that gives `None`; all of the read
/// has then been used or stored. An answer may come before the request has been written to its end.
///
/// ```
/// # use std::sync::Arc;
/// use enginewire::{HeaderLines, Request, wire::{Input, Output, http::{Client, ClientConfig, Reply}}};
///
/// let mut client = Client::new(Arc::new(ClientConfig::default()));
/// let mut out = Output::new();
/// let request = Request {
///     method: "GET",
///     target: "/hello".into(),
///     content_type: None,
///     headers: HeaderLines::new(),
///     body: Default::default(),
/// };
/// client.request(&request, "example.com", &mut out);
///
/// let mut read = *b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
/// let mut input = Input::new(&mut read);
/// while let Some(reply) = client.handle_bytes(&mut input) {
///     let Reply::Response(head, body) = reply else { panic!("{reply:?}") };
///     assert_eq!((head.status(), &body[..]), (200, &b"hi"[..]));
/// }
/// assert!(client.is_idle());
/// ```
///
/// **Time.** None passes here: how long an answer may take, and how long a connection is worth
/// keeping, the session above knows.
///
/// **Panics.** None.
pub struct Client {
    config: Arc<ClientConfig>,
    state: State,
    /// The start of a head, taken from an input that ended before it did.
    held: BytesMut,
    /// How far `held` was searched for the end of the head.
    scan: Scan,
}

/// The outcome of a request.
pub enum Reply {
    /// The answer with its whole body.
    Response(ResponseHead, Bytes),
    /// 101, as the request wanted: from here on the bytes belong to another protocol. Those behind
    /// the head are still in the input.
    Upgraded(ResponseHead),
    /// A violation of a rule or a limit by the server. The connection is of no more use, and a
    /// response that was due is lost. May come between two requests.
    Fault(ResponseFault),
    /// The connection ended before the answer was complete.
    Lost,
}

/// Without the body, which in a handshake holds the session id.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Response(head, body) => {
                f.debug_tuple("Response").field(head).field(&body.len()).finish()
            }
            Self::Upgraded(head) => f.debug_tuple("Upgraded").field(head).finish(),
            Self::Fault(fault) => f.debug_tuple("Fault").field(fault).finish(),
            Self::Lost => f.write_str("Lost"),
        }
    }
}

enum State {
    /// A request may be sent.
    Idle,
    /// The request is out.
    Head(Asked),
    Body {
        head: ResponseHead,
        body: Body,
        /// The coding that it is in.
        coding: Option<Coding>,
        /// A request may follow.
        persists: bool,
    },
    /// More came in the same read behind an answer.
    Excess,
    /// The end: neither requests nor responses follow.
    Closed,
    /// The connection belongs to another protocol now.
    Upgraded,
}

/// The part of a request that matters until the head of its response has come.
#[derive(Clone, Copy)]
struct Asked {
    is_head: bool,
    upgrades: bool,
    closes: bool,
    /// How many interim answers came.
    interim: usize,
}

impl Client {
    /// Limit on the interim responses to one request, which are skipped. Enough for a few Early
    /// Hints, or for five minutes of a server that sends `102 Processing` every 20 s.
    pub const MAX_INTERIM: usize = 16;

    /// A new connection.
    pub fn new(config: Arc<ClientConfig>) -> Self {
        Self { config, state: State::Idle, held: BytesMut::new(), scan: Scan::answer() }
    }

    /// Writes a request. Does nothing unless the connection [is idle](Self::is_idle).
    ///
    /// `host` is the value of `Host`: host and port of the URL. Neither it nor the target may hold
    /// white space or control characters; [`Url`](crate::Url) sees to that. `Host`,
    /// `Content-Type`, `Content-Length`, `Accept-Encoding` and `Content-Encoding` are
    /// written here and must not be among the request's header fields. A body is sent
    /// with its length, and so is that of every POST, be it empty (RFC 9110 section 8.6).
    pub fn request(&mut self, request: &Request, host: &str, out: &mut Output) {
        if !self.is_idle() {
            return;
        }
        let is_visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        debug_assert!(is_visible(&request.target) && is_visible(host));
        let Request { method, target, content_type, headers, body } = request;
        for part in [method, " ", target, " HTTP/1.1\r\nHost: ", host] {
            out.put_slice(part.as_bytes());
        }
        // Without a word any coding would do (RFC 9110 section 12.5.3).
        out.put_slice(match self.config.compression {
            Some(_) => b"\r\nAccept-Encoding: gzip, deflate\r\n",
            None => b"\r\nAccept-Encoding: identity\r\n",
        });
        out.put_slice(headers.as_bytes());
        let encoded = self.encode(body);
        let body = encoded.as_ref().map_or(body, |(_, body)| body);
        if let Some((coding, _)) = &encoded {
            for part in ["Content-Encoding: ", coding.name(), "\r\n"] {
                out.put_slice(part.as_bytes());
            }
        }
        if let Some(content_type) = content_type {
            for part in ["Content-Type: ", content_type, "\r\n"] {
                out.put_slice(part.as_bytes());
            }
        }
        if *method == "POST" || !body.is_empty() {
            out.put_slice(b"Content-Length: ");
            write_decimal(body.len(), out);
            out.put_slice(b"\r\n");
        }
        out.put_slice(b"\r\n");
        out.put_bytes(body);
        let is_close = |option: &[u8]| option.eq_ignore_ascii_case(b"close");
        self.state = State::Head(Asked {
            is_head: *method == "HEAD",
            upgrades: headers.values("upgrade").next().is_some(),
            closes: headers.values("connection").flat_map(list).any(is_close),
            interim: 0,
        });
    }

    /// Takes bytes from `input` until something has happened. Returns `None` once all of it has
    /// been used or stored.
    ///
    /// Stores no more than a head and a body within the limits, and never ahead of what came. Takes
    /// nothing behind the head of a 101. Bytes behind the last response of a connection are
    /// discarded; bytes between two requests are a fault.
    pub fn handle_bytes(&mut self, input: &mut Input<'_>) -> Option<Reply> {
        let step = match &self.state {
            State::Head(_) => self.read_head(input),
            State::Body { .. } => self.receive_body(input),
            State::Idle | State::Excess if !input.is_empty() => Err(ResponseFault::Unsolicited),
            State::Idle | State::Excess | State::Upgraded => Ok(None),
            State::Closed => {
                input.take(input.len());
                Ok(None)
            }
        };
        step.unwrap_or_else(|fault| {
            self.close();
            Some(Reply::Fault(fault))
        })
    }

    /// Ends the input: the server has shut down its sending side, or the connection broke. The
    /// server will send nothing more. Completes a body that has no other end.
    pub fn handle_eof(&mut self) -> Option<Reply> {
        if matches!(self.state, State::Upgraded) {
            return None;
        }
        match self.close() {
            State::Head(_) => Some(Reply::Lost),
            State::Body { head, body, coding, .. } => Some(match body.end() {
                Some(body) => match self.decode(body, coding) {
                    Ok(body) => Reply::Response(head, body),
                    Err(fault) => Reply::Fault(fault),
                },
                None => Reply::Lost,
            }),
            State::Idle | State::Excess | State::Closed | State::Upgraded => None,
        }
    }

    /// Returns whether a request may be sent now. That is so on a new connection. Later it is so
    /// once the last response is complete, if the server keeps the connection.
    pub const fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// Returns whether the connection is to be closed. That is so after the last response, a fault
    /// or the end, and if more than a response came.
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed | State::Excess)
    }

    /// Whether an answer is awaited.
    pub const fn in_exchange(&self) -> bool {
        matches!(self.state, State::Head(_) | State::Body { .. })
    }

    /// Reads heads until one that is not interim, and what there is of its body.
    fn read_head(&mut self, input: &mut Input<'_>) -> Result<Option<Reply>, ResponseFault> {
        while let State::Head(asked) = &mut self.state {
            let (max, max_headers) = (self.config.head_limit(), self.config.max_headers);
            let Self { held, scan, .. } = self;
            let parse = |head: &[u8]| ResponseHead::parse_found(head, max_headers);
            let found = next_head(held, scan, input, max, parse)?;
            let Some(head) = found else { return Ok(None) };
            self.scan = Scan::answer();
            match head.status() {
                101 if !asked.upgrades => return Err(ResponseFault::Switched),
                101 => {
                    self.state = State::Upgraded;
                    return Ok(Some(Reply::Upgraded(head)));
                }
                100..=199 if asked.interim == Self::MAX_INTERIM => {
                    return Err(ResponseFault::Interim { max: Self::MAX_INTERIM });
                }
                100..=199 => asked.interim += 1,
                _ => {
                    let asked = *asked;
                    self.begin_body(head, asked)?;
                }
            }
        }
        self.receive_body(input)
    }

    fn begin_body(&mut self, head: ResponseHead, asked: Asked) -> Result<(), ResponseFault> {
        // RFC 9112 section 6.3, rule 1.
        let length = if asked.is_head { Some(BodyLength::Sized(0)) } else { head.body_length() };
        let coding = if length == Some(BodyLength::Sized(0)) {
            None
        } else {
            let codings = head.header_values("content-encoding");
            Coding::of_body(self.config.compression.as_ref(), codings)
                .map_err(|UnknownCoding| ResponseFault::ContentCoding)?
        };
        let max = self.config.max_body;
        let body = match length {
            Some(length) => Body::new(length, max).ok_or(ResponseFault::BodyTooLarge { max })?,
            None => Body::until_close(),
        };
        let persists = head.keep_alive() && !asked.closes;
        self.state = State::Body { head, body, coding, persists };
        Ok(())
    }

    fn receive_body(&mut self, input: &mut Input<'_>) -> Result<Option<Reply>, ResponseFault> {
        let State::Body { body, .. } = &mut self.state else { return Ok(None) };
        let max = self.config.max_body;
        match body.receive(input.rest(), max, self.config.head_limit())? {
            Progress::More => {
                input.take(input.len());
                Ok(None)
            }
            Progress::Done { body, used } => {
                input.take(used);
                self.answer(body, !input.is_empty())
            }
            Progress::TooLarge => Err(ResponseFault::BodyTooLarge { max }),
        }
    }

    /// The body is complete.
    fn answer(&mut self, body: Bytes, excess: bool) -> Result<Option<Reply>, ResponseFault> {
        let State::Body { head, coding, persists, .. } = self.close() else { return Ok(None) };
        let body = self.decode(body, coding)?;
        if persists {
            self.state = if excess { State::Excess } else { State::Idle };
        }
        Ok(Some(Reply::Response(head, body)))
    }

    /// Inflates a body, if it is in a coding.
    fn decode(&self, body: Bytes, coding: Option<Coding>) -> Result<Bytes, ResponseFault> {
        // A server may name a coding of nothing.
        let Some(coding) = coding.filter(|_| !body.is_empty()) else { return Ok(body) };
        let max = self.config.max_body;
        coding.decode(&body, max).map_err(|failure| match failure {
            DecodeFailure::TooLarge => ResponseFault::BodyTooLarge { max },
            DecodeFailure::Invalid => ResponseFault::Undecodable,
        })
    }

    /// Compresses the body of a request, if that is asked for and of use.
    fn encode(&self, body: &Bytes) -> Option<(Coding, Bytes)> {
        let options = self.config.compression.as_ref()?;
        let coding = options.posts(body.len())?;
        // A POST of that size is rare, and has a compressor of its own.
        Some((coding, coding.encode(body, options, &mut Codecs::new())?))
    }

    /// Closes for both directions: frees the storage and returns the state before.
    fn close(&mut self) -> State {
        self.held = BytesMut::new();
        mem::replace(&mut self.state, State::Closed)
    }
}

/// Takes the next head from `held` and `input`, of which it leaves what is behind the head.
pub(super) fn next_head(
    held: &mut BytesMut,
    scan: &mut Scan,
    input: &mut Input<'_>,
    max: usize,
    parse: impl FnOnce(&[u8]) -> Result<ResponseHead, ResponseFault>,
) -> Result<Option<ResponseHead>, ResponseFault> {
    // The common case: a whole head in one read is parsed where it is.
    if held.is_empty() {
        if let Some(found) = scan.find(input.rest(), max)? {
            return parse(input.take(found.end)).map(Some);
        }
        held.extend_from_slice(input.take(input.len()));
        return Ok(None);
    }
    // Line by line, as a head ends where a line ends.
    while !input.is_empty() {
        let line = memchr::memchr(b'\n', input.rest()).map_or(input.len(), |at| at + 1);
        // There is room, or `find` would have refused the head.
        let room = max.saturating_sub(held.len());
        held.extend_from_slice(input.take(line.min(room)));
        if scan.find(held, max)?.is_some() {
            return parse(&mem::take(held)).map(Some);
        }
    }
    Ok(None)
}

/// Shows no bytes: the head or body of an answer may hold a session id.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Idle => "idle",
            State::Head(_) => "head",
            State::Body { .. } => "body",
            State::Excess => "excess",
            State::Closed => "closed",
            State::Upgraded => "upgraded",
        };
        f.debug_struct("Client")
            .field("state", &state)
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
