//! Handshake of a client, as one node describes it to another.

use alloc::{
    borrow::Cow,
    collections::BTreeMap,
    format,
    string::{String, ToString},
};
use core::fmt;

use enginewire::{query, wire::http::RequestHead};
use serde::Serialize;

use crate::payload::{Payload, Value};

/// Handshake of a client with the members that applications of Node.js know.
///
/// It has all header fields and the query of the request. Both may hold secrets of the client, such as cookies.
#[derive(Clone, Serialize)]
pub struct HandshakeInfo<'a> {
    headers: BTreeMap<String, String>,
    address: Option<String>,
    xdomain: bool,
    secure: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    url: String,
    query: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    auth: Value,
}

impl<'a> HandshakeInfo<'a> {
    /// Describes the request that opened a session.
    ///
    /// `auth` is the payload with which the client asked to connect.
    pub fn new(head: &'a RequestHead, auth: Option<&Payload>) -> Self {
        let mut headers = BTreeMap::new();
        for (name, value) in head.headers() {
            let value = String::from_utf8_lossy(value);
            let entry = headers.entry(name.to_ascii_lowercase());
            let entry: &mut String = entry.or_default();
            if !entry.is_empty() {
                entry.push_str(", ");
            }
            entry.push_str(&value);
        }
        let url = match head.query() {
            "" => head.path().to_string(),
            query => format!("{}?{query}", head.path()),
        };
        Self {
            xdomain: headers.contains_key("origin"),
            headers,
            address: None,
            secure: false,
            issued: None,
            time: None,
            url,
            query: query::pairs(head.query()).collect(),
            auth: auth.unwrap_or(Payload::empty_object()).value().into_owned(),
        }
    }

    /// Adds the address of the client.
    #[must_use]
    pub fn with_address(mut self, address: impl ToString) -> Self {
        self.address = Some(address.to_string());
        self
    }

    /// Sets whether the client has come with TLS. Default false.
    #[must_use]
    pub const fn with_secure(mut self, is_secure: bool) -> Self {
        self.secure = is_secure;
        self
    }

    /// Adds the time at which the socket was connected.
    ///
    /// `issued` is in milliseconds since 1970, and `time` the same as text.
    #[must_use]
    pub fn with_time(mut self, issued: u64, time: impl Into<String>) -> Self {
        (self.issued, self.time) = (Some(issued), Some(time.into()));
        self
    }

    /// Makes a payload of it.
    pub fn to_payload(&self) -> Payload {
        Payload::of(self)
    }
}

/// Without the header fields and the query, which may be secrets.
impl fmt::Debug for HandshakeInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandshakeInfo").field("address", &self.address).finish_non_exhaustive()
    }
}
