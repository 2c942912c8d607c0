//! RESP3, the protocol of Redis: commands to bytes, bytes to values.
//!
//! Without I/O. The decoder keeps what is incomplete, looks at each byte once, and holds no more than its limit.

mod decoder;
mod encoder;
#[cfg(test)]
mod tests;

use std::fmt;

use bytes::Bytes;

pub(crate) use self::{
    decoder::{Decoder, MalformedReply},
    encoder::encode,
};

/// Value that the server sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Integer(i64),
    /// Text or bytes of any kind: simple and bulk strings, doubles, big numbers, verbatim strings.
    Text(Bytes),
    /// The server's error.
    Error(ServerError),
    /// Elements of an array or a set, or keys and values of a map in turn.
    Array(Vec<Value>),
    /// Something that comes without a command.
    Push(Vec<Value>),
    /// Something that is larger than the limit, and was skipped. In an array it stands for all the rest.
    Oversized,
}

/// Error with which the server responds to a command.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ServerError(Bytes);

impl Value {
    pub(crate) fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        self.as_bytes().and_then(|text| str::from_utf8(text).ok())
    }

    pub(crate) fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }
}

/// Returns the value of a field in a map.
pub(crate) fn field<'a>(map: &'a Value, name: &str) -> Option<&'a Value> {
    let mut pairs = map.as_array()?.chunks_exact(2);
    pairs.find(|pair| pair[0].as_str() == Some(name)).map(|pair| &pair[1])
}

impl ServerError {
    /// Returns the whole error, of which the end may not be shown. `None` if it is no text.
    pub(crate) fn text(&self) -> Option<&str> {
        str::from_utf8(&self.0).ok()
    }

    /// Returns the word that it begins with, such as `NOAUTH`.
    pub(crate) fn kind(&self) -> &str {
        let end = self.0.iter().position(|&byte| byte == b' ').unwrap_or(self.0.len());
        str::from_utf8(&self.0[..end]).unwrap_or_default()
    }
}

impl From<&'static str> for ServerError {
    fn from(message: &'static str) -> Self {
        Self(Bytes::from_static(message.as_bytes()))
    }
}

/// Without arguments that the server repeats: there may be a password among them, or the name of a room.
impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = String::from_utf8_lossy(&self.0);
        let (message, _) = message.split_once(", with args").unwrap_or((&message, ""));
        let end = message.char_indices().nth(MAX_SHOWN).map_or(message.len(), |(at, _)| at);
        f.write_str(&message[..end])
    }
}

impl fmt::Debug for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerError({self})")
    }
}

/// Characters of an error that are shown.
const MAX_SHOWN: usize = 200;
