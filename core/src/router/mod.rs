//! Routing of a request, by its head, to its session or to a refusal.
//!
//! A server handles every request in the same four steps. [`Router::route`] looks at the head alone.
//! If the request opens a session ([`Route::Open`]), the application may be asked, and then
//! [`Router::open`] makes it. If it belongs to a session ([`Route::Session`]), the driver finds that
//! session by its [`Sid`], asks [`ServerSession::admit`](crate::ServerSession::admit), and calls the `handle_*` method of the
//! [`Admission`](crate::Admission). Whatever goes wrong on the way is a [`Reject`], which is an
//! answer too. Every answer gets the fields of [`Router::headers`] in addition to its own.

mod cors;
mod refusal;
mod reject;

use alloc::{borrow::Cow, format, string::String, sync::Arc};

pub use self::{
    refusal::Refusal,
    reject::{BadRequest, HandOverFault, Reject},
};
use crate::{
    channel::MIN_PING_TIMEOUT,
    codec::jsonp,
    config::{ServerConfig, TransportKind},
    exchange::{HeaderLines, HttpRequest, Response, is_field_value},
    packet::Revision,
    query,
    sid::Sid,
    wire::{http::RequestHead, ws},
};

/// Decides what a request is for. Holds the configuration and nothing else, so one value serves all
/// threads.
#[derive(Clone, Debug)]
pub struct Router {
    config: Arc<ServerConfig>,
}

/// Where a request goes.
#[derive(Debug)]
pub enum Route {
    /// It asks for permission only (CORS): send this.
    Preflight(Response),
    /// It opens a session: ask the application, then [`Router::open`].
    Open(Opening),
    /// It belongs to a session.
    Session(SessionRequest),
}

/// A handshake that was found in order. The application may still refuse it.
#[derive(Clone, Debug)]
pub struct Opening {
    pub(crate) transport: TransportKind,
    pub(crate) revision: Revision,
    /// The client cannot take binary frames or payloads.
    pub(crate) base64: bool,
    /// The callback index, if answers are to be scripts.
    pub(crate) jsonp: Option<String>,
}

impl Opening {
    /// The transport that the session begins on. For [`TransportKind::WebSocket`] the driver checks
    /// the WebSocket handshake before it opens the session.
    pub const fn transport(&self) -> TransportKind {
        self.transport
    }
}

/// A request that belongs to an existing session.
#[derive(Clone, Debug)]
pub struct SessionRequest {
    /// Which session.
    pub sid: Sid,
    pub(crate) revision: Revision,
    pub(crate) transport: TransportKind,
    pub(crate) kind: RequestKind,
    /// The client cannot take binary frames; of meaning for an upgrade.
    pub(crate) base64: bool,
    /// The body is `application/octet-stream`.
    pub(crate) binary: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    Get,
    Post,
    Upgrade,
    Other,
}

impl Router {
    /// A router for servers that behave as `config` says.
    pub fn new(mut config: ServerConfig) -> Self {
        let path = config.path.trim_matches('/');
        let slash = if path.is_empty() || !config.add_trailing_slash { "" } else { "/" };
        config.path = format!("/{path}{slash}");
        config.ping_timeout = config.ping_timeout.max(MIN_PING_TIMEOUT);
        Self { config: Arc::new(config) }
    }

    /// Returns the configuration that the sessions share.
    pub const fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// Looks at the head of a request.
    ///
    /// The order of the checks is the reference's: path, preflight, transport, `Origin`, then either
    /// session id or method and kind of request. What a session must know to check (that it exists,
    /// its revision and transport) is left to [`ServerSession::admit`](crate::ServerSession::admit).
    ///
    /// # Errors
    ///
    /// How to refuse it.
    pub fn route(&self, head: &dyn HttpRequest) -> Result<Route, Reject> {
        if !self.serves(head.path()) {
            return Err(Reject::NotFound);
        }
        let method = head.method();
        if let (Some(cors), "OPTIONS") = (&self.config.cors, method) {
            return Ok(Route::Preflight(cors.preflight(head)));
        }
        let parameters = Parameters::read(head.query());
        let transport = match &*parameters.transport {
            "polling" => TransportKind::Polling,
            "websocket" => TransportKind::WebSocket,
            _ => return Err(Reject::UnknownTransport),
        };
        if !self.config.transports.contains(transport) {
            return Err(Reject::UnknownTransport);
        }
        if head.header("origin").is_some_and(|origin| !is_field_value(origin)) {
            return Err(Reject::BadRequest(BadRequest::InvalidOrigin));
        }
        let upgrade = head.is_upgrade();
        if !parameters.sid.is_empty() {
            let kind = match method {
                "GET" if upgrade => RequestKind::Upgrade,
                "GET" => RequestKind::Get,
                "POST" => RequestKind::Post,
                _ => RequestKind::Other,
            };
            return Ok(Route::Session(SessionRequest {
                sid: Sid::parse(&parameters.sid).ok_or(Reject::UnknownSession)?,
                revision: parameters.revision,
                transport,
                kind,
                base64: parameters.base64,
                binary: kind == RequestKind::Post
                    && head.header("content-type") == Some(b"application/octet-stream"),
            }));
        }
        if method != "GET" {
            return Err(Reject::BadHandshakeMethod);
        }
        if upgrade != (transport == TransportKind::WebSocket) {
            return Err(Reject::BadRequest(BadRequest::TransportHandshake));
        }
        Ok(Route::Open(Opening {
            transport,
            revision: parameters.revision,
            base64: parameters.base64 || parameters.jsonp.is_some(),
            jsonp: parameters.jsonp.map(|j| jsonp::callback_index(&j)),
        }))
    }

