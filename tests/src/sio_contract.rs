//! What all Socket.IO servers under test have in common: options by profile, who may connect, and values.

use std::{collections::VecDeque, time::Duration};

use enginewire::{TransportKind, query};
use enginewire_socketio::{ConnectError, Value, adapter::RecoveryConfig};
use serde_json::{Map, Value as Json, json};

use crate::profile;

/// Data of a socket.
pub type Data = Map<String, Json>;

/// A set of options.
pub struct Profile {
    /// Time between two pings.
    pub ping_interval: Duration,
    /// Time that a client has to answer a ping.
    pub ping_timeout: Duration,
    /// Time in which a client must have connected to a namespace, if not the default.
    pub connect_timeout: Option<Duration>,
    /// Clients of Socket.IO 2.x are accepted.
    pub allow_eio3: bool,
    /// Connection state recovery, if there is any.
    pub recovery: Option<RecoveryConfig>,
    /// The admin UI, if there is one: of all details and commands, of commands alone, or of neither.
    pub admin: Option<AdminKind>,
    /// The server is measured.
    pub is_bench: bool,
}

/// Kind of an admin UI.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum AdminKind {
    /// All details and commands.
    Development,
    /// Numbers and commands.
    Production,
    /// All details, and no commands.
    ReadOnly,
}

/// User of the admin UI.
pub const ADMIN: &str = "admin";

/// Hash of the password `correctPassword` of the [`ADMIN`], of the least cost.
pub const ADMIN_HASH: &str = "$2b$04$b2cxG2NvAFwoh.BYxbc./O/YDD/XzL6NfzHPI7Ffs/kE/IMPDoG2y";

impl Profile {
    /// The profile that `PROFILE` names. `None` if there is none of that name.
    pub fn from_environment() -> Option<Self> {
        let name = std::env::var("PROFILE").unwrap_or_else(|_| "default".into());
        let (interval, timeout) = match &*name {
            "default" => (300, 200),
            "relaxed" | "v2" | "recovery" => (1000, 2000),
            "admin" | "admin-production" | "admin-read-only" => (1000, 2000),
            "bench" => (25_000, 20_000),
            _ => return None,
        };
        let millis =
            |name, default| Duration::from_millis(profile::number(name).unwrap_or(default));
        let is_bench = name == "bench";
        if is_bench {
            profile::allow_open_files(10_000);
        }
        let mut recovery = RecoveryConfig::default();
        recovery.window = millis("RECOVERY_WINDOW", 2000);
        Some(Self {
            ping_interval: millis("PING_INTERVAL", interval),
            ping_timeout: millis("PING_TIMEOUT", timeout),
            connect_timeout: (!is_bench).then_some(Duration::from_secs(1)),
            allow_eio3: name == "v2",
            recovery: (name == "recovery").then_some(recovery),
            admin: match &*name {
                "admin" => Some(AdminKind::Development),
                "admin-production" => Some(AdminKind::Production),
                "admin-read-only" => Some(AdminKind::ReadOnly),
                _ => None,
            },
            is_bench,
        })
    }
}

/// Whether a namespace exists by its pattern alone.
pub fn is_dynamic(namespace: &str) -> bool {
    let digits = namespace.strip_prefix("/dyn-").unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The middleware of `/secret`.
///
/// # Errors
///
/// The token is not the secret.
pub fn authorize_secret(auth: &Map<String, Json>) -> Result<Data, ConnectError> {
    if auth.get("token") != Some(&json!("s3cret")) {
        let data = json!({ "code": "E_AUTH", "retry": false });
        return Err(ConnectError::new("not authorized").with_data(&data));
    }
    let user = auth.get("user").cloned().unwrap_or(Json::Null);
    Ok(Map::from_iter([("user".to_owned(), user)]))
}

/// How long the first middleware of `/mw` takes.
pub const FIRST_STEP: Duration = Duration::from_millis(20);

/// The three middlewares of `/mw`, after the first has waited.
///
/// # Errors
///
/// The client wants to be blocked by one of them.
pub fn authorize_in_steps(auth: &Map<String, Json>) -> Result<Data, ConnectError> {
    match auth.get("block").and_then(Json::as_u64) {
        Some(2) => Err("blocked by second".into()),
        Some(3) => Err(ConnectError::new("blocked by third").with_data(&json!({ "n": 3 }))),
        _ => Ok(Map::from_iter([("trace".to_owned(), json!([1, 2, 3]))])),
    }
}

/// Why sockets were disconnected: the last ones.
#[derive(Default)]
pub struct Reasons(VecDeque<(String, &'static str)>);

impl Reasons {
    /// Notes the reason of the socket with this id.
    pub fn insert(&mut self, id: String, reason: &'static str) {
        if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back((id, reason));
    }

    /// The last known reason of the socket with this id.
    pub fn of(&self, id: &str) -> Option<&'static str> {
        self.0.iter().rev().find(|(of, _)| of == id).map(|(_, reason)| *reason)
    }
}

/// Reasons of disconnections that are kept.
const KEPT: usize = 4000;

/// An object with these members.
pub fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.map(|(name, value)| (name.to_owned(), value)).into())
}

/// A room, or a list of rooms.
pub fn rooms(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(room) => Some(vec![room.clone()]),
        Value::Array(rooms) => rooms.iter().map(|room| room.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// The answer to `types` for one argument.
pub fn type_of(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "boolean".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "string".into(),
        Value::Array(_) => "array".into(),
        Value::Object(_) => "object".into(),
        Value::Binary(bytes) => {
            let sum: usize = bytes.iter().map(|&byte| usize::from(byte)).sum();
            format!("binary:{}:{}", bytes.len(), sum % 65_536)
        }
    }
}

/// The argument of `big`.
pub fn big(n: usize) -> Value {
    Value::from(bytes::Bytes::from_iter((0..=u8::MAX).cycle().take(n)))
}

/// The arguments of `nested-binary`.
pub fn nested_binary() -> (Value, (), Vec<Value>) {
    let binary = |bytes: &'static [u8]| Value::from(bytes::Bytes::from_static(bytes));
    let list = vec![binary(&[1]), Value::from("text"), binary(&[2, 3])];
    let inner = object([("b", Value::Array(list))]);
    (object([("a", inner), ("c", binary(&[4, 5, 6]))]), (), vec![binary(&[])])
}

/// The answer to `whoami`.
pub fn whoami(id: &str, namespace: &str, auth: Value, recovered: bool, data: Data) -> Value {
    object([
        ("id", Value::from(id)),
        ("nsp", Value::from(namespace)),
        ("auth", auth),
        ("recovered", Value::Bool(recovered)),
        ("data", Value::from(Json::Object(data))),
    ])
}

/// The answer to `request-info`.
pub fn request_info(request: &str, header: Option<&[u8]>, transport: TransportKind) -> Json {
    let own = ["EIO", "transport", "t", "b64", "j", "sid"];
    let query: Map<String, Json> = query::pairs(request)
        .filter(|(key, _)| !own.contains(&&**key))
        .map(|(key, value)| (key.into_owned(), Json::String(value.into_owned())))
        .collect();
    let header = header.map(String::from_utf8_lossy);
    json!({ "query": query, "header": header, "transport": transport.name() })
}
