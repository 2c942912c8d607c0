//! Options of a client.

use std::{fmt, time::Duration};

use enginewire::{ClientConfig, InvalidHeader, Reconnect, TransportKind, Url};
use enginewire_driver::{
    Clock, ConnectError,
    socketio::{
        Client, ClientError, ClientSocket, Offline,
        platform::{PlatformConfig, PlatformTask},
    },
};
use enginewire_socketio::{client_hub::ClientHubConfig, parser::Parser};

use crate::{globals, requests, task};

/// Sets up a [`Client`]. Everything has a default, which is the reference's where it has one.
pub struct ClientBuilder {
    config: Result<PlatformConfig, ConnectError>,
    with_credentials: bool,
    close_on_pagehide: bool,
}

impl ClientBuilder {
    /// Starts to set up a client for the server at `url`.
    ///
    /// The path of the URL names the namespace of [`connect`](Self::connect); that of requests is
    /// [`path`](Self::path). A URL that is a path alone, as `/chat`, is one of the page's own server.
    pub fn new(url: &str) -> Self {
        let config = Url::parse(&resolve(url, globals::origin)).map_err(ConnectError::from);
        let config = config.map(|url| {
            let mut hub = ClientHubConfig::new(&url);
            // The browser's own business. A field that it does not send itself would need the server's consent (CORS).
            hub.engine.cookies = false;
            hub.engine.remove_user_agent();
            PlatformConfig::new(hub)
        });
        Self { config, with_credentials: false, close_on_pagehide: false }
    }

    /// Builds the client, without connecting it. A socket does that.
    ///
    /// # Errors
    ///
    /// The URL or an option is wrong.
    pub fn build(self) -> Result<Client, ClientError> {
        let Self { config, with_credentials, close_on_pagehide } = self;
        let config = config?;
        let url = &config.hub.url;
        let origin = |scheme: &str| match url.is_secure() {
            true => format!("{scheme}s://{}", url.authority()),
            false => format!("{scheme}://{}", url.authority()),
        };
        let options = task::Options {
            requests: requests::Options {
                origin: origin("http"),
                with_credentials,
                max_body: config.hub.engine.limits.max_payload,
            },
            websocket_origin: origin("ws"),
            is_local: url.host() == "localhost",
            close_on_pagehide,
        };
        let (client, side) =
            PlatformTask::new(config, Clock::of(globals::now), globals::fill_random);
        task::spawn(side, options);
        Ok(client)
    }

    /// Builds the client, and connects a socket.
    ///
    /// Its namespace is the path of the URL.
    ///
    /// # Errors
    ///
    /// [`ClientError`]. The first attempt counts, see
    /// [`SocketBuilder::connect`](crate::socketio::SocketBuilder::connect).
    pub async fn connect(self) -> Result<ClientSocket, ClientError> {
        self.build()?.connect().await
    }

    /// Sets options of Engine.IO: timeouts, limits, subprotocols, the revision, and all others.
    ///
    /// Options for cookies have no effect, as cookies are the browser's business. For a server of Socket.IO 2 that is
    /// `engine(|engine| engine.revision = Revision::V3)`.
    #[must_use]
    pub fn engine(self, change: impl FnOnce(&mut ClientConfig)) -> Self {
        self.change(|config| change(&mut config.hub.engine))
    }

    /// Sets the path of requests. Default `/socket.io/`.
    #[must_use]
    pub fn path(self, path: impl Into<String>) -> Self {
        self.engine(|engine| engine.path = path.into())
    }

    /// Adds a query parameter to all requests.
    #[must_use]
    pub fn query(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.engine(|engine| engine.query.push((key.into(), value.into())))
    }

