//! The server side of one connection.

use alloc::sync::Arc;
use core::{fmt, mem};

use bytes::{Buf, BytesMut};

use super::{
    body::Body,
    config::Config,
    event::{Event, TimerKind},
    exchange::{Exchange, Incoming},
    fault::Fault,
    framing::BodyLength,
    head::RequestHead,
    response::{Connection, Response, write_status_line},
    scan::Scan,
};
use crate::{
    progress::Progress,
    time::Time,
    wire::{Input, Output, ws::AcceptKey},
};

/// The HTTP/1.1 server side of one connection: bytes in, requests out; answers in, bytes out.
///
/// One request at a time. The driver hands every read to [`handle_bytes`](Self::handle_bytes) until
/// that gives `None`; all of the read has then been used or stored. After [`Event::Request`] the
/// exchange lasts until [`respond`](Self::respond) or
/// [`accept_upgrade`](Self::accept_upgrade), however long that takes. Pipelined requests wait
/// inside: after `respond`, call `handle_bytes` once more, with an empty input if there is no other.
///
/// ```
/// # use std::sync::Arc;
/// use enginewire::{Time, wire::{Input, Output, http::{Config, Event, Response, Server}}};
///
/// let mut server = Server::new(Time::ZERO, Arc::new(Config::default()));
/// let mut out = Output::new();
/// let mut read = *b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
/// let mut input = Input::new(&mut read);
/// while let Some(event) = server.handle_bytes(Time::ZERO, &mut input, &mut out) {
///     match event {
///         Event::Request(head) if head.path() == "/hello" => {
///             let answer = Response::new(200).with_body("text/plain", "hi");
///             server.respond(Time::ZERO, &answer, &mut out);
///         }
///         Event::Request(_) => server.respond(Time::ZERO, &Response::new(404), &mut out),
///         _ => break,
///     }
/// }
/// assert!(!out.is_empty() && !server.in_exchange() && server.wants_input());
/// ```
///
/// **Closing.** After an answer that is the last, [`is_closing`](Self::is_closing). The driver writes what is in
/// the output, shuts down its sending side, and goes on reading into `handle_bytes`, which discards. The end of the
/// stream or the `Linger` timer makes it [`is_closed`](Self::is_closed).
///
/// **Panics.** None.
pub struct Server {
    config: Arc<Config>,
    state: State,
    /// Bytes that were taken from an input and not used yet: the start of a head, or whatever came
    /// during an exchange.
    held: BytesMut,
    /// How far `held` was searched for the end of a head.
    scan: Scan,
    /// When the timer of the state ends, if the state has one.
    deadline: Time,
    /// Counts the bytes of a body towards the next extension of its deadline.
    progress: Progress,
    /// How much of the output waited for the peer when the timer was last set.
    unsent: usize,
}

enum State {
    /// Between two requests, or in the middle of a head (then `begun`).
    Head { begun: bool },
    /// From a head to its answer.
    Exchange(Exchange),
    /// The answer was written, so much of the body is still to be skipped.
    Drain { left: u64 },
    /// The last answer was written.
    Closing,
    /// The end: the connection neither reads nor responds any more.
    Closed,
    /// The connection belongs to another protocol now.
    Upgraded,
}

impl Server {
    /// A connection that was accepted at `now`.
    pub fn new(now: Time, config: Arc<Config>) -> Self {
        Self {
            deadline: now + config.idle_timeout,
            config,
            state: State::Head { begun: false },
            held: BytesMut::new(),
            scan: Scan::request(),
            progress: Progress::default(),
            unsent: 0,
        }
    }

    /// Takes bytes from `input` until something has happened. Returns `None` once all of it has
    /// been used or stored. Interim responses and the response to a fault are written to `out`.
    ///
    /// During an exchange everything that is not its body is stored. That is at most
    /// [`max_head`](Config::max_head) and one read if the driver heeds
    /// [`wants_input`](Self::wants_input). After an upgrade the input is left alone.
    pub fn handle_bytes(
        &mut self,
        now: Time,
        input: &mut Input<'_>,
        out: &mut Output,
    ) -> Option<Event> {
        loop {
            let step = match &mut self.state {
                State::Head { .. } => self.read_head(now, input),
                State::Exchange(exchange) => match &mut exchange.body {
                    Incoming::Receiving(_) | Incoming::TooLarge => self.receive_body(now, input),
                    Incoming::Waiting(_) | Incoming::Complete => {
                        self.held.extend_from_slice(input.take(input.len()));
                        return None;
                    }
                    Incoming::Abandoned => {
                        input.take(input.len());
                        return None;
                    }
                },
                State::Drain { left } => {
                    // It is no more than MAX_DRAIN.
                    let n = usize::try_from(*left).unwrap_or(usize::MAX);
                    let from_held = n.min(self.held.len());
                    let from_input = input.take(n - from_held).len();
                    drop_front(&mut self.held, from_held);
                    *left -= (from_held + from_input) as u64;
                    if *left > 0 {
                        self.extend_body(now, from_held + from_input);
                        return None;
                    }
                    self.expect_request(now);
                    continue;
                }
                State::Closing | State::Closed => {
                    input.take(input.len());
                    return None;
                }
                State::Upgraded => return None,
            };
            return step.unwrap_or_else(|fault| Some(self.refuse(now, fault, out)));
        }
    }

