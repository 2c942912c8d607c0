//! A relay between another HTTP server and a node, without bytes of HTTP/1.1.

use alloc::{format, sync::Arc};
use core::{fmt, mem, task::Poll};

use bytes::{Buf, Bytes};

use super::{Heads, Next, Relay, head::end_to_end};
use crate::{
    carrier::{Connection, GracePeriod, HandOver, Host, exchange::Reframed},
    entropy::Entropy,
    router::{HandOverFault, Reject},
    time::Time,
    wire::{
        Output,
        http::{BodyLength, Config, Pieces, ResponseHead},
        ws::ClientKey,
    },
};

/// A request that another HTTP server has parsed, and that a node responds to.
///
/// The task of the request is a loop around it. It gives the body to [`handle_body`](Self::handle_body) while
/// [`wants_body`](Self::wants_body), and polls the response with [`poll_response`](Self::poll_response). Behind that it
/// polls the body of the response with [`poll_body`](Self::poll_body), or goes on with
/// [`into_connection`](Self::into_connection) after an upgrade. It polls whenever it is woken, and at the
/// [`deadline`](Self::deadline). Dropping it ends the connection to the node, as the loss of the client does.
///
/// Limits, deadlines and back-pressure are those of a connection that is relayed with its bytes.
pub struct RelayedExchange<F> {
    relay: Relay<F>,
    /// The part of the body of the request that is still to come.
    request: Rest,
    /// Bytes of the owner that have not been decoded.
    came: Output,
    /// The body of the response, once its head has come.
    response: Option<Pieces>,
    /// There if the request was an extended CONNECT.
    key: Option<ClientKey>,
    grace: GracePeriod,
}

/// The response of the node that has the session.
pub struct RelayedResponse {
    head: ResponseHead,
    is_extended: bool,
}

/// The part of a body that is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// So many bytes.
    Sized(u64),
    /// Chunks, and the end of them.
    Chunked,
    Nothing,
}

impl<F> RelayedExchange<F> {
    /// Begins to hand a request over, whose body has `length` bytes if that is known.
    ///
    /// Draws a key from `entropy` if the request is an extended CONNECT (RFC 8441 section 5), which has none.
    ///
    /// # Errors
    ///
    /// How to refuse the request: the session is unknown after all.
    pub fn begin<H: Host<Request = F>>(
        now: Time,
        host: &mut H,
        mut request: HandOver,
        length: Option<u64>,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, Reject> {
        let body = match length {
            // What follows is no body.
            _ if request.is_upgrade => BodyLength::Sized(0),
            Some(length) => BodyLength::Sized(length),
            None => BodyLength::Chunked,
        };
        let key = request.is_extended.then(|| ClientKey::new(entropy));
        request.reframed = Some(Reframed { body, key: key.clone() });
        let mut relay = Relay::begin(now, host, request).ok_or(Reject::UnknownSession)?;
        relay.heads = Heads::Kept(None);
        Ok(Self {
            relay,
            request: match body {
                BodyLength::Sized(0) => Rest::Nothing,
                BodyLength::Sized(length) => Rest::Sized(length),
                BodyLength::Chunked => Rest::Chunked,
            },
            came: Output::new(),
            response: None,
            key,
            grace: GracePeriod::new(),
        })
    }

    /// Returns whether to take more of the body of the request.
    ///
    /// Once the response has come, the rest is of no use.
    pub fn wants_body(&self) -> bool {
        self.request != Rest::Nothing && !self.relay.is_final && self.relay.wants_input()
    }

    /// Takes a piece of the body of the request. Returns false if it is longer than was announced.
    ///
    /// Such a request, or one whose body is cut, is to be dropped: the node would take other bytes for the rest.
    #[must_use]
    pub fn handle_body(&mut self, piece: &Bytes) -> bool {
        match &mut self.request {
            Rest::Sized(left) => {
                let Some(rest) = left.checked_sub(piece.len() as u64) else { return false };
                *left = rest;
                if let Some(to_node) = self.relay.request() {
                    to_node.put_bytes(piece);
                }
                true
            }
            Rest::Chunked => {
                if let Some(to_node) = self.relay.request().filter(|_| !piece.is_empty()) {
                    to_node.put_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                    to_node.put_bytes(piece);
                    to_node.put_slice(b"\r\n");
                }
                true
            }
            Rest::Nothing => piece.is_empty(),
        }
    }

    /// Ends the body of the request. Returns false if it is shorter than was announced.
    #[must_use]
    pub fn end_body(&mut self) -> bool {
        match mem::replace(&mut self.request, Rest::Nothing) {
            Rest::Sized(left) => left == 0,
            Rest::Chunked => {
                self.relay.handle_bytes(b"0\r\n\r\n");
                true
            }
            Rest::Nothing => true,
        }
    }

    /// Returns whether the whole body of the request was taken.
    pub fn has_body(&self) -> bool {
        self.request == Rest::Nothing
    }

    /// Passes on what it can, and returns the response once there is one.
    ///
    /// A server that is not `running` waits for the rest of a response alone.
    ///
    /// # Errors
    ///
    /// How to refuse the request.
    pub fn poll_response<H: Host<Request = F>>(
        &mut self,
        now: Time,
        running: bool,
        host: &mut H,
    ) -> Result<Option<RelayedResponse>, Reject> {
        if self.relay.next(running) == Next::Linger {
            return Err(Reject::Unavailable);
        }
        self.drive(now, host)?;
        let Heads::Kept(kept) = &mut self.relay.heads else { return Ok(None) };
        let Some(head) = kept.take() else { return Ok(None) };
        let is_extended = self.key.is_some();
        if head.status() != 101 {
            let body = Pieces::of(&head);
            self.response =
                Some(body.ok_or_else(|| self.fail(host, HandOverFault::InvalidResponse))?);
        } else if self.key.as_ref().is_some_and(|key| !key.is_accepted(&head)) {
            return Err(self.fail(host, HandOverFault::InvalidResponse).into());
        }
        Ok(Some(RelayedResponse { head, is_extended }))
    }

    /// Returns the length of the rest of the response's body, if it is known.
    pub fn body_length(&self) -> Option<u64> {
        self.response.as_ref().map_or(Some(0), Pieces::left)
    }

    /// Returns the next piece of the body of the response, or `None` at its end.
    ///
    /// # Errors
    ///
    /// The response is cut.
    pub fn poll_body<H: Host<Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
    ) -> Result<Poll<Option<Bytes>>, HandOverFault> {
        let mut is_driven = false;
        loop {
            let Some(body) = &mut self.response else { return Ok(Poll::Ready(None)) };
            while self.came.has_remaining() && !body.is_complete() {
                let chunk = self.came.chunk();
                let piece = body.receive(chunk, host.http().max_head);
                let length = chunk.len();
                self.came.advance(length);
                let Ok(piece) = piece else {
                    return Err(self.fail(host, HandOverFault::InvalidResponse));
                };
                if !piece.is_empty() {
                    return Ok(Poll::Ready(Some(piece)));
                }
            }
            if body.is_complete() {
                self.response = None;
                continue;
            }
            if self.relay.node_ended {
                let is_late = self.relay.is_late;
                let is_whole = self.response.take().is_some_and(Pieces::end) && !is_late;
                return match is_late {
                    _ if is_whole => Ok(Poll::Ready(None)),
                    true => Err(self.fail(host, HandOverFault::Timeout)),
                    false => Err(self.fail(host, HandOverFault::NoResponse)),
                };
            }
            if is_driven {
                return Ok(Poll::Pending);
            }
            self.drive(now, host)?;
            is_driven = true;
        }
    }

