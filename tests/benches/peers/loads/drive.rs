//! The event loop of the loads that keep many sockets busy at once.

use std::io;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::Result;

pub(crate) struct Drive {
    poll: Poll,
    events: Events,
    silence: Duration,
}

impl Drive {
    /// `silence` without any event ends the run as failed.
    pub(crate) fn new(silence: Duration) -> Result<Self> {
        Ok(Self { poll: Poll::new()?, events: Events::with_capacity(256), silence })
    }

    pub(crate) fn add(&self, stream: &mut TcpStream, name: usize) -> Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        Ok(self.poll.registry().register(stream, Token(name), interest)?)
    }

    /// Calls `ready` with the name of each socket on which something has happened since it was last
    /// used up, until the numbers that `ready` returns, of answers that are complete, add up to
    /// `answers`.
    pub(crate) fn until(
        &mut self,
        answers: usize,
        mut ready: impl FnMut(usize) -> Result<usize>,
    ) -> Result<()> {
        let mut missing = answers;
        while missing > 0 {
            match self.poll.poll(&mut self.events, Some(self.silence)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                done => done?,
            }
            if self.events.is_empty() {
                let silence = self.silence;
                return Err(format!(
                    "{missing} of {answers} answers missing after {silence:?} of silence"
                )
                .into());
            }
            for event in &self.events {
                let complete = ready(event.token().0)?;
                missing = missing.checked_sub(complete).ok_or("more answers than messages")?;
            }
        }
        Ok(())
    }
}
