//! Namespaces that a client has left on its session, of which packets may still come.

use alloc::vec::Vec;

use enginewire::Text;

/// Namespaces of which what comes may be for the socket before, up to the next response of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Left {
    names: Vec<Text>,
    /// There have been too many: each may be among them.
    is_full: bool,
}

impl Left {
    pub(super) fn insert(&mut self, name: Text) {
        if self.names.contains(&name) {
            return;
        }
        if self.names.len() < MAX_NAMES {
            self.names.push(name);
        } else {
            self.is_full = true;
        }
    }

    /// The server has responded to the request behind it.
    pub(super) fn remove(&mut self, name: &str) {
        self.names.retain(|left| left != name);
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.is_full || self.names.iter().any(|left| left == name)
    }
}

/// Names that are kept. A client that leaves more of them mistakes other packets for late ones at most.
const MAX_NAMES: usize = 256;

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn name_is_kept_until_the_server_has_responded() {
        let mut left = Left::default();
        for _ in 0..2 {
            left.insert("/a".into());
            assert!(left.contains("/a") && !left.contains("/b"));
        }
        left.remove("/a");
        assert_eq!(left, Left::default());
    }

    #[test]
    fn names_are_bounded_and_none_is_forgotten() {
        let mut left = Left::default();
        let name = |number| Text::from(format!("/{number}"));
        (0..2 * MAX_NAMES).for_each(|number| left.insert(name(number)));
        assert_eq!(left.names.len(), MAX_NAMES);
        assert!((0..2 * MAX_NAMES).all(|number| left.contains(&name(number))));
    }
}
