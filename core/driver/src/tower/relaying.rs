//! A request for a session of another node, on its way there and back.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Buf as _, Bytes};
use enginewire::{
    HandOverFault, Reject, Time,
    carrier::{self, HandOver, RelayedExchange, RelayedResponse},
};
use http_body::Body as HttpBody;

use crate::{
    cell::SessionCell,
    host::{Asked, Forwarded, ServerHost},
    lifecycle::Phase,
    peer::Peer,
    presence::Waiting,
    runtime::fill_random,
    scratch::Scratch,
    shared::Shared,
};

/// A request that is relayed. Ends at the node, too, when dropped.
pub(super) struct Relaying {
    shared: Arc<Shared>,
    peer: Peer,
    relay: RelayedExchange<Forwarded>,
    waiting: Waiting,
}

/// Reason why there is no response of the node.
pub(super) enum Failure {
    /// The response of this node in its place.
    Refused(Reject),
    /// The client is lost, or has sent another body than it has announced.
    Lost,
}

impl Relaying {
    /// Begins to hand a request over, whose body has `length` bytes if that is known.
    pub(super) fn begin(
        now: Time,
        shared: &Arc<Shared>,
        peer: &Peer,
        host: &mut ServerHost<'_, '_, '_>,
        request: HandOver,
        length: Option<u64>,
    ) -> Result<Self, Reject> {
        let relay = RelayedExchange::begin(now, host, request, length, &mut fill_random)?;
        let waiting = Waiting::new(Arc::clone(shared));
        Ok(Self { shared: Arc::clone(shared), peer: peer.clone(), relay, waiting })
    }

    /// Passes the body of the request on, until there is a response.
    pub(super) fn poll_response<B: HttpBody>(
        &mut self,
        mut body: Pin<&mut B>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<RelayedResponse, Failure>> {
        let now = self.begin_poll();
        for _ in 0..ROUNDS {
            let is_throttled = match self.take_body(body.as_mut(), cx) {
                Some(is_throttled) => is_throttled,
                None => return Poll::Ready(Err(Failure::Lost)),
            };
            let running = self.shared.sessions.lifecycle.is_serving();
            let response =
                self.with_host(cx, |relay, host| relay.poll_response(now, running, host));
            match response {
                Ok(Some(response)) => return Poll::Ready(Ok(response)),
                Ok(None) if is_throttled && self.relay.wants_body() => {}
                Ok(None) => {
                    self.wait(cx);
                    return Poll::Pending;
                }
                Err(reject) => return Poll::Ready(Err(Failure::Refused(reject))),
            }
        }
        self.wait(cx);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Returns the next piece of the body of the response.
    pub(super) fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, HandOverFault>>> {
        let now = self.begin_poll();
        if self.shared.sessions.lifecycle.phase() == Phase::Aborting {
            return Poll::Ready(Some(Err(HandOverFault::NoResponse)));
        }
        match self.with_host(cx, |relay, host| relay.poll_body(now, host)) {
            Ok(Poll::Ready(piece)) => Poll::Ready(piece.map(Ok)),
            Ok(Poll::Pending) => {
                self.wait(cx);
                Poll::Pending
            }
            Err(fault) => Poll::Ready(Some(Err(fault))),
        }
    }

    /// Goes on as the body of a response, which nobody polls while the client does not read.
    pub(super) fn begin_body(&mut self) {
        self.waiting.count_as_handler();
    }

    /// Returns how much of the body of the response is still to come, if that is known.
    pub(super) fn body_length(&self) -> Option<u64> {
        self.relay.body_length()
    }

    /// Returns whether the whole body of the request was taken.
    pub(super) fn has_body(&self) -> bool {
        self.relay.has_body()
    }

    /// Goes on behind an upgrade.
    pub(super) fn into_connection(self) -> carrier::Connection<Arc<SessionCell>, Asked, Forwarded> {
        let Self { shared, relay, .. } = self;
        relay.into_connection(shared.sessions.clock.now(), Arc::clone(&shared.http))
    }

    /// Takes what there is room for of the body of the request. Returns whether it was left for want of room, and `None`
    /// if the client is lost.
    fn take_body<B: HttpBody>(
        &mut self,
        mut body: Pin<&mut B>,
        cx: &mut Context<'_>,
    ) -> Option<bool> {
        while self.relay.wants_body() {
            let frame = match body.as_mut().poll_frame(cx) {
                Poll::Pending => return Some(false),
                Poll::Ready(None) => return self.relay.end_body().then_some(false),
                Poll::Ready(Some(frame)) => frame.ok()?,
            };
            // Trailers mean nothing here.
            let Ok(mut data) = frame.into_data() else { continue };
            if !self.relay.handle_body(&data.copy_to_bytes(data.remaining())) {
                return None;
            }
        }
        Some(true)
    }

    fn begin_poll(&mut self) -> Time {
        let now = self.shared.sessions.clock.now();
        self.waiting.expire(now);
        now
    }

    /// Has the task woken by phases of the server and the deadline of the relay.
    fn wait(&mut self, cx: &Context<'_>) {
        self.waiting.wait(self.relay.deadline(), cx);
    }

    fn with_host<T>(
        &mut self,
        cx: &mut Context<'_>,
        work: impl FnOnce(&mut RelayedExchange<Forwarded>, &mut ServerHost<'_, '_, '_>) -> T,
    ) -> T {
        let Self { shared, peer, relay, .. } = self;
        Scratch::with(|Scratch { supplies, .. }| {
            work(relay, &mut ServerHost::new(shared, peer, cx, supplies, None))
        })
    }
}

/// Turns until other tasks have theirs. Each passes as much on as a socket takes at once.
const ROUNDS: usize = 32;
