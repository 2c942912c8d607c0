//! One request and its answer.

use super::{
    body::{Body, Progress},
    config::Config,
    event::Event,
    fault::Fault,
    framing::BodyLength,
    head::RequestHead,
};

/// How much of a body that nobody wanted is skipped to save the connection. More than that costs
/// more than a new connection.
pub(super) const MAX_DRAIN: u64 = 65_536;

/// The part of a request that matters until it has been answered.
pub(super) struct Exchange {
    pub(super) is_head: bool,
    pub(super) http_1_0: bool,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
    pub(super) body: Incoming,
}

/// The body of the current request.
pub(super) enum Incoming {
    /// It has not been asked for.
    Waiting(BodyLength),
    Receiving(Body),
    /// It announces too much, which the caller is about to be told.
    TooLarge,
    /// It will not be read any further.
    Abandoned,
    Complete,
}

impl Exchange {
    pub(super) fn new(head: &RequestHead) -> Self {
        Self {
            is_head: head.method() == "HEAD",
            http_1_0: head.is_http_1_0(),
            keep_alive: head.keep_alive(),
            expects_continue: head.expects_continue(),
            body: Incoming::Waiting(head.body_length()),
        }
    }

    /// How much of the body has to be skipped before the next request starts; `None` if that is
    /// unknown or too much.
    pub(super) fn left(&self) -> Option<u64> {
        match &self.body {
            Incoming::Complete => Some(0),
            // A client that still waits for 100 may send its body now, or may not.
            Incoming::Waiting(BodyLength::Sized(left)) if *left == 0 || !self.expects_continue => {
                Some(*left)
            }
            Incoming::Receiving(body) => body.left(),
            Incoming::Waiting(_) | Incoming::TooLarge | Incoming::Abandoned => None,
        }
        .filter(|&left| left <= MAX_DRAIN)
    }

    /// Takes bytes of the body that was asked for: how many were used, and what came of it.
    pub(super) fn receive(
        &mut self,
        bytes: &[u8],
        config: &Config,
    ) -> Result<(usize, Option<Event>), Fault> {
        let max = config.max_body;
        let progress = match &mut self.body {
            Incoming::Receiving(body) => body.receive(bytes, max, config.head_limit())?,
            _ => Progress::TooLarge,
        };
        Ok(match progress {
            Progress::More => (bytes.len(), None),
            Progress::Done { body, used } => {
                self.body = Incoming::Complete;
                (used, Some(Event::Body(body)))
            }
            Progress::TooLarge => {
                self.body = Incoming::Abandoned;
                (bytes.len(), Some(Event::BodyTooLarge { max }))
            }
        })
    }
}