    /// Ends the input: the peer has shut down its sending side, or the connection broke. The peer
    /// will send nothing more.
    ///
    /// A client that does so while it waits for a response counts as gone, as it does for Node.
    pub fn handle_eof(&mut self, _now: Time) -> Option<Event> {
        let lost = match self.state {
            State::Head { .. } => !self.held.is_empty(),
            State::Exchange(_) => true,
            State::Drain { .. } | State::Closing | State::Closed => false,
            State::Upgraded => return None,
        };
        self.close();
        lost.then_some(Event::Lost)
    }

    /// Does what is due at `now`; nothing if that is earlier than [`poll_timeout`](Self::poll_timeout).
    ///
    /// A partial head or body is answered with 408. An idle connection is closed in silence, and so is one that has
    /// lingered. While `out` still holds an answer that the peer is taking, the timer starts again instead: `out`
    /// must be this connection's own.
    pub fn handle_timeout(&mut self, now: Time, out: &mut Output) -> Option<Event> {
        let (deadline, kind) = self.poll_timeout()?;
        if now < deadline {
            return None;
        }
        match kind {
            TimerKind::Head => {
                let after = self.config.head_timeout;
                Some(self.refuse(now, Fault::HeadTimeout { after }, out))
            }
            TimerKind::Body if self.in_exchange() => {
                let after = self.config.body_timeout;
                Some(self.refuse(now, Fault::BodyTimeout { after }, out))
            }
            // The answer is out, and what should have been skipped has not come.
            TimerKind::Body => {
                self.linger(now, out);
                None
            }
            TimerKind::Idle => self.close_unless_sending(now + self.config.idle_timeout, out),
            TimerKind::Linger => self.close_unless_sending(now + self.config.linger, out),
        }
    }