    /// Returns header fields that every response to this request carries besides its own. They are
    /// CORS, and what the configured hook adds. Old versions of Internet Explorer get
    /// `X-XSS-Protection` too. `initial` says whether the response is the first of a session.
    pub fn headers(&self, head: &dyn HttpRequest, initial: bool) -> HeaderLines {
        let mut lines = HeaderLines::new();
        if let Some(cors) = &self.config.cors {
            cors.headers(head, &mut lines);
        }
        if head.header("user-agent").is_some_and(is_old_internet_explorer) {
            push(&mut lines, "X-XSS-Protection", "0");
        }
        if let Some(hook) = &self.config.headers {
            (hook.0)(head, initial, &mut lines);
        }
        lines
    }

    /// Chooses the subprotocol of a WebSocket, and returns it as a header field. The field belongs
    /// to the 101 response. There is no field if the client offers none or the
    /// [hook](ServerConfig::subprotocol) chooses none.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Protocol`](crate::wire::ws::HandshakeError::Protocol).
    pub fn subprotocol(&self, head: &RequestHead) -> Result<HeaderLines, Reject> {
        let offers = ws::offered_protocols(head)?;
        let chosen = match &self.config.subprotocol {
            _ if offers.is_empty() => None,
            None => offers.first().copied(),
            Some(hook) => (hook.0)(head, &offers).filter(|chosen| offers.contains(chosen)),
        };
        let mut lines = HeaderLines::new();
        if let Some(chosen) = chosen {
            push(&mut lines, "Sec-WebSocket-Protocol", chosen);
        }
        Ok(lines)
    }

    /// Returns whether requests for `path` belong to the server. See [`ServerConfig::path`].
    pub fn serves(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix(&self.config.path) else { return false };
        self.config.path.ends_with('/') || rest.is_empty() || rest.starts_with('/')
    }

    pub(crate) fn cookie(&self, sid: &Sid) -> HeaderLines {
        let mut lines = HeaderLines::new();
        let Some(cookie) = &self.config.cookie else { return lines };
        let mut value = format!("{}={}", cookie.name, sid.as_str());
        if let Some(seconds) = cookie.max_age {
            value.push_str(&format!("; Max-Age={seconds}"));
        }
        if !cookie.path.is_empty() {
            value.push_str(&format!("; Path={}", cookie.path));
        }
        if cookie.http_only {
            value.push_str("; HttpOnly");
        }
        if cookie.secure {
            value.push_str("; Secure");
        }
        if !cookie.same_site.is_empty() {
            value.push_str(&format!("; SameSite={}", cookie.same_site));
        }
        push(&mut lines, "Set-Cookie", &value);
        lines
    }
}

/// Appends a field made of configuration. One that could not be sent is left out: the alternative,
/// a forged answer, is worse.
fn push(lines: &mut HeaderLines, name: &str, value: &str) {
    let _ = lines.push(name, value);
}

/// Whose script filter broke JSON answers; as the reference.
fn is_old_internet_explorer(user_agent: &[u8]) -> bool {
    // Neither needle's first byte is in it often.
    let contains = |needle: &[u8]| {
        memchr::memchr_iter(needle[0], user_agent).any(|at| user_agent[at..].starts_with(needle))
    };
    contains(b";MSIE") || contains(b"Trident/")
}

/// The query parameters that Engine.IO gives a meaning.
struct Parameters<'a> {
    transport: Cow<'a, str>,
    sid: Cow<'a, str>,
    revision: Revision,
    base64: bool,
    jsonp: Option<Cow<'a, str>>,
}

impl<'a> Parameters<'a> {
    fn read(query: &'a str) -> Self {
        let mut parameters = Self {
            transport: Cow::Borrowed(""),
            sid: Cow::Borrowed(""),
            // As the reference: whatever is not exactly "4" is the older revision.
            revision: Revision::V3,
            base64: false,
            jsonp: None,
        };
        for (key, value) in query::pairs(query) {
            match &*key {
                "transport" => parameters.transport = value,
                "sid" => parameters.sid = value,
                "EIO" if value == "4" => parameters.revision = Revision::V4,
                "EIO" => parameters.revision = Revision::V3,
                "b64" => parameters.base64 = !value.is_empty(),
                "j" => parameters.jsonp = Some(value),
                _ => {}
            }
        }
        parameters
    }
}

#[cfg(test)]
mod tests;
