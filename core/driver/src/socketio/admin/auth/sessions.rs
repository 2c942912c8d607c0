//! Ids of sessions of pages, with which they come back without a password.

use std::{
    collections::{HashMap, VecDeque},
    fmt::Write as _,
    time::{Duration, Instant},
};

/// Sessions of pages, bounded and in the order in which they expire.
#[derive(Default)]
pub(super) struct Sessions {
    /// When each expires.
    ids: HashMap<String, Instant>,
    /// They live equally long, so the first is the next to expire.
    order: VecDeque<String>,
}

impl Sessions {
    /// Opens a session, and returns its id. The oldest goes if there are too many.
    pub(super) fn open(&mut self, now: Instant, fill: &mut impl FnMut(&mut [u8])) -> String {
        self.expire(now);
        if self.order.len() >= MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        let mut bytes = [0; 16];
        fill(&mut bytes);
        let id = bytes.iter().fold(String::with_capacity(32), |mut id, byte| {
            // A string takes whatever is written.
            let _ = write!(id, "{byte:02x}");
            id
        });
        self.ids.insert(id.clone(), now + LIFETIME);
        self.order.push_back(id.clone());
        id
    }

    /// Returns whether a session is open.
    pub(super) fn contains(&mut self, now: Instant, id: &str) -> bool {
        self.expire(now);
        self.ids.contains_key(id)
    }

    fn expire(&mut self, now: Instant) {
        while let Some(oldest) = self.order.front()
            && self.ids.get(oldest).is_none_or(|&expires| expires <= now)
        {
            self.ids.remove(oldest);
            self.order.pop_front();
        }
    }
}

/// Lifetime of a session, as long as the reference keeps them in Redis.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Limit on the sessions: more pages than operators have.
const MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills with a number that grows.
    fn counting() -> impl FnMut(&mut [u8]) {
        let mut next = 0_u64;
        move |bytes| {
            next += 1;
            bytes[..8].copy_from_slice(&next.to_be_bytes());
        }
    }

    #[test]
    fn session_is_open_until_it_expires() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let id = sessions.open(now, &mut counting());
        assert_eq!(id, "00000000000000010000000000000000");
        assert!(sessions.contains(now + LIFETIME - Duration::from_nanos(1), &id));
        assert!(!sessions.contains(now, "00000000000000020000000000000000"));
        assert!(!sessions.contains(now + LIFETIME, &id));
        assert!(sessions.order.is_empty() && sessions.ids.is_empty());
    }

    #[test]
    fn too_many_sessions_close_the_oldest() {
        let (mut sessions, mut fill, now) = (Sessions::default(), counting(), Instant::now());
        let ids: Vec<_> = (0..=MAX).map(|_| sessions.open(now, &mut fill)).collect();
        assert!(!sessions.contains(now, &ids[0]));
        assert!(ids[1..].iter().all(|id| sessions.contains(now, id)));
        assert_eq!((sessions.ids.len(), sessions.order.len()), (MAX, MAX));
    }
}
