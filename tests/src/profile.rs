//! What the environment asks of a test server.

use std::{
    env,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use enginewire::{
    Cookie, Cors, CorsOrigin, HttpCompression, PerMessageDeflate, ServerConfig, Transports, query,
};

/// Exit status for a profile that does not exist.
pub const UNKNOWN_PROFILE: u8 = 3;

/// How long [`Filter::DenyLater`] takes.
pub const DENIED_LATER: Duration = Duration::from_millis(50);

/// A set of options.
pub struct Profile {
    /// The protocol's.
    pub config: ServerConfig,
    /// Handshakes go through a [`Filter`].
    pub filters: bool,
    /// How long a client may take for a head or body, and between two requests.
    pub http_timeout: Option<Duration>,
    /// Texts that begin with `B` go to everybody.
    pub broadcasts: bool,
}

impl Profile {
    /// The profile that `PROFILE` names. `None` if there is none of that name.
    pub fn from_environment() -> Option<Self> {
        let profile = Self::named(&env::var("PROFILE").unwrap_or_else(|_| "default".into()))?;
        if profile.broadcasts {
            allow_open_files(10_000);
        }
        Some(profile)
    }

    fn named(name: &str) -> Option<Self> {
        let mut config = ServerConfig::default();
        config.ping_interval = Duration::from_millis(300);
        config.ping_timeout = Duration::from_millis(200);
        match name {
            "default" => {}
            "eio3" => config.allow_eio3 = true,
            "cors" => {
                let mut cors = Cors::new(CorsOrigin::Exact("https://allowed.example".into()));
                cors.credentials = true;
                cors.methods = "GET,POST".into();
                cors.allowed_headers = Some("x-custom".into());
                cors.max_age = Some(600);
                config.cors = Some(cors);
            }
            "opts" => {
                config.path = "/custom/".into();
                config.limits.max_payload = 1000;
                config.upgrade_timeout = Duration::from_millis(400);
                config.cookie = Some(Cookie::default());
                config.initial_packet = Some("initial".into());
            }
            "deflate" => compress(&mut config, false, 15),
            "deflate-takeover" => compress(&mut config, true, 15),
            "deflate-window" => compress(&mut config, true, 10),
            "noupgrade" => config.allow_upgrades = false,
            "wsonly" => config.transports = Transports::WEBSOCKET,
            "bench" => {
                config.ping_interval = Duration::from_millis(25_000);
                config.ping_timeout = Duration::from_millis(20_000);
            }
            _ => return None,
        }
        let millis = |name| number(name).map(Duration::from_millis);
        config.ping_interval = millis("PING_INTERVAL").unwrap_or(config.ping_interval);
        config.ping_timeout = millis("PING_TIMEOUT").unwrap_or(config.ping_timeout);
        let broadcasts = name == "bench";
        if let Some(takeover) = number("DEFLATE").filter(|_| broadcasts) {
            compress(&mut config, takeover == 1, 15);
            if let Some(deflate) = &mut config.per_message_deflate {
                deflate.threshold = 1024;
                deflate.level = number("LEVEL")
                    .and_then(|level| level.try_into().ok())
                    .unwrap_or(deflate.level);
            }
        }
        let http_timeout = number("HTTP_TIMEOUT").filter(|_| broadcasts).map(Duration::from_millis);
        Some(Self { config, filters: name == "opts", http_timeout, broadcasts })
    }
}

/// Compresses every message, and every body of at least 1024 bytes. Contexts are kept if `takeover`, in windows of so many
/// bits.
fn compress(config: &mut ServerConfig, takeover: bool, bits: u8) {
    let mut deflate = PerMessageDeflate::default();
    deflate.threshold = 0;
    deflate.server_context_takeover = takeover;
    deflate.client_context_takeover = takeover;
    deflate.server_max_window_bits = bits;
    deflate.client_max_window_bits = bits;
    config.per_message_deflate = Some(deflate);
    config.http_compression = Some(HttpCompression::default());
}

/// What the request filter says to a handshake.
pub enum Filter {
    /// It may open a session.
    Allow,
    /// It may not, for this reason.
    Deny(String),
    /// The same, but this is found out only after [`DENIED_LATER`].
    DenyLater(String),
}

impl Filter {
    /// Looks at the query.
    pub fn of(query: &str) -> Self {
        match query::value(query, "deny").as_deref() {
            None => Self::Allow,
            Some("1") => Self::Deny("Forbidden".into()),
            Some("later") => Self::DenyLater("later".into()),
            Some(message) => Self::Deny(message.into()),
        }
    }
}

/// The address to listen on.
pub fn address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port()).into()
}

/// The port to listen on; 0 if none was named.
fn port() -> u16 {
    number("PORT").and_then(|port| u16::try_from(port).ok()).unwrap_or(0)
}

/// A number in the environment.
pub fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

/// Lets the process have so many files open, if the system does.
pub fn allow_open_files(files: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < files) {
        let wanted = maximum.map_or(files, |maximum| maximum.min(files));
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
}
