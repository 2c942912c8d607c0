//! Whether two states are the same, for programs that walk through all of them.

use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use crate::time::Time;

/// Takes the fingerprint of sessions and of what is around them: two states with the same one have the
/// same future, unless the hasher has met a collision.
///
/// Times count relative to the present, and the names of exchanges and WebSockets by the order in
/// which they come up first: all that is ever asked of two names is whether they are equal. A state that
/// is only older than another, or further along in a run of polls, is the same state. A client's
/// [timestamps](crate::ClientConfig::timestamp_requests) never repeat: without them there are fewer
/// states.
///
/// ```
/// use std::{hash::DefaultHasher, sync::Arc, time::Duration};
///
/// use enginewire::{ClientConfig, ClientSession, Fingerprint, Time, Url};
///
/// let config = Arc::new(ClientConfig::new(&Url::parse("http://localhost:3000")?));
/// let fingerprint_after = |start: Time, wait: Duration| {
///     let mut entropy = |buffer: &mut [u8]| buffer.fill(7);
///     let session = ClientSession::new(start, Arc::clone(&config), false, &mut entropy);
///     let mut fingerprint = Fingerprint::new(DefaultHasher::new());
///     session.fingerprint(start + wait, &mut fingerprint);
///     fingerprint.finish()
/// };
/// let second = Duration::from_secs(1);
/// let young = fingerprint_after(Time::ZERO, second);
/// assert_eq!(young, fingerprint_after(Time::from_millis(500), second));
/// assert_ne!(young, fingerprint_after(Time::ZERO, 2 * second));
/// # Ok::<(), enginewire::InvalidUrl>(())
/// ```
#[derive(Clone, Debug)]
pub struct Fingerprint<H> {
    hasher: H,
    /// In the order in which they came up.
    names: Vec<u64>,
}

impl<H: Hasher> Fingerprint<H> {
    /// Of nothing yet.
    pub const fn new(hasher: H) -> Self {
        Self { hasher, names: Vec::new() }
    }

    /// Adds something that is neither a time nor a name.
    pub fn push(&mut self, value: &impl Hash) {
        value.hash(&mut self.hasher);
    }

    /// Adds a deadline, if there is one. [`Time::MAX`] never comes, whatever the time is.
    pub fn push_time(&mut self, now: Time, time: Option<Time>) {
        // One that has passed is as many nanoseconds before the present, modulo 2^64.
        let distance = |time: Time| time.as_nanos().wrapping_sub(now.as_nanos());
        self.push(&time.map(|time| (time != Time::MAX).then(|| distance(time))));
    }

    /// Adds the name of an exchange or a WebSocket, if there is one.
    pub fn push_name(&mut self, name: Option<u64>) {
        let place = name.map(|name| {
            let known = self.names.iter().position(|&known| known == name);
            known.unwrap_or_else(|| {
                self.names.push(name);
                self.names.len() - 1
            })
        });
        self.push(&place);
    }

    /// The fingerprint of all that was added.
    pub fn finish(&self) -> u64 {
        self.hasher.finish()
    }
}
