//! A connection that serves HTTP exchanges, one after the other.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::time::Duration;

use bytes::Buf;

use super::{
    Host, Next, WRITE_CHUNK,
    exchange::{Exchange, HandOver, Step, Switch, Upgrade},
    relay::Relay,
};
use crate::{
    deflate::DeflateParameters,
    router::Reject,
    session::{Body, WebSocketId},
    time::Time,
    wire::{
        Input, Output,
        http::{self, Event, Server, TimerKind},
        ws,
    },
};

/// The HTTP side of a connection and the exchange that is under way.
pub struct Exchanges<S, Q, F> {
    http: Server,
    exchange: Exchange<S, Q, F>,
    /// The peer has closed its side.
    ended: bool,
    /// The answer must wait until what is written has gone.
    postponed: bool,
    /// The connection is another node's, and ends with it.
    relay: Option<Box<Relay<F>>>,
}

/// A connection that goes on as a WebSocket of a session, its 101 written.
pub struct Upgraded<S> {
    /// The session.
    pub session: S,
    /// The name under which the session knows the WebSocket.
    pub on: WebSocketId,
    /// Bytes that came behind the handshake.
    pub early: Vec<u8>,
    /// Compression that was agreed on.
    pub(crate) compression: Option<DeflateParameters>,
}

impl<S, Q, F> Exchanges<S, Q, F> {
    /// A connection that was accepted at `now`.
    pub fn new(now: Time, config: Arc<http::Config>) -> Self {
        Self {
            http: Server::new(now, config),
            exchange: Exchange::new(),
            ended: false,
            postponed: false,
            relay: None,
        }
    }

    /// A connection whose request another HTTP server has parsed, and that is another node's.
    pub(super) fn relayed(now: Time, config: Arc<http::Config>, relay: Relay<F>) -> Self {
        Self { relay: Some(Box::new(relay)), ..Self::new(now, config) }
    }

    /// When the connection is to be looked at, whatever happens until then. Not while the last answer
    /// is on its way out: how long that may take is for the caller to say, and to linger after it.
    pub fn deadline(&self) -> Option<Time> {
        if let Some(relay) = &self.relay {
            return relay.deadline();
        }
        let next = self.http.poll_timeout().filter(|&(_, kind)| kind != TimerKind::Linger);
        next.map(|(deadline, _)| deadline)
    }

    /// Extends the deadlines of the peer to `until`.
    ///
    /// For a process that was late itself: bytes of the peer may wait to be read.
    pub fn extend_deadlines(&mut self, until: Time) {
        self.http.extend_deadlines(until);
        if let Some(relay) = &mut self.relay {
            relay.extend_deadline(until);
        }
    }

    /// Whether to read. A peer that does not read its answers is not to be read either, which is
    /// for the caller to see to. What comes behind the last request is thrown away while the
    /// connection lingers.
    pub fn wants_input(&self) -> bool {
        match &self.relay {
            Some(relay) => relay.wants_input(),
            None => !self.ended && !self.http.is_closing() && self.http.wants_input(),
        }
    }

    /// Whether the connection is another node's. It is read then, whether or not the peer reads: it may be a WebSocket.
    pub const fn is_relayed(&self) -> bool {
        self.relay.is_some()
    }

    /// How long the peer may take no byte of what is written. `timeout` is that of responses.
    pub fn write_timeout(&self, timeout: Duration) -> Duration {
        self.relay.as_ref().map_or(timeout, |relay| relay.patience())
    }

    /// Whether to [`drive`](Self::drive) again once everything has been written.
    pub fn is_postponed(&self) -> bool {
        match &self.relay {
            Some(relay) => relay.is_throttled(),
            None => self.postponed || self.exchange.is_sending(),
        }
    }

    /// The handshake that the application is being asked about.
    pub fn asked(&mut self) -> Option<&mut Q> {
        self.exchange.asked()
    }

    /// Returns the request for another path that the application is responding to.
    pub fn forwarded(&mut self) -> Option<&mut F> {
        self.exchange.forwarded()
    }