    /// Moves the deadline of the connection to `until`, unless it is later already. Bytes of the
    /// client may be waiting to be read, so it need not have done its part before.
    pub fn extend_deadlines(&mut self, until: Time) {
        self.deadline = self.deadline.max(until);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is next due, and why. `None` while a request is
    /// being answered: a poll may be held as long as its session likes.
    pub fn poll_timeout(&self) -> Option<(Time, TimerKind)> {
        let kind = match &self.state {
            State::Head { begun: false } => TimerKind::Idle,
            State::Head { begun: true } => TimerKind::Head,
            State::Exchange(Exchange { body: Incoming::Receiving(_), .. })
            | State::Drain { .. } => TimerKind::Body,
            State::Closing => TimerKind::Linger,
            State::Exchange(_) | State::Closed | State::Upgraded => return None,
        };
        Some((self.deadline, kind))
    }

    /// Asks for the body of the current request. Call [`handle_bytes`](Self::handle_bytes) next. It
    /// returns [`Event::Body`] once the body is complete, or [`Event::BodyTooLarge`] as soon as
    /// that is certain. A request without a body has an empty one.
    ///
    /// Writes `100 Continue` if the client waits for that. Does nothing outside of an exchange, or
    /// if the body was asked for before.
    pub fn read_body(&mut self, now: Time, out: &mut Output) {
        let State::Exchange(exchange) = &mut self.state else { return };
        let Incoming::Waiting(length) = exchange.body else { return };
        let Some(body) = Body::new(length, self.config.max_body) else {
            exchange.body = Incoming::TooLarge;
            return;
        };
        // RFC 9110 section 10.1.1 lets us leave it out when some of the body is already here; always
        // sending it makes the output independent of how the input was cut.
        if exchange.expects_continue && length != BodyLength::Sized(0) {
            write_status_line(100, out);
            out.put_slice(b"\r\n");
        }
        exchange.body = Incoming::Receiving(body);
        self.time_body(now);
    }

    /// Answers the current request. Does nothing if there is none, since an exchange may be lost
    /// while its answer is on the way here.
    ///
    /// The rest of a small body of declared length is skipped when it comes. Behind any other
    /// unread body the connection closes, because the start of the next request is unknown. Call
    /// [`handle_bytes`](Self::handle_bytes) afterwards: the next request may already be inside.
    pub fn respond(&mut self, now: Time, response: &Response, out: &mut Output) {
        let State::Exchange(exchange) = &self.state else { return };
        let persists = exchange.keep_alive && !response.close && response.status >= 200;
        let left = exchange.left().filter(|_| persists);
        let connection = match left {
            None => Connection::Close,
            Some(_) if exchange.http_1_0 => Connection::KeepAlive,
            Some(_) => Connection::Persist,
        };
        let date = self.config.wall_clock.date(now);
        response.write(exchange.is_head, connection, date, out);
        match left {
            None => self.linger(now, out),
            Some(0) => self.expect_request(now),
            Some(left) => {
                self.state = State::Drain { left };
                self.time_body(now);
            }
        }
        self.unsent = out.remaining();
    }

    /// Switches the current exchange to WebSocket. Writes the 101 with `headers`, each a complete
    /// `Name: value\r\n`. Returns the bytes that have already come behind the request.
    ///
    /// From now on everything read belongs to the other protocol, including the rest of the current
    /// input. This value can be dropped. Without an exchange nothing is written, and no bytes are
    /// returned.
    pub fn accept_upgrade(
        &mut self,
        accept: &AcceptKey,
        headers: &[u8],
        out: &mut Output,
    ) -> BytesMut {
        if !self.in_exchange() {
            return BytesMut::new();
        }
        write_status_line(101, out);
        out.put_slice(b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ");
        out.put_slice(accept.as_str().as_bytes());
        out.put_slice(b"\r\n");
        out.put_slice(headers);
        out.put_slice(b"\r\n");
        self.state = State::Upgraded;
        mem::take(&mut self.held)
    }

    /// Returns how many bytes have come behind the current request.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// Returns the bytes that have come behind the head of the current request, whose body was not asked for.
    ///
    /// The connection is another node's from here on. If that fails, [`respond`](Self::respond) with
    /// [`close`](Response::close) ends the exchange. Without an exchange no bytes are returned.
    pub(crate) fn hand_over(&mut self) -> BytesMut {
        if self.in_exchange() { mem::take(&mut self.held) } else { BytesMut::new() }
    }

    /// Whether the driver should read. During an exchange it should, so as to notice a client that
    /// goes away, until a head's worth of pipelined bytes waits inside.
    pub fn wants_input(&self) -> bool {
        match &self.state {
            State::Exchange(Exchange { body: Incoming::Receiving(_), .. })
            | State::Head { .. }
            | State::Drain { .. }
            | State::Closing => true,
            State::Exchange(_) => self.held.len() < self.config.head_limit(),
            State::Closed | State::Upgraded => false,
        }
    }

    /// Whether a request waits for its answer.
    pub const fn in_exchange(&self) -> bool {
        matches!(self.state, State::Exchange(_))
    }

    /// Returns whether bytes of a further request have come. They come behind the current request,
    /// which has no body.
    pub fn is_pipelined(&self) -> bool {
        let State::Exchange(Exchange { body, .. }) = &self.state else { return false };
        matches!(body, Incoming::Waiting(BodyLength::Sized(0))) && !self.held.is_empty()
    }

    /// Whether some of the body that was asked for is still to come.
    pub const fn is_receiving(&self) -> bool {
        matches!(self.state, State::Exchange(Exchange { body: Incoming::Receiving(_), .. }))
    }

    /// Returns whether the last response was written. Once the output is flushed, the driver shuts
    /// down its sending side and reads on. It does so because the peer would otherwise see a reset
    /// instead of the response.
    pub const fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing)
    }

