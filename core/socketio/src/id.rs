//! Ids of sockets, names of rooms, and the secret ids of recovery.

use alloc::{string::String, sync::Arc};
use core::{borrow::Borrow, fmt, hash, ops::Deref};

use enginewire::{Entropy, Sid};

/// Text that is compared by its characters, and may be a secret.
#[derive(Clone)]
struct Name {
    text: Arc<str>,
    secret: bool,
}

/// Id of a socket: of one client in one namespace.
///
/// It is also the name of a room, of which the socket is always the only permanent member. Cloning is cheap.
///
/// Clients of Socket.IO 3 and later get [`random`](Self::random) ids, which are public: applications show them to
/// other clients. Those of Socket.IO 2 have the id of their Engine.IO session, which is a secret. Other nodes do not
/// tell which clients these are, so `Debug` redacts all ids of theirs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(Name);

/// Name of a room: text that the application chooses, or the id of a socket.
///
/// Cloning is cheap. `Debug` redacts the id of a client of Socket.IO 2, and all names that come from other nodes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Room(Name);

/// Secret id under which a client recovers its socket, `pid` in the protocol.
///
/// It has 120 random bits. `Debug` redacts it, because a client that knows it gets the socket's missed events.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PrivateId(Sid);

impl SocketId {
    /// Draws a fresh id of 120 random bits, 20 characters of the URL-safe base64 alphabet.
    pub fn random(entropy: &mut dyn Entropy) -> Self {
        Self::from(Sid::random(entropy).as_str())
    }

    /// Returns the id of a client of Socket.IO 2, made of its Engine.IO session.
    ///
    /// It is the session id in the namespace `/`, and `/chat#` with the session id in `/chat`. `Debug` redacts it.
    pub fn from_engine(namespace: &str, sid: &Sid) -> Self {
        let text = match namespace {
            "" | "/" => Arc::from(sid.as_str()),
            _ => [namespace, "#", sid.as_str()].concat().into(),
        };
        Self(Name { text, secret: true })
    }

    /// Returns the name of the socket's own room.
    pub fn to_room(&self) -> Room {
        Room(self.0.clone())
    }
}

impl PrivateId {
    /// Draws a fresh id.
    pub fn random(entropy: &mut dyn Entropy) -> Self {
        Self(Sid::random(entropy))
    }

    /// Reads an id out of a request to connect. Returns `None` if no client can have it.
    pub fn parse(text: &str) -> Option<Self> {
        Sid::parse(text).map(Self)
    }

    /// Returns the id as it stands on the wire.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for PrivateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateId(..)")
    }
}

impl From<SocketId> for Room {
    fn from(id: SocketId) -> Self {
        Self(id.0)
    }
}

impl From<&SocketId> for Room {
    fn from(id: &SocketId) -> Self {
        id.to_room()
    }
}

impl From<&Room> for Room {
    fn from(room: &Room) -> Self {
        room.clone()
    }
}

/// Methods that both kinds of text have in common.
macro_rules! text {
    ($name:ident) => {
        impl $name {
            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0.text
            }

            /// Takes a text of another node, which does not tell whether it is a secret.
            pub(crate) fn of_another_node(text: String) -> Self {
                Self(Name { text: text.into(), secret: true })
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Name { text: text.into(), secret: false })
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(Name { text: text.into(), secret: false })
            }
        }

        impl From<Arc<str>> for $name {
            fn from(text: Arc<str>) -> Self {
                Self(Name { text, secret: false })
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                self.as_str()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                if self.0.secret {
                    return f.write_str(concat!(stringify!($name), "(..)"));
                }
                f.debug_tuple(stringify!($name)).field(&self.as_str()).finish()
            }
        }
    };
}

text!(SocketId);
text!(Room);

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

/// As of `str`, which `Borrow` demands.
impl hash::Hash for Name {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use super::*;

    fn sid() -> Sid {
        Sid::parse("abcdefghijklmnopqrst").unwrap()
    }

    #[test]
    fn random_id_is_public_text_of_twenty_characters() {
        let mut entropy = |buffer: &mut [u8]| buffer.fill(0xff);
        let id = SocketId::random(&mut entropy);
        assert_eq!(id, "____________________");
        assert_eq!(format!("{id} {id:?}"), format!("{0} SocketId(\"{0}\")", "_".repeat(20)));
    }

    #[test]
    fn id_of_an_engine_session_names_the_namespace_unless_it_is_the_main_one() {
        assert_eq!(SocketId::from_engine("/", &sid()), "abcdefghijklmnopqrst");
        assert_eq!(SocketId::from_engine("/chat", &sid()), "/chat#abcdefghijklmnopqrst");
    }

    #[test]
    fn debug_redacts_an_engine_session_also_as_a_room() {
        let id = SocketId::from_engine("/chat", &sid());
        assert_eq!(format!("{id:?} {:?}", id.to_room()), "SocketId(..) Room(..)");
        assert_eq!(id.to_string(), "/chat#abcdefghijklmnopqrst");
        assert_eq!(id, SocketId::from(id.as_str()), "equal by its text only");
    }

    #[test]
    fn private_id_is_parsed_and_redacted() {
        let id = PrivateId::parse("abcdefghijklmnopqrst").unwrap();
        assert_eq!(
            (id.as_str(), format!("{id:?}").as_str()),
            ("abcdefghijklmnopqrst", "PrivateId(..)")
        );
        assert_eq!(PrivateId::parse("abc"), None);
    }
}
