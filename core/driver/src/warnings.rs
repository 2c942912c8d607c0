//! Warnings that come again and again while an operator does nothing about them.

use std::{sync::Mutex, time::Duration};

use enginewire::Time;

use crate::sync::lock;

/// The warnings of a server, each told by a line now and then.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    /// No more connections are accepted for now.
    pub(crate) connections: Warning,
    /// No more connections are accepted until TLS handshakes have ended.
    #[cfg(feature = "tls-no-provider")]
    pub(crate) handshakes: Warning,
    /// A handshake was refused.
    pub(crate) sessions: Warning,
    /// The system has failed to accept a connection.
    pub(crate) accept: Warning,
    /// Another node has not responded to a request that was handed over to it.
    pub(crate) nodes: Warning,
}

/// A warning of which one line tells for all in [`INTERVAL`].
#[derive(Debug, Default)]
pub(crate) struct Warning(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The time of the last line.
    told: Option<Time>,
    /// Warnings since then.
    count: u64,
}

impl Warning {
    /// Counts one at `now`. Returns how many there are to be told of, if a line is due.
    pub(crate) fn count(&self, now: Time) -> Option<u64> {
        let mut state = lock(&self.0);
        state.count += 1;
        if state.told.is_some_and(|told| now < told + INTERVAL) {
            return None;
        }
        state.told = Some(now);
        Some(std::mem::take(&mut state.count))
    }
}

/// Time between two lines of one warning. A server that is flooded writes six a minute, which shows that it goes on.
const INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_is_told_at_once_and_others_together_after_the_interval() {
        let warning = Warning::default();
        assert_eq!(warning.count(Time::ZERO), Some(1));
        for second in 1..10 {
            assert_eq!(warning.count(Time::from_millis(second * 1000)), None);
        }
        assert_eq!(warning.count(Time::ZERO + INTERVAL), Some(10));
        assert_eq!(warning.count(Time::ZERO + INTERVAL), None);
        assert_eq!(warning.count(Time::ZERO + 10 * INTERVAL), Some(2));
    }
}