    /// Adds a header field to requests of polling. One that is malformed makes [`build`](Self::build) fail.
    ///
    /// WebSockets of browsers have none. A server of another origin must allow it (CORS).
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        if let Ok(config) = &mut self.config
            && let Err(InvalidHeader) = config.hub.engine.push_header(name, value)
        {
            self.config = Err(ConnectError::Header { name: name.to_owned() });
        }
        self
    }

    /// Sends cookies to a server of another origin, too, and takes them from it. Default false.
    ///
    /// The server must allow it (CORS): with the page's origin in `Access-Control-Allow-Origin`, and
    /// `Access-Control-Allow-Credentials`. WebSockets always have cookies.
    #[must_use]
    pub const fn with_credentials(mut self, with_credentials: bool) -> Self {
        self.with_credentials = with_credentials;
        self
    }

    /// Closes the client in order when the page is left. Default false.
    ///
    /// Servers are told that the sockets have left then. Otherwise the connection is lost, and a server that recovers
    /// connections may take the page back, as after a reload. Over polling it is an attempt: a request that is under way
    /// is cancelled with the page. A page that the browser keeps, to go back to, is not closed. Workers are not told.
    #[must_use]
    pub const fn close_on_pagehide(mut self, close: bool) -> Self {
        self.close_on_pagehide = close;
        self
    }

    /// Sets the transports that may be used. Default polling, then WebSocket.
    #[must_use]
    pub fn transports(self, transports: impl Into<Vec<TransportKind>>) -> Self {
        self.engine(|engine| engine.transports = transports.into())
    }

    /// Limit on the time that a session takes to open. Default 20 s.
    #[must_use]
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        self.engine(|engine| engine.open_timeout = timeout)
    }

    /// Sets when and how often a lost connection is tried again. The defaults are those of [`Reconnect`].
    #[must_use]
    pub fn reconnect(self, policy: Reconnect) -> Self {
        self.change(|config| config.hub.manager.reconnect = Some(policy))
    }

    /// Tries a lost connection not again.
    #[must_use]
    pub fn without_reconnection(self) -> Self {
        self.change(|config| config.hub.manager.reconnect = None)
    }

    /// Sets the destination of events that are emitted while there is no connection. Default [`Offline::Buffer`].
    #[must_use]
    pub fn offline(self, offline: Offline) -> Self {
        self.change(|config| config.hub.manager.offline = offline)
    }

    /// Limit on the events of a socket that wait for a connection, in bytes. Default 1 MiB.
    #[must_use]
    pub fn max_offline(self, bytes: usize) -> Self {
        self.change(|config| config.hub.manager.max_offline = bytes)
    }

    /// Limit on the times in a row that a refused socket asks again. Default 0.
    ///
    /// It does so with a fresh payload. Of use with
    /// [`SocketBuilder::auth_with`](crate::socketio::SocketBuilder::auth_with).
    #[must_use]
    pub fn refused_attempts(self, attempts: u32) -> Self {
        self.change(|config| config.hub.manager.refused_attempts = attempts)
    }

    /// Time in which the server must respond to a request to connect to a namespace. Default 60 s.
    ///
    /// Longer than the 45 s that the reference gives its authorization. A session on which a response is missing is given
    /// up and tried again.
    #[must_use]
    pub fn response_timeout(self, timeout: Duration) -> Self {
        self.change(|config| config.hub.manager.response_timeout = timeout)
    }

    /// Time in which an event must be acknowledged. Default 10 s.
    ///
    /// [`Duration::MAX`] waits until the connection is lost.
    #[must_use]
    pub fn ack_timeout(self, timeout: Duration) -> Self {
        self.change(|config| config.ack_timeout = timeout)
    }

    /// Sets how often events are sent again that the server has not acknowledged. Default 0.
    ///
    /// It holds for [`emit_with_ack`](crate::socketio::ClientRef::emit_with_ack), see
    /// [`ClientEmitter::retries`](crate::socketio::ClientEmitter::retries).
    #[must_use]
    pub fn retries(self, retries: u32) -> Self {
        self.change(|config| config.retries = retries)
    }

    /// Sets the format of packets, which must be the server's. Default [`Parser::Json`].
    #[must_use]
    pub fn parser(self, parser: Parser) -> Self {
        self.change(|config| config.hub.manager.parser = parser)
    }

    fn change(mut self, change: impl FnOnce(&mut PlatformConfig)) -> Self {
        if let Ok(config) = &mut self.config {
            change(config);
        }
        self
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Returns the URL of a server. One that is a path alone is of the page's own, one without a scheme has the page's.
fn resolve(url: &str, origin: impl FnOnce() -> String) -> String {
    match url {
        "" => origin(),
        url if url.starts_with("//") => {
            let origin = origin();
            let scheme = origin.split_once("//").map_or("", |(scheme, _)| scheme);
            scheme.to_owned() + url
        }
        path if path.starts_with('/') => origin() + path,
        url => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use enginewire::{ClientAction, ClientSession, Time};

    use super::*;

    fn builder(url: &str) -> ClientBuilder {
        ClientBuilder::new(url)
    }

    #[test]
    fn path_alone_is_of_the_server_of_the_page() {
        let origin = || "https://example.org".to_owned();
        for (url, expected) in [
            ("", "https://example.org"),
            ("/", "https://example.org/"),
            ("/chat?a=b", "https://example.org/chat?a=b"),
            ("http://localhost:3000/chat", "http://localhost:3000/chat"),
            ("//example.com", "https://example.com"),
        ] {
            assert_eq!(resolve(url, origin), expected);
        }
    }

    #[test]
    fn options_are_those_of_the_hub() {
        let builder = builder("http://localhost:3000/chat")
            .path("/io/")
            .transports([TransportKind::WebSocket])
            .connect_timeout(Duration::from_secs(1))
            .reconnect(Reconnect::default().with_attempts(2))
            .offline(Offline::Refuse)
            .max_offline(1)
            .refused_attempts(3)
            .response_timeout(Duration::from_secs(30))
            .ack_timeout(Duration::from_secs(4))
            .retries(5)
            .query("a", "b");
        let config = builder.config.unwrap();
        let PlatformConfig { hub, ack_timeout, retries, .. } = &config;
        assert_eq!(
            (&*hub.engine.path, &*hub.engine.transports),
            ("/io/", &[TransportKind::WebSocket][..])
        );
        assert_eq!(hub.engine.query, [("a".to_owned(), "b".to_owned())]);
        assert_eq!(
            (hub.engine.open_timeout, *ack_timeout),
            (Duration::from_secs(1), Duration::from_secs(4))
        );
        assert_eq!((hub.manager.refused_attempts, *retries), (3, 5));
        assert_eq!(hub.manager.response_timeout, Duration::from_secs(30));
        assert_eq!((hub.manager.offline, hub.manager.max_offline), (Offline::Refuse, 1));
        assert_eq!(hub.manager.reconnect, Some(Reconnect::default().with_attempts(2)));
        assert_eq!(hub.url.path(), "/chat");
        let without = ClientBuilder::new("http://a").without_reconnection().config.unwrap();
        assert_eq!(without.hub.manager.reconnect, None);
    }

    #[test]
    fn cookies_and_user_agent_are_left_to_the_browser() {
        let config = builder("http://localhost:3000").config.unwrap();
        assert!(!config.hub.engine.cookies);
        let (engine, mut entropy) = (Arc::new(config.hub.engine), |bytes: &mut [u8]| bytes.fill(0));
        let mut session = ClientSession::new(Time::ZERO, engine, false, &mut entropy);
        let Some(ClientAction::Request(_, request)) = session.poll_action(Time::ZERO) else {
            panic!("it opens with a GET");
        };
        let names: Vec<_> = request.headers.iter().map(|(name, _)| name).collect();
        assert_eq!(names, [b"Accept"]);
    }

    #[test]
    fn wrong_url_or_header_field_is_told_by_build() {
        let error = builder("localhost:3000").config.unwrap_err();
        assert!(matches!(error, ConnectError::Url(_)), "{error}");
        let error = builder("http://a").header("host", "b").config.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the header field \"host\" cannot be sent: it is malformed, or the client's own"
        );
    }
}
