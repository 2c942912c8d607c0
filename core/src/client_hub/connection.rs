//! One connection of a client, and what it is used for.

mod getters;

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use core::{fmt, mem, time::Duration};

use bytes::{Buf, Bytes};

use super::{ClientConnectionId, Compressing, way::Way};
use crate::{
    carrier::WRITE_CHUNK,
    channel::{ExchangeId, ProxyFault, TransportFault, WebSocketEnd, WebSocketId},
    client::{ClientConfig, ClientSession},
    deflate::DeflateParameters,
    entropy::Entropy,
    exchange::Request,
    packet::Message,
    time::Time,
    url::Url,
    wire::{
        Arena, Input, Output,
        http::{self, Reply, ResponseHead},
        ws::{ClientKey, Closed, Received, Role, WebSocket},
    },
};

/// One connection.
pub(super) struct Connection {
    id: ClientConnectionId,
    /// The server's address.
    url: Arc<Url>,
    way: Way,
    task: Task,
    /// What is to be written.
    output: Output,
    connected: bool,
    /// The socket did not take all that it was given.
    blocked: bool,
    /// Bytes that were handed out and wait in the event loop, if that has said so.
    left: usize,
    /// It takes bytes again, and has not taken everything since.
    resumed: bool,
    /// The event loop knows that there is something to write.
    announced: bool,
    /// A response has come on this connection: it is a kept one, which the server may close at any time.
    kept: bool,
    /// When the connection may be used again; see [`REST`].
    rests_until: Time,
    /// When the connection is closed, if nothing is made of it before.
    deadline: Option<Time>,
}

/// What a connection is used for.
enum Task {
    Http {
        client: http::Client,
        /// The request under way.
        exchange: Option<Exchange>,
    },
    Handshake {
        client: http::Client,
        on: WebSocketId,
        key: ClientKey,
        mask_seed: [u8; 16],
    },
    Socket {
        on: WebSocketId,
        ws: Box<WebSocket>,
        /// Bytes that the WebSocket itself has put out (pongs) since the server last took everything.
        replies: usize,
        /// When the server must have taken what precedes our Close, once there is one.
        close_by: Time,
    },
    /// None any more.
    Over,
}

/// A request under way.
struct Exchange {
    on: ExchangeId,
    /// The request, if it went out on a kept connection: it can be sent again on a fresh one.
    request: Option<Request>,
    /// When it was to be written.
    since: Time,
    /// A byte of the response has come.
    responding: bool,
}

/// What came on a connection.
pub(super) enum Outcome {
    Response(ExchangeId, ResponseHead, Bytes),
    /// The server had closed the kept connection before it saw this request.
    Stale(ExchangeId, Request),
    Fault(ExchangeId, TransportFault),
    /// With the subprotocol and the compression that the server has chosen.
    Open(WebSocketId, Option<String>, Option<DeflateParameters>),
    Refused(WebSocketId, TransportFault),
    Message(WebSocketId, Message),
    End(WebSocketId, WebSocketEnd),
}

/// Constructors.
impl Connection {
    /// For requests.
    pub(super) fn http(
        id: ClientConnectionId,
        url: Arc<Url>,
        config: &ClientConfig,
        http: &Arc<http::ClientConfig>,
    ) -> Self {
        let client = http::Client::new(Arc::clone(http));
        Self::new(id, url, Task::Http { client, exchange: None }, config, http)
    }

    /// To become a WebSocket.
    pub(super) fn handshake(
        id: ClientConnectionId,
        url: Arc<Url>,
        on: WebSocketId,
        mut request: Request,
        config: &ClientConfig,
        http: &Arc<http::ClientConfig>,
        entropy: &mut dyn Entropy,
    ) -> Self {
        let key = ClientKey::new(entropy)
            .offering(&request.headers)
            .with_compression(config.per_message_deflate());
        let mut mask_seed = [0; 16];
        entropy.fill(&mut mask_seed);
        request.headers.extend(&key.headers());
        let client = http::Client::new(Arc::clone(http));
        let task = Task::Handshake { client, on, key, mask_seed };
        let mut connection = Self::new(id, url, task, config, http);
        connection.ask(&request);
        connection
    }

