//! The claim of a client that comes back.

use alloc::string::String;

use serde::{Deserialize, Deserializer, de::Error};

use crate::{id::PrivateId, payload::Payload};

/// Claim of a client to a socket that it had before.
///
/// Official clients make it in the payload with which they ask to connect.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Claim {
    /// The secret id of the socket.
    #[serde(deserialize_with = "private_id")]
    pub pid: PrivateId,
    /// The offset of the last event that the client has received, if there was one.
    #[serde(default)]
    pub offset: Option<String>,
}

impl Claim {
    /// Reads the claim out of the payload of a client that asks to connect. `None` if there is none.
    pub fn of(auth: &Payload) -> Option<Self> {
        auth.decode().ok()
    }
}

fn private_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PrivateId, D::Error> {
    let text = String::deserialize(deserializer)?;
    PrivateId::parse(&text).ok_or_else(|| D::Error::custom("no private id"))
}
