//! A timer whose deadline moves.

use std::{
    fmt,
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
};

use enginewire::Time;

use crate::runtime::Runtime;

/// Timer of a runtime whose deadline may be another at each poll.
///
/// A later deadline costs nothing until the earlier one has passed: the timer is set again then, and not before.
pub struct Sleep<R: Runtime>(Option<(Time, Pin<Box<R::Sleep>>)>);

impl<R: Runtime> Sleep<R> {
    /// Completes at `deadline`, or before it.
    ///
    /// So look at the clock, and poll again. Cancel safe.
    pub fn poll(&mut self, runtime: &R, deadline: Time, cx: &mut Context<'_>) -> Poll<()> {
        let (_, sleep) = match &mut self.0 {
            Some(current) if current.0 <= deadline => current,
            other => other.insert((deadline, Box::pin(runtime.sleep_until(deadline)))),
        };
        // Woken early, a runtime's timer may be pending although its time has come.
        ready!(sleep.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(())
    }
}

impl<R: Runtime> Default for Sleep<R> {
    fn default() -> Self {
        Self(None)
    }
}

impl<R: Runtime> fmt::Debug for Sleep<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sleep").field(&self.0.as_ref().map(|(deadline, _)| deadline)).finish()
    }
}