    fn new(
        id: ClientConnectionId,
        url: Arc<Url>,
        task: Task,
        config: &ClientConfig,
        http: &Arc<http::ClientConfig>,
    ) -> Self {
        let switches = matches!(task, Task::Handshake { .. });
        let mut output = Output::new();
        let way = Way::new(&url, switches, config, http, &mut output);
        Self {
            id,
            url,
            way,
            task,
            output,
            connected: false,
            blocked: false,
            left: 0,
            resumed: false,
            announced: false,
            kept: false,
            rests_until: Time::ZERO,
            deadline: None,
        }
    }
}

/// What is done to it.
impl Connection {
    /// It is connected, or encrypted.
    pub(super) fn connected(&mut self) {
        self.connected = true;
        self.way.encrypted(&mut self.output);
    }

    /// The socket has not taken the last `left` bytes of what was handed out. Returns how many it has
    /// taken since it was full, which tell that the server reads.
    pub(super) fn block(&mut self, left: usize) -> usize {
        let was_left = mem::replace(&mut self.left, left);
        if mem::replace(&mut self.blocked, true) {
            return was_left.saturating_sub(left);
        }
        if let Task::Socket { ws, close_by, .. } = &self.task
            && ws.is_closing()
        {
            self.deadline = Some(*close_by);
        }
        0
    }

    /// The socket takes bytes again. Who was told before that there is something to write may not have
    /// been able to. Returns as [`block`](Self::block).
    pub(super) fn unblock(&mut self, now: Time, linger: Duration) -> usize {
        self.announced = false;
        let taken = mem::take(&mut self.left);
        if mem::take(&mut self.blocked) {
            // What the socket has taken of bytes that wait here is seen when it takes more.
            self.resumed = taken == 0;
            self.await_close(now, linger);
        }
        taken
    }

    /// Sends a request, once the connection is there.
    pub(super) fn request(&mut self, now: Time, on: ExchangeId, request: Request) {
        self.ask(&request);
        let Task::Http { exchange, .. } = &mut self.task else { return };
        let request = self.kept.then_some(request);
        *exchange = Some(Exchange { on, request, since: now, responding: false });
        self.deadline = None;
    }

    /// Writes a request, in the form for the way that it goes.
    fn ask(&mut self, request: &Request) {
        let (Task::Http { client, .. } | Task::Handshake { client, .. }) = &mut self.task else {
            return;
        };
        let request = self.way.request(&self.url, request);
        client.request(&request, self.url.authority(), self.way.output(&mut self.output));
    }

    /// Takes what came until something has come of it.
    pub(super) fn handle_bytes(
        &mut self,
        now: Time,
        input: &mut Input<'_>,
        arena: &mut Arena,
    ) -> Option<Outcome> {
        if !self.way.is_open() {
            return self.open_tunnel(now, input);
        }
        match &mut self.task {
            Task::Http { client, exchange } => {
                if let Some(exchange) = exchange {
                    exchange.responding |= !input.is_empty();
                }
                let reply = client.handle_bytes(input)?;
                self.replied(now, reply)
            }
            Task::Handshake { client, .. } => {
                let reply = client.handle_bytes(input)?;
                self.shook(reply)
            }
            Task::Socket { on, ws, replies, .. } => {
                let before = self.output.remaining();
                let received = ws.handle_bytes(input, arena, &mut self.output);
                *replies += self.output.remaining() - before;
                Some(match received? {
                    Received::Message(message) => Outcome::Message(*on, message),
                    Received::Closed(Closed::Violation(violation)) => {
                        Outcome::End(*on, WebSocketEnd::Violation(violation))
                    }
                    Received::Closed(_) => Outcome::End(*on, WebSocketEnd::Closed),
                })
            }
            Task::Over => None,
        }
    }