    /// Returns when nothing has moved for too long. One of the polls is due then.
    pub fn deadline(&self) -> Option<Time> {
        self.relay.deadline()
    }

    /// Goes on behind an upgrade, with the connection that the other HTTP server hands over.
    pub fn into_connection<S, Q>(self, now: Time, config: Arc<Config>) -> Connection<S, Q, F> {
        Connection::relayed(now, config, self.relay, self.came)
    }

    /// Tells of a fault of the owner that shows in its response alone.
    fn fail<H: Host<Request = F>>(&self, host: &mut H, fault: HandOverFault) -> HandOverFault {
        host.hand_over_failed(&self.relay.node, fault);
        fault
    }

    fn drive<H: Host<Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
    ) -> Result<(), HandOverFault> {
        let due = self.relay.deadline().filter(|&due| due <= now);
        if let Some(until) = due.and_then(|due| self.grace.extend(due, now)) {
            self.relay.extend_deadline(until);
        }
        self.relay.drive(now, host, &mut self.came)
    }
}

impl RelayedResponse {
    /// Returns whether protocols are switched, with which an extended CONNECT succeeds.
    pub const fn is_upgrade(&self) -> bool {
        self.head.status() == 101
    }

    /// Returns the status of the response to the client.
    ///
    /// An extended CONNECT has 200 in the place of 101 (RFC 8441 section 5).
    pub const fn status(&self) -> u16 {
        if self.is_upgrade() && self.is_extended { 200 } else { self.head.status() }
    }

    /// Returns the fields for the client.
    ///
    /// They are without those that frame the body, and those about the connection to the node.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let is_of_key = |name: &str| name.eq_ignore_ascii_case("sec-websocket-accept");
        end_to_end(&self.head).filter(move |(name, _)| !self.is_extended || !is_of_key(name))
    }
}

/// Shows no bytes, which may hold a session id.
impl<F> fmt::Debug for RelayedExchange<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayedExchange")
            .field("request", &self.request)
            .field("response", &self.response.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RelayedResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayedResponse")
            .field("head", &self.head)
            .field("is_extended", &self.is_extended)
            .finish()
    }
}

#[cfg(test)]
mod tests;
