//! Configuration of servers.

use std::time::Duration;

use enginewire::{Cors, CorsOrigin, Transports, hub::ServerHubConfig};
use enginewire_socketio::hub::{HubConfig, Overflow};

use crate::{
    code::{Failure, ew_code},
    slice::{self, ew_slice},
};

/// Configuration of a server. Set `size`, call `ew_server_config_default`, then change fields.
///
/// Times are in milliseconds, sizes in bytes. Flags are 0 or 1.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ew_server_config {
    /// `sizeof(ew_server_config)`, by which a program of another version is noticed.
    pub size: usize,
    /// Path of the server. Empty: `/engine.io/`, or `/socket.io/` with Socket.IO.
    pub path: ew_slice,
    /// Origin whose pages may connect over polling, `*` for all. Default empty: none.
    pub cors_origin: ew_slice,
    /// Whether pages of `cors_origin` may send cookies. Default 0.
    pub cors_credentials: u8,
    /// Whether sessions may use HTTP long-polling. Default 1.
    pub polling: u8,
    /// Whether sessions may use WebSockets. Default 1.
    pub websocket: u8,
    /// Whether sessions may move from polling to a WebSocket. Default 1.
    pub upgrades: u8,
    /// Whether clients of revision 3 (Socket.IO 2.x) are served. Default 0.
    pub eio3: u8,
    /// Whether the application decides about each session: `EW_OUTPUT_ASK`. Default 0.
    pub ask: u8,
    /// Whether requests for other paths go to the application: `EW_OUTPUT_REQUEST`. Default 0.
    pub forward: u8,
    /// Time between two pings. Default 25 000.
    pub ping_interval_ms: u64,
    /// Time that a client may take to answer a ping. Default 20 000.
    pub ping_timeout_ms: u64,
    /// Time that an upgrade may take. Default 10 000.
    pub upgrade_timeout_ms: u64,
    /// Time that a closing session waits for the peer to take what is queued. Default 30 000.
    pub close_timeout_ms: u64,
    /// Time that a client may take to send the head of a request. Default 10 000.
    pub head_timeout_ms: u64,
    /// Time that the body of a request may take, unless it moves. Default 60 000.
    pub body_timeout_ms: u64,
    /// Time that a connection may be silent between two requests. Default 75 000.
    pub idle_timeout_ms: u64,
    /// Time that a client may go without taking any byte of a response. Default 30 000.
    pub write_timeout_ms: u64,
    /// Time that a connection may take to end once everything was written. Default 2 000.
    pub linger_ms: u64,
    /// Limit on a received message or body. Default 1 000 000.
    pub max_payload: usize,
    /// Bytes queued for a session from which on sending gives `EW_ERROR_FULL`. Default 1 MiB.
    pub max_queued: usize,
    /// Unread bytes from which on a client is not read. Default 1 MiB.
    pub max_unread: usize,
    /// Limit on sessions. Default 65 536.
    pub max_sessions: usize,
    /// Connections from which on no more are to be accepted. Default 1 048 576.
    pub max_connections: usize,
    /// Time in which a client must have connected to a namespace. Socket.IO. Default 45 000.
    pub connect_timeout_ms: u64,
    /// Limit on the namespaces of a client. Socket.IO. Default 64.
    pub max_namespaces: usize,
    /// Limit on the acknowledgements that a socket owes. Socket.IO. Default 1024.
    pub max_pending_acks: usize,
    /// Limit on the attachments of an event. Socket.IO. Default 10, as that of official clients.
    pub max_attachments: usize,
    /// Limit on a received event and its attachments together. Socket.IO. Default 10 000 000.
    pub max_event: usize,
    /// Whether a socket without room misses a broadcast, and is not disconnected. Socket.IO. Default 0.
    pub skip_overflow: u8,
}

/// Sets the defaults.
///
/// # Safety
///
/// `config` is null or points to a config whose `size` is set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_server_config_default(config: *mut ew_server_config) -> ew_code {
    // SAFETY: the promise is the same.
    unsafe { set_default(config, ew_server_config::new()) }
}

/// Configuration that begins with its size.
pub(crate) trait Config: Copy {}

impl Config for ew_server_config {}

/// Writes defaults to a config of the right size.
///
/// # Safety
///
/// `config` is null or points to a config whose `size` is set.
pub(crate) unsafe fn set_default<T: Config>(config: *mut T, defaults: T) -> ew_code {
    crate::code::enter(|| {
        // SAFETY: the size is set.
        unsafe { check_size(config) }?;
        // SAFETY: it has the size of a config.
        unsafe { slice::write(config, defaults, "config") }
    })
}

/// Reads a config of the right size.
///
/// # Safety
///
/// `config` is null or points to a config whose `size` is set, which nobody writes to for `'a`.
pub(crate) unsafe fn read<'a, T: Config>(config: *const T) -> Result<&'a T, Failure> {
    // SAFETY: the size is set.
    unsafe { check_size(config) }?;
    // SAFETY: it has the size of a config.
    unsafe { slice::borrow(config, "config") }
}