    /// Takes what a proxy responds to the request for a tunnel.
    fn open_tunnel(&mut self, now: Time, input: &mut Input<'_>) -> Option<Outcome> {
        let Self { way, url, output, blocked, .. } = self;
        let is_written = output.is_empty() && !*blocked;
        let fault = way.handle_bytes(input, is_written, url.is_secure(), output).err()?;
        self.way = Way::Direct { is_exception: false };
        self.lose(now, fault.into())
    }

    /// The server has closed its side.
    pub(super) fn handle_eof(&mut self, now: Time) -> Option<Outcome> {
        if !self.way.is_open() {
            return self.lose(now, TransportFault::ConnectionLost);
        }
        match &mut self.task {
            Task::Http { client, .. } => {
                let reply = client.handle_eof()?;
                self.replied(now, reply)
            }
            Task::Handshake { client, .. } => {
                let reply = client.handle_eof()?;
                self.shook(reply)
            }
            Task::Socket { on, ws, .. } => {
                ws.handle_eof()?;
                Some(Outcome::End(*on, WebSocketEnd::Closed))
            }
            Task::Over => None,
        }
    }

    /// The connection has failed. The session knows itself whether a WebSocket had come to its end before.
    pub(super) fn lose(&mut self, now: Time, fault: TransportFault) -> Option<Outcome> {
        let fault = match fault {
            TransportFault::Unreachable if !self.connected && !self.way.is_direct() => {
                ProxyFault::Unreachable.into()
            }
            TransportFault::ConnectionLost if self.way.is_opening() => {
                ProxyFault::ConnectionLost.into()
            }
            fault => fault,
        };
        match mem::replace(&mut self.task, Task::Over) {
            Task::Http { exchange, .. } => Some(exchange?.lost(now, fault)),
            Task::Handshake { on, .. } => Some(Outcome::Refused(on, fault)),
            Task::Socket { on, .. } => Some(Outcome::End(on, WebSocketEnd::Failed)),
            Task::Over => None,
        }
    }

    /// The answer of the opening handshake was in order: from here on the connection is a WebSocket.
    pub(super) fn become_socket(
        &mut self,
        max_message: usize,
        max_fragments: usize,
        compression: Option<DeflateParameters>,
    ) {
        if let Task::Handshake { on, mask_seed, .. } = self.task {
            let role = Role::Client { mask_seed };
            let ws = WebSocket::new(role, max_message, max_fragments).with_compression(compression);
            self.task = Task::Socket { on, ws: Box::new(ws), replies: 0, close_by: Time::MAX };
        }
    }

    /// The session wants no more of this WebSocket: begins the closing handshake. What waits to be
    /// written before it has until `by`.
    pub(super) fn close_socket(&mut self, by: Time) {
        if let Task::Socket { ws, close_by, .. } = &mut self.task {
            ws.close(None, "", &mut self.output);
            *close_by = by;
            self.deadline = Some(by);
        }
    }

    /// The request is over: keeps the connection for another one, for a while.
    pub(super) fn keep(&mut self, now: Time) {
        self.kept = true;
        self.rests_until = now + REST;
        self.deadline = Some(now + KEPT_FOR);
    }

    /// What the server has to do need not be done before `until`. A connection that is kept waits for
    /// nothing: by then the server may have closed it.
    pub(super) fn extend_deadlines(&mut self, until: Time) {
        if !self.is_free() {
            self.deadline = self.deadline.map(|deadline| deadline.max(until));
        }
        if let Task::Socket { close_by, .. } = &mut self.task {
            *close_by = (*close_by).max(until);
        }
    }

