//! Restoration of a socket on any node of a cluster whose nodes share a log.

use alloc::string::ToString;

use enginewire::Time;

use super::LOG_TIMEOUT;
use crate::adapter::{Claim, EntryId, Recovery, SocketState};

/// Restoration of a socket on any node of a cluster, step by step.
///
/// The state of a socket that broke is with the bus, and each node has a copy of the latest entries of the log. A client
/// that comes back waits until both are there: the copy from the entry that it received last, and the state, which only
/// one node gets.
///
/// The owner of a [shared](Recovery::shared) recovery asks for the [`next`](Self::next) step until there is none, and
/// tells the outcome of each. Neither clients that are refused lose their state, nor is one restored twice.
#[derive(Clone, Debug)]
pub struct Restoration {
    claim: Claim,
    stage: Stage,
    /// This restoration has read the log for the present stage.
    has_read: bool,
    /// Until when it waits for others that read the log.
    deadline: Time,
}

/// Next step of a [`Restoration`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestorationStep {
    /// Read these entries of the log, and add them with [`Recovery::log_before`].
    ///
    /// A namespace makes one read at a time. A client for which another read is made asks for the next step when that
    /// has ended. [`Restoration::handle_read`] tells the end of its own.
    Read(EntryId, Option<EntryId>),
    /// Take the state of the socket from the bus. [`Restoration::handle_state`] tells whether there is one.
    Take,
    /// [Restore](Recovery::restore) the socket: it is this node's, or its state was taken.
    ///
    /// In the second case [`Recovery::adopt`] comes before that.
    Restore,
    /// Let the client have a new socket.
    Refuse,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The copy is to reach back to the offset of the client.
    Offset,
    Take,
    /// The copy is to reach back to this entry, which the node of the socket knows to be received.
    Received(EntryId),
    End(RestorationStep),
}

impl Restoration {
    /// Begins to restore the socket that a client claims.
    pub fn new(now: Time, claim: Claim) -> Self {
        Self { claim, stage: Stage::Offset, has_read: false, deadline: now + LOG_TIMEOUT }
    }

    /// Returns the claim of the client.
    pub const fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Returns the next step. The same is returned until its outcome is told.
    pub fn next<D, E: Clone>(&mut self, now: Time, recovery: &Recovery<D, E>) -> RestorationStep {
        match self.stage {
            Stage::Offset => {
                // Before the state is taken: a client that is refused has not lost it.
                let has_offset = match &self.claim.offset {
                    Some(offset) => match self.reach(now, offset, recovery) {
                        Ok(is_reached) => is_reached,
                        Err(step) => return step,
                    },
                    None => true,
                };
                let pid = &self.claim.pid;
                if recovery.living(pid).is_some() || recovery.is_own(pid) {
                    self.end(RestorationStep::Restore)
                } else if has_offset {
                    self.stage = Stage::Take;
                    RestorationStep::Take
                } else {
                    self.end(RestorationStep::Refuse)
                }
            }
            Stage::Take => RestorationStep::Take,
            Stage::Received(entry) => match self.reach(now, &entry.to_string(), recovery) {
                // If it is not reached, restoring says so.
                Ok(_) => self.end(RestorationStep::Restore),
                Err(step) => step,
            },
            Stage::End(step) => step,
        }
    }

    /// Handles the end of a read for this client, whatever it has brought.
    pub const fn handle_read(&mut self) {
        self.has_read = true;
    }

    /// Handles that the bus cannot be asked for the present step.
    pub fn handle_failure(&mut self, now: Time) {
        match self.stage {
            Stage::Take => self.handle_state::<()>(now, None),
            _ => self.handle_read(),
        }
    }

    /// Handles the state of the socket. `None`: there is none, or the bus does not respond.
    pub fn handle_state<D>(&mut self, now: Time, state: Option<&SocketState<D>>) {
        self.stage = match (state, &self.claim.offset) {
            (None, _) => Stage::End(RestorationStep::Refuse),
            (Some(SocketState { received: Some(entry), .. }), None) => {
                (self.has_read, self.deadline) = (false, now + LOG_TIMEOUT);
                Stage::Received(*entry)
            }
            (Some(_), _) => Stage::End(RestorationStep::Restore),
        };
    }

    /// Returns whether the copy reaches back to an offset, or the step that makes it do so.
    fn reach<D, E: Clone>(
        &self,
        now: Time,
        offset: &str,
        recovery: &Recovery<D, E>,
    ) -> Result<bool, RestorationStep> {
        if recovery.has_offset(offset) {
            return Ok(true);
        }
        match offset.parse::<EntryId>() {
            Ok(from) if !self.has_read && now < self.deadline => {
                // One behind the first entry has not come yet, or is none of this namespace.
                let until = recovery.first_entry().filter(|first| from < *first);
                Err(RestorationStep::Read(from, until))
            }
            _ => Ok(false),
        }
    }

    const fn end(&mut self, step: RestorationStep) -> RestorationStep {
        self.stage = Stage::End(step);
        step
    }
}