/// Checks the size, before more than that is touched.
///
/// # Safety
///
/// `config` is null or points to a size at least.
unsafe fn check_size<T: Config>(config: *const T) -> Result<(), Failure> {
    // SAFETY: a config begins with its size.
    let size = *unsafe { slice::borrow(config.cast::<usize>(), "config") }?;
    if size == size_of::<T>() {
        return Ok(());
    }
    let text = format!("config.size is {size}, and {} in this version", size_of::<T>());
    Err(Failure::argument(text))
}

impl ew_server_config {
    fn new() -> Self {
        let HubConfig { engine, connection, .. } = HubConfig::default();
        let protocol = &engine.protocol;
        Self {
            size: size_of::<Self>(),
            path: ew_slice::EMPTY,
            cors_origin: ew_slice::EMPTY,
            cors_credentials: 0,
            polling: protocol.transports.polling.into(),
            websocket: protocol.transports.websocket.into(),
            upgrades: protocol.allow_upgrades.into(),
            eio3: protocol.allow_eio3.into(),
            ask: engine.ask.into(),
            forward: engine.forward.into(),
            ping_interval_ms: millis(protocol.ping_interval),
            ping_timeout_ms: millis(protocol.ping_timeout),
            upgrade_timeout_ms: millis(protocol.upgrade_timeout),
            close_timeout_ms: millis(protocol.close_timeout),
            head_timeout_ms: millis(engine.head_timeout),
            body_timeout_ms: millis(engine.body_timeout),
            idle_timeout_ms: millis(engine.idle_timeout),
            write_timeout_ms: millis(engine.write_timeout),
            linger_ms: millis(engine.linger),
            max_payload: protocol.limits.max_payload,
            max_queued: protocol.limits.max_queued,
            max_unread: protocol.limits.max_unread,
            max_sessions: engine.max_sessions,
            max_connections: engine.max_connections,
            connect_timeout_ms: millis(connection.connect_timeout),
            max_namespaces: connection.max_namespaces,
            max_pending_acks: connection.max_pending_acks,
            max_attachments: connection.limits.max_attachments,
            max_event: connection.limits.max_size,
            skip_overflow: 0,
        }
    }

    /// Puts the settings of Engine.IO into a config that has its defaults.
    ///
    /// # Safety
    ///
    /// Its slices are as those of arguments.
    pub(crate) unsafe fn apply(&self, config: &mut ServerHubConfig) -> Result<(), Failure> {
        // SAFETY: the caller's promise.
        let path = unsafe { self.path.text("config.path") }?;
        // SAFETY: the same.
        let origin = unsafe { self.cors_origin.text("config.cors_origin") }?;
        let transports = Transports { polling: self.polling != 0, websocket: self.websocket != 0 };
        if !transports.polling && !transports.websocket {
            return Err(Failure::argument("config allows no transport"));
        }
        let protocol = &mut config.protocol;
        if !path.is_empty() {
            protocol.path = path.into();
        }
        if !origin.is_empty() {
            let origin = match origin {
                "*" => CorsOrigin::Any,
                origin => CorsOrigin::Exact(origin.into()),
            };
            let mut cors = Cors::new(origin);
            cors.credentials = self.cors_credentials != 0;
            protocol.cors = Some(cors);
        }
        protocol.transports = transports;
        protocol.allow_upgrades = self.upgrades != 0;
        protocol.allow_eio3 = self.eio3 != 0;
        protocol.ping_interval = Duration::from_millis(self.ping_interval_ms);
        protocol.ping_timeout = Duration::from_millis(self.ping_timeout_ms);
        protocol.upgrade_timeout = Duration::from_millis(self.upgrade_timeout_ms);
        protocol.close_timeout = Duration::from_millis(self.close_timeout_ms);
        protocol.limits.max_payload = self.max_payload;
        protocol.limits.max_queued = self.max_queued;
        protocol.limits.max_unread = self.max_unread;
        config.head_timeout = Duration::from_millis(self.head_timeout_ms);
        config.body_timeout = Duration::from_millis(self.body_timeout_ms);
        config.idle_timeout = Duration::from_millis(self.idle_timeout_ms);
        config.write_timeout = Duration::from_millis(self.write_timeout_ms);
        config.linger = Duration::from_millis(self.linger_ms);
        config.max_sessions = self.max_sessions;
        config.max_connections = self.max_connections;
        config.ask = self.ask != 0;
        config.forward = self.forward != 0;
        Ok(())
    }

    /// Puts all settings into a config of Socket.IO that has its defaults.
    ///
    /// # Safety
    ///
    /// Its slices are as those of arguments.
    pub(crate) unsafe fn apply_socketio(&self, config: &mut HubConfig) -> Result<(), Failure> {
        // SAFETY: the caller's promise.
        unsafe { self.apply(&mut config.engine) }?;
        config.connection.connect_timeout = Duration::from_millis(self.connect_timeout_ms);
        config.connection.max_namespaces = self.max_namespaces;
        config.connection.max_pending_acks = self.max_pending_acks;
        config.connection.limits.max_attachments = self.max_attachments;
        config.connection.limits.max_size = self.max_event;
        if self.skip_overflow != 0 {
            config.overflow = Overflow::Skip;
        }
        Ok(())
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