    /// Hands out what is to be written, with the frames of `source`. See
    /// [`ClientHub::transmit`](super::ClientHub::transmit). Returns how many bytes tell that the server reads.
    pub(super) fn transmit(
        &mut self,
        now: Time,
        linger: Duration,
        mut source: Option<(&mut ClientSession, &mut Arena)>,
        mut write: impl FnMut(&[u8]) -> usize,
    ) -> usize {
        self.announced = false;
        if !self.connected || self.blocked {
            return 0;
        }
        let (mut room, mut total) = (WRITE_CHUNK, 0);
        let done = loop {
            if let Some((session, arena)) = &mut source {
                self.fill(session, arena);
            }
            if self.output.is_empty() {
                break true;
            }
            if room == 0 {
                break false;
            }
            let chunk = self.output.chunk();
            let chunk = &chunk[..chunk.len().min(room)];
            let (given, taken) = (chunk.len(), write(chunk));
            assert!(taken <= given, "{taken} bytes were taken of {given}");
            self.output.advance(taken);
            (room, total) = (room - taken, total + taken);
            if taken < given {
                self.blocked = true;
                break false;
            }
        };
        // A socket that was full has room only for as much as the server has taken.
        let progress = if self.resumed { total } else { 0 };
        if done {
            self.resumed = false;
            self.output.shrink(KEPT_OUTPUT);
            if let Task::Socket { replies, .. } = &mut self.task {
                *replies = 0;
            }
            self.await_close(now, linger);
        }
        progress
    }

    /// If all has been written, and our Close with it, the rest is up to the server.
    fn await_close(&mut self, now: Time, linger: Duration) {
        if let Task::Socket { ws, .. } = &self.task
            && ws.is_closing()
            && self.output.is_empty()
        {
            self.deadline = Some(now + linger);
        }
    }

    /// Takes frames from the session, but no more than a socket is likely to take: what has been
    /// taken is no longer counted as queued.
    fn fill(&mut self, session: &mut ClientSession, arena: &mut Arena) {
        let Task::Socket { on, ws, .. } = &mut self.task else { return };
        while self.output.remaining() < WRITE_CHUNK
            && let Some(frame) = session.poll_write(*on)
        {
            ws.write_frame(&frame, arena, &mut self.output);
        }
    }

    /// Takes frames from the session as [`fill`](Self::fill) does, up to the first that is to be compressed. That and
    /// those behind it leave with the WebSocket.
    pub(super) fn pull(&mut self, session: &mut ClientSession) -> Option<Compressing> {
        if !self.connected || self.blocked {
            return None;
        }
        let Task::Socket { on, ws, .. } = &mut self.task else { return None };
        let (mut frames, mut waiting) = (Vec::new(), 0);
        while self.output.remaining() + waiting < WRITE_CHUNK
            && let Some(frame) = session.poll_write(*on)
        {
            if frames.is_empty() && !ws.compresses(&frame) {
                ws.write(frame.binary, frame.prefix, &frame.payload, &mut self.output);
            } else {
                waiting += frame.len();
                frames.push(frame);
            }
        }
        if frames.is_empty() {
            return None;
        }
        let stand_in = Box::new(WebSocket::new(Role::Server, 0, 0));
        let (ws, output) = (mem::replace(ws, stand_in), mem::take(&mut self.output));
        Some(Compressing { ws, frames, output })
    }

    /// Takes the WebSocket back, and what is to be written on it.
    pub(super) fn put_back(&mut self, compressing: Compressing) {
        let Compressing { ws: own, output, .. } = compressing;
        if let Task::Socket { ws, .. } = &mut self.task {
            let closes = mem::replace(ws, own).is_closing();
            self.output = output;
            self.announced = false;
            if closes {
                ws.close(None, "", &mut self.output);
            }
        }
    }

    /// What a reply to a request means.
    fn replied(&mut self, now: Time, reply: Reply) -> Option<Outcome> {
        let Task::Http { client, exchange } = &mut self.task else { return None };
        let exchange = exchange.take();
        // Behind a response that came early, the rest of the request is of no use to the server.
        if !client.is_idle() || !self.output.is_empty() || self.blocked {
            self.task = Task::Over;
        }
        let exchange = exchange?;
        if let Reply::Response(head, _) = &reply
            && let Some(fault) = self.way.fault_of_response(head)
        {
            self.task = Task::Over;
            return Some(Outcome::Fault(exchange.on, fault.into()));
        }
        Some(match reply {
            // Some servers say so before they close a kept connection (RFC 9110 section 15.5.9).
            Reply::Response(head, _)
                if head.status() == REQUEST_TIMEOUT && exchange.request.is_some() =>
            {
                self.task = Task::Over;
                exchange.stale(TransportFault::Status(REQUEST_TIMEOUT))
            }
            Reply::Response(head, body) => Outcome::Response(exchange.on, head, body),
            Reply::Fault(fault) => Outcome::Fault(exchange.on, fault.into()),
            // No request for an upgrade is sent on these connections.
            Reply::Upgraded(_) | Reply::Lost => exchange.lost(now, TransportFault::ConnectionLost),
        })
    }

