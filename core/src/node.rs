//! Names of the nodes of a cluster, which session ids begin with.

use core::{fmt, str::FromStr};

/// Short name of one server among several that serve the same clients.
///
/// The ids of its sessions begin with it, so that every node knows the owner of a session from its id alone. Up to
/// three letters, digits and underscores, in either case; made of a number with `From`. See
/// [`ServerConfig::node`](crate::ServerConfig::node).
///
/// ```
/// use enginewire::NodeName;
///
/// let name: NodeName = "a1".parse()?;
/// assert_eq!((name.as_str(), NodeName::from(12).as_str()), ("a1", "12"));
/// assert!("four".parse::<NodeName>().is_err());
/// # Ok::<(), enginewire::InvalidNodeName>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName([u8; NodeName::LEN]);

/// Error of a name that no node can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a node is one to three letters, digits or underscores")]
pub struct InvalidNodeName;

impl NodeName {
    /// Bytes of a session id that are the name. Shorter names are padded, so that none is the beginning of another.
    pub(crate) const LEN: usize = 3;

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().take_while(|&&byte| byte != PAD).count();
        // All constructors let only ASCII in.
        core::str::from_utf8(&self.0[..len]).unwrap_or_default()
    }

    /// Returns the bytes that a session id begins with.
    pub(crate) const fn padded(self) -> [u8; Self::LEN] {
        self.0
    }

    /// Reads the beginning of a session id. `None` if no node can have it as its name.
    pub(crate) fn from_padded(bytes: [u8; Self::LEN]) -> Option<Self> {
        let len = bytes.iter().take_while(|&&byte| byte != PAD).count();
        let (name, padding) = bytes.split_at(len);
        let is_name = !name.is_empty() && name.iter().all(|&byte| is_allowed(byte));
        (is_name && padding.iter().all(|&byte| byte == PAD)).then_some(Self(bytes))
    }
}

/// Parses a name.
///
/// # Errors
///
/// [`InvalidNodeName`].
impl FromStr for NodeName {
    type Err = InvalidNodeName;

    fn from_str(text: &str) -> Result<Self, InvalidNodeName> {
        let name = text.as_bytes();
        if name.is_empty() || name.len() > Self::LEN || !name.iter().all(|&byte| is_allowed(byte)) {
            return Err(InvalidNodeName);
        }
        let mut bytes = [PAD; Self::LEN];
        bytes[..name.len()].copy_from_slice(name);
        Ok(Self(bytes))
    }
}

/// Names a node by a number, such as its ordinal in a Kubernetes StatefulSet.
impl From<u8> for NodeName {
    fn from(number: u8) -> Self {
        let digit = |value: u8| b'0' + value % 10;
        let (hundreds, tens, ones) = (digit(number / 100), digit(number / 10), digit(number));
        Self(match number {
            100.. => [hundreds, tens, ones],
            10.. => [tens, ones, PAD],
            _ => [ones, PAD, PAD],
        })
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NodeName").field(&self.as_str()).finish()
    }
}

const fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A character of session ids that is in no name.
const PAD: u8 = b'-';

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use super::*;

    #[test]
    fn names_of_one_to_three_characters_are_read_back_from_the_padded_form() {
        for text in ["a", "Z9", "_b7", "000"] {
            let name: NodeName = text.parse().unwrap();
            assert_eq!(name.as_str(), text);
            assert_eq!(NodeName::from_padded(name.padded()), Some(name));
        }
        for text in ["", "abcd", "a-", "-", "a b", "ä", "a=", "\0"] {
            assert_eq!(text.parse::<NodeName>(), Err(InvalidNodeName), "{text:?}");
        }
    }

    #[test]
    fn padded_form_of_no_name_is_none() {
        for bytes in [b"---", b"-a-", b"a-b", b"--a", b"a=-", b"a\0-"] {
            assert_eq!(NodeName::from_padded(*bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn numbers_are_written_without_leading_zeros() {
        for number in 0..=u8::MAX {
            let name = NodeName::from(number);
            assert_eq!(name.as_str(), number.to_string());
            assert_eq!(name.as_str().parse(), Ok(name));
        }
    }

    #[test]
    fn debug_and_display_show_the_name() {
        let name = NodeName::from(7);
        assert_eq!(format!("{name:?} {name:>2}"), "NodeName(\"7\")  7");
    }
}