    /// Does what is due, and completes the exchange in progress if it can be.
    pub fn drive<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        output: &mut Output,
    ) -> Option<Upgraded<S>> {
        if self.relay.is_some() {
            self.drive_relay(now, host, output);
            return None;
        }
        if self.deadline().is_some_and(|deadline| deadline <= now)
            && let Some(event) = self.http.handle_timeout(now, output)
        {
            self.fail(now, host, &event);
        }
        if output.remaining() == 0 {
            self.exchange.end_sending(now, host);
        }
        let waited = !self.is_listening();
        let step = self.exchange.drive(now, host, is_ready(output));
        if let Some(upgraded) = self.follow(now, host, step, &[], output) {
            self.exchange.end_sending(now, host);
            return Some(upgraded);
        }
        // The next request may have come in the meantime.
        if waited && self.is_listening() {
            let upgraded = self.handle_bytes(now, host, &mut [], output);
            // It may be another node's, and the connection to that wakes nobody before it has been driven.
            self.drive_relay(now, host, output);
            return upgraded;
        }
        None
    }

    /// Handles what came, up to a request that has to wait.
    pub fn handle_bytes<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        bytes: &mut [u8],
        output: &mut Output,
    ) -> Option<Upgraded<S>> {
        if let Some(relay) = &mut self.relay {
            relay.handle_bytes(bytes);
            return None;
        }
        let read = bytes.len();
        let mut input = Input::new(bytes);
        loop {
            let Some(event) = self.http.handle_bytes(now, &mut input, output) else {
                if self.release_poll(now, host, output) {
                    continue;
                }
                // In the middle of a body, what was read is a sign of life.
                if self.http.is_receiving() {
                    self.exchange.note_read(now, host, read);
                }
                return None;
            };
            let ready = is_ready(output);
            let step = match event {
                Event::Request(head) => self.exchange.begin(now, host, head, ready),
                Event::Body(body) => {
                    self.exchange.receive_body(now, host, Body::Complete(body), ready)
                }
                Event::BodyTooLarge { .. } => {
                    self.exchange.receive_body(now, host, Body::TooLarge, ready)
                }
                event @ (Event::Fault(_) | Event::Lost) => {
                    self.fail(now, host, &event);
                    continue;
                }
            };
            let upgraded = self.follow(now, host, step, input.rest(), output);
            if self.relay.is_some() {
                return None;
            }
            if upgraded.is_some() {
                self.exchange.end_sending(now, host);
                return upgraded;
            }
        }
    }

    /// The peer has closed its side.
    pub fn handle_eof<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
    ) {
        self.ended = true;
        if let Some(relay) = &mut self.relay {
            return relay.handle_eof();
        }
        if let Some(event) = self.http.handle_eof(now) {
            self.fail(now, host, &event);
        }
    }

    /// Counts bytes that the socket has taken after it was full. See [`Exchange::note_written`].
    pub fn note_written<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        bytes: usize,
    ) {
        self.exchange.note_written(now, host, bytes);
    }

    /// The connection is gone.
    pub fn lose<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
    ) {
        self.exchange.lose(now, host);
        self.relay = None;
    }

    /// How the connection goes on once everything has been written. `running` says that a further
    /// request may be of use: the server is not closing, or there are sessions that have something
    /// queued for clients that poll.
    pub fn next(&self, running: bool) -> Next {
        if let Some(relay) = &self.relay {
            return relay.next(running);
        }
        let idle = self.is_listening() && !self.http.in_exchange();
        if self.http.is_closed() || (self.ended && idle) {
            return Next::End;
        }
        if self.http.is_closing() || (idle && !running) {
            return Next::Linger;
        }
        Next::Stay
    }

    /// Returns whether no request is being handled.
    pub const fn is_listening(&self) -> bool {
        self.exchange.is_idle() && self.relay.is_none()
    }

    /// Does the step of the exchange. `rest` is what came behind the request in the same read.
    ///
    /// Leaves the next request to the caller: if each answer went on to it, a peer could exhaust the stack with
    /// requests that wait in a row. An answer stays with the session while much waits to be written. Otherwise
    /// requests in a row would move its queue to where nobody counts it.
    fn follow<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        step: Step<S>,
        rest: &[u8],
        output: &mut Output,
    ) -> Option<Upgraded<S>> {
        self.postponed = !self.is_listening() && !is_ready(output);
        match step {
            Step::Wait => None,
            Step::ReadBody => {
                self.http.read_body(now, output);
                None
            }
            Step::Respond { response, close } => {
                let mut response = http::Response::from(response);
                // The session is closed, and the rest of the body may never come.
                response.close = close || self.http.is_receiving();
                self.http.respond(now, &response, output);
                None
            }
            Step::Upgrade(upgrade) => {
                let Upgrade { session, on, mut switch } = upgrade;
                // What a client sends before it knows of an agreement has come in one read, longer than compressed ones
                // may be.
                if self.http.held() + rest.len() > ws::max_read(true) {
                    switch.decline_compression();
                }
                let Switch { accept, mut headers, extension, compression } = switch;
                let accept = accept?;
                headers.extend(&extension);
                let mut early = self.http.accept_upgrade(&accept, headers.as_bytes(), output);
                early.extend_from_slice(rest);
                Some(Upgraded { session, on, early: early.into(), compression })
            }
            Step::HandOver(request) => {
                self.hand_over(now, host, *request, rest, output);
                None
            }
        }
    }

    /// Hands the request and the connection over to another node. `rest` is what came behind the head.
    fn hand_over<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        request: HandOver,
        rest: &[u8],
        output: &mut Output,
    ) {
        // Responses to earlier requests may be large.
        self.exchange.end_sending(now, host);
        let Some(mut relay) = Relay::begin(now, host, request) else {
            return self.refuse(now, host, &Reject::UnknownSession, output);
        };
        relay.handle_bytes(&self.http.hand_over());
        relay.handle_bytes(rest);
        self.relay = Some(Box::new(relay));
    }

    /// Passes on what it can between the client and another node.
    fn drive_relay<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        output: &mut Output,
    ) {
        let Some(relay) = &mut self.relay else { return };
        if let Err(fault) = relay.drive(now, host, output) {
            self.relay = None;
            self.refuse(now, host, &fault.into(), output);
        }
    }

    /// Refuses the request under way, and closes: its body has not been read.
    fn refuse<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        reject: &Reject,
        output: &mut Output,
    ) {
        let step = self.exchange.refuse(host, reject, true);
        self.follow(now, host, step, &[], output);
    }

    /// Ends a GET that waits if a further request has come behind it. Says whether that is next.
    fn release_poll<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        output: &mut Output,
    ) -> bool {
        if !self.exchange.is_waiting() || !self.http.is_pipelined() {
            return false;
        }
        self.exchange.release_poll(now, host);
        let step = self.exchange.drive(now, host, is_ready(output));
        // A poll never upgrades.
        self.follow(now, host, step, &[], output);
        self.is_listening()
    }

    /// The exchange under way, if there is one, will not be completed.
    fn fail<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        event: &Event,
    ) {
        host.failed(event);
        self.lose(now, host);
    }
}

/// Whether a further answer may be written behind what waits already.
fn is_ready(output: &Output) -> bool {
    output.remaining() < WRITE_CHUNK
}