    /// What a reply to an opening handshake means.
    fn shook(&mut self, reply: Reply) -> Option<Outcome> {
        let Task::Handshake { on, key, .. } = &self.task else { return None };
        let on = *on;
        let fault = match reply {
            Reply::Upgraded(head) => match (key.check(&head), key.compression(&head)) {
                (Ok(chosen), Ok(compression)) => {
                    return Some(Outcome::Open(on, chosen.map(String::from), compression));
                }
                (Err(refused), _) | (_, Err(refused)) => refused.into(),
            },
            Reply::Response(head, _) => TransportFault::Status(head.status()),
            Reply::Fault(fault) => fault.into(),
            Reply::Lost => TransportFault::ConnectionLost,
        };
        self.task = Task::Over;
        Some(Outcome::Refused(on, fault))
    }
}

impl Exchange {
    /// Takes what it means that the connection is no more.
    ///
    /// A server may close a kept connection at any time (RFC 9112 section 9.5), and a request that meets
    /// this is lost without any fault. So it is sent again, as browsers do, also with a body: the server
    /// has closed without having read it. On a fresh connection no server has a reason to do so, which
    /// is why a request is sent at most twice.
    fn lost(self, now: Time, fault: TransportFault) -> Outcome {
        let is_stale = !self.responding && now.since(self.since) < ROUND_TRIP;
        if is_stale { self.stale(fault) } else { Outcome::Fault(self.on, fault) }
    }

    /// The same of a server that has not read the request.
    fn stale(self, fault: TransportFault) -> Outcome {
        match self.request {
            Some(request) => Outcome::Stale(self.on, request),
            None => Outcome::Fault(self.on, fault),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task = match self.task {
            Task::Http { .. } => "http",
            Task::Handshake { .. } => "handshake",
            Task::Socket { .. } => "websocket",
            Task::Over => "over",
        };
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("task", &task)
            .finish_non_exhaustive()
    }
}

/// How long a connection is left alone after a response. A server may close its sending side right behind
/// that without a word, and go on to read: Node takes a POST then, cannot respond, and would take it
/// once more from a fresh connection. By then the end has come.
const REST: Duration = Duration::from_millis(25);

/// How long a connection is kept for the next request. Node, the most common server, closes one after
/// 5 s: a request that meets this costs a round trip more.
const KEPT_FOR: Duration = Duration::from_secs(4);

/// The longest round trip, with a segment or two lost. If a server had closed a connection before the
/// request came, the client knows within one. A close after that is of a server that has the request,
/// such as a poll that waits: sent again, it might be taken twice.
const ROUND_TRIP: Duration = Duration::from_secs(5);

/// The status of a server that has waited too long for a request.
const REQUEST_TIMEOUT: u16 = 408;

/// Storage of the output that a connection keeps between writes.
const KEPT_OUTPUT: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::Limits;

    #[test]
    fn storage_of_16_kib_is_kept_between_writes_and_more_is_given_back() {
        let url = Arc::new(Url::parse("http://a").unwrap());
        let config = ClientConfig::new(&url);
        let http = Arc::new(http::ClientConfig::new(&Limits::default()));
        for (bytes, kept) in [(16 * 1024, true), (16 * 1024 + 1, false)] {
            let id = ClientConnectionId(1);
            let mut connection = Connection::http(id, Arc::clone(&url), &config, &http);
            connection.connected();
            connection.output.put_slice(&vec![0; bytes]);
            connection.transmit(Time::ZERO, Duration::ZERO, None, <[u8]>::len);
            assert!(connection.output.is_empty());
            assert_eq!(connection.output.capacity() > 0, kept, "{bytes} bytes");
        }
    }
}