    /// Whether nothing more will be read or answered. What is still in the output belongs to answers
    /// given before: a driver may write it out, but need not wait for a peer that does not take it.
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    fn read_head(&mut self, now: Time, input: &mut Input<'_>) -> Result<Option<Event>, Fault> {
        let (max, max_headers) = (self.config.head_limit(), self.config.max_headers);
        // The common case: a whole head in one read is parsed where it is.
        if self.held.is_empty() {
            if let Some((head, len)) = RequestHead::parse_front(input.rest(), max, max_headers) {
                input.take(len);
                return Ok(Some(self.begin_exchange(head)));
            }
            if let Some(found) = self.scan.find(input.rest(), max)? {
                let head = RequestHead::parse_found(&input.take(found.end)[found], max_headers)?;
                return Ok(Some(self.begin_exchange(head)));
            }
            input.take(self.scan.skip_empty_lines());
            self.held.extend_from_slice(input.take(input.len()));
            self.time_head(now);
            return Ok(None);
        }
        loop {
            if let Some(found) = self.scan.find(&self.held, max)? {
                let end = found.end;
                let head = RequestHead::parse_found(&self.held[found], max_headers)?;
                drop_front(&mut self.held, end);
                return Ok(Some(self.begin_exchange(head)));
            }
            let empty = self.scan.skip_empty_lines();
            drop_front(&mut self.held, empty);
            if input.is_empty() {
                self.time_head(now);
                return Ok(None);
            }
            // There is room, or `find` would have refused the head.
            let room = max.saturating_sub(self.held.len());
            self.held.extend_from_slice(input.take(room));
        }
    }

    fn begin_exchange(&mut self, head: RequestHead) -> Event {
        self.scan = Scan::request();
        self.state = State::Exchange(Exchange::new(&head));
        Event::Request(head)
    }

    /// Sets the timer by whether a head has begun.
    fn time_head(&mut self, now: Time) {
        let State::Head { begun } = &mut self.state else { return };
        if *begun == self.held.is_empty() {
            *begun = !*begun;
            let patience = if *begun { self.config.head_timeout } else { self.config.idle_timeout };
            self.deadline = now + patience;
        }
    }

    /// Gives the client as long for a body as it was given at first, whenever it has sent enough of it.
    fn extend_body(&mut self, now: Time, bytes: usize) {
        if let Some(patience) = self.progress.add(bytes) {
            self.deadline = self.deadline.max(now + patience);
        }
    }

    fn time_body(&mut self, now: Time) {
        self.progress.restart(self.config.body_timeout);
        self.deadline = now + self.config.body_timeout;
    }

    /// Reads the body that was asked for, first from what is held.
    fn receive_body(&mut self, now: Time, input: &mut Input<'_>) -> Result<Option<Event>, Fault> {
        let Self { state: State::Exchange(exchange), held, config, .. } = self else {
            return Ok(None);
        };
        if !held.is_empty() {
            let (used, event) = exchange.receive(held, config)?;
            drop_front(held, used);
            if event.is_some() {
                return Ok(event);
            }
        }
        let (used, event) = exchange.receive(input.rest(), config)?;
        input.take(used);
        self.extend_body(now, used);
        Ok(event)
    }

    /// Answers a fault and starts to close.
    fn refuse(&mut self, now: Time, fault: Fault, out: &mut Output) -> Event {
        let is_head = matches!(self.state, State::Exchange(Exchange { is_head: true, .. }));
        let date = self.config.wall_clock.date(now);
        Response::from(&fault).write(is_head, Connection::Close, date, out);
        self.linger(now, out);
        Event::Fault(fault)
    }

    fn expect_request(&mut self, now: Time) {
        self.state = State::Head { begun: false };
        self.deadline = now + self.config.idle_timeout;
    }

    fn linger(&mut self, now: Time, out: &Output) {
        self.close();
        self.state = State::Closing;
        self.deadline = now + self.config.linger;
        self.unsent = out.remaining();
    }

    fn close(&mut self) {
        self.state = State::Closed;
        self.held = BytesMut::new();
    }

    /// Closes, or starts the timer again if the peer has taken some of the answer since.
    fn close_unless_sending(&mut self, deadline: Time, out: &Output) -> Option<Event> {
        let unsent = out.remaining();
        if 0 < unsent && unsent < self.unsent {
            self.unsent = unsent;
            self.deadline = deadline;
        } else {
            self.close();
        }
        None
    }
}

/// Drops the first `n` bytes, and the storage with the last: an idle connection holds none.
fn drop_front(held: &mut BytesMut, n: usize) {
    held.advance(n);
    if held.is_empty() {
        *held = BytesMut::new();
    }
}

/// Shows no bytes: a request in the middle of its arrival may hold a session id.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Head { begun: false } => "idle",
            State::Head { begun: true } => "head",
            State::Exchange(_) => "exchange",
            State::Drain { .. } => "drain",
            State::Closing => "closing",
            State::Closed => "closed",
            State::Upgraded => "upgraded",
        };
        f.debug_struct("Server")
            .field("state", &state)
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
