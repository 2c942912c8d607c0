//! Clients of Engine.IO.

use std::{sync::Arc, time::Duration};

use enginewire::{
    ClientConfig, ClientHub, Proxies, Proxy, Reconnect, Revision, Time, TransportKind, Url,
};
use enginewire_socketio::ManagerConfig;

use crate::{
    code::{Failure, enter, ew_code},
    config::{self, millis},
    entropy::ew_entropy,
    handle::{self, ew_hub},
    hub::{Client, Engine, Hub},
    id::ew_session,
    slice::{self, ew_slice},
};

/// Header field of requests.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ew_header {
    /// Name of the field.
    pub name: ew_slice,
    /// Value of the field.
    pub value: ew_slice,
}

/// Configuration of a client. Set `size`, call `ew_client_config_default`, then change fields.
///
/// Times are in milliseconds, sizes in bytes. Flags are 0 or 1.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ew_client_config {
    /// `sizeof(ew_client_config)`, by which a program of another version is noticed.
    pub size: usize,
    /// Path of the server. Empty: that of the URL, or `/engine.io/` if it has none; `/socket.io/` with Socket.IO.
    pub path: ew_slice,
    /// Header fields of all requests. Default null.
    pub headers: *const ew_header,
    /// Number of `headers`. Default 0.
    pub header_count: usize,
    /// Whether the session may use HTTP long-polling. Default 1.
    pub polling: u8,
    /// Whether the session may use a WebSocket. Default 1.
    pub websocket: u8,
    /// Whether the session moves from polling to a WebSocket. Default 1.
    pub upgrade: u8,
    /// Whether a session that does not open on one transport is tried on the next. Default 0.
    pub try_all_transports: u8,
    /// Whether revision 3 is spoken, for servers of Socket.IO 2.x. Default 0.
    pub eio3: u8,
    /// Time that the session may take to open. Default 20 000.
    pub open_timeout_ms: u64,
    /// Time that an upgrade may take. Default 10 000.
    pub upgrade_timeout_ms: u64,
    /// Time that a closing session waits for the server to take what is queued. Default 30 000.
    pub close_timeout_ms: u64,
    /// Time for the server's part of a close. Default 2 000.
    pub linger_ms: u64,
    /// Limit on a received message. Default 100 MiB.
    pub max_payload: usize,
    /// Bytes queued from which on sending gives `EW_ERROR_FULL`. Default 1 MiB.
    pub max_queued: usize,
    /// Unread bytes from which on the server is not read. Default 1 MiB.
    pub max_unread: usize,
    /// HTTP proxy, such as `http://user:password@proxy.example:3128`. Default empty: none.
    ///
    /// `EW_OUTPUT_OPEN` names the proxy then, and `EW_OUTPUT_ENCRYPT` the server, if that has TLS.
    pub proxy: ew_slice,
    /// Servers that are connected to without the proxy, in the form of the variable `NO_PROXY`. Default empty.
    pub no_proxy: ew_slice,
    /// Whether a lost connection is opened again. Socket.IO. Default 1.
    pub reconnect: u8,
    /// Limit on attempts in a row, 0 for none. Socket.IO. Default 0.
    pub reconnect_attempts: u32,
    /// First delay between two attempts, which doubles. Socket.IO. Default 1 000.
    pub reconnect_delay_ms: u64,
    /// Limit on the delay between two attempts. Socket.IO. Default 5 000.
    pub reconnect_max_delay_ms: u64,
    /// Bytes of events of a socket that wait for a connection. Socket.IO. Default 1 MiB.
    pub max_offline: usize,
}

impl config::Config for ew_client_config {}

/// Sets the defaults.
///
/// # Safety
///
/// `config` is null or points to a config whose `size` is set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_client_config_default(config: *mut ew_client_config) -> ew_code {
    let defaults = match Url::parse("http://localhost") {
        Ok(url) => ew_client_config::new(&ClientConfig::new(&url)),
        Err(error) => return enter(|| Err::<(), _>(Failure::argument(error))),
    };
    // SAFETY: the promise is the same.
    unsafe { config::set_default(config, defaults) }
}

/// Creates a client, and begins to open its only session.
///
/// `url` is that of the server, such as `http://localhost:3000`. `config` may be null, for the defaults. Neither is used
/// after the call. `session` is the id to send with.
///
/// # Safety
///
/// Pointers are as the rules in `README.md` say, and `entropy` for as long as the hub.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_hub_new_client(
    now_ns: u64,
    url: ew_slice,
    config: *const ew_client_config,
    entropy: ew_entropy,
    hub: *mut ew_hub,
    session: *mut ew_session,
) -> ew_code {
    enter(|| {
        // SAFETY: ids can be written there. Before there are any, so that none is lost.
        unsafe { slice::write(hub, 0, "hub") }?;
        // SAFETY: the same.
        unsafe { slice::write(session, 0, "session") }?;
        // SAFETY: the caller promises a valid slice.
        let url = Url::parse(unsafe { url.text("url") }?).map_err(Failure::argument)?;
        let mut client = ClientConfig::new(&url);
        if !config.is_null() {
            // SAFETY: the caller promises a config whose size is set, and valid slices in it.
            unsafe { config::read(config)?.apply(&mut client) }?;
        }
        let (now, mut entropy) = (Time::from_nanos(now_ns), entropy.source()?);
        let client = ClientHub::new(now, &url, Arc::new(client), false, &mut entropy);
        let client = Engine::Client(Box::new(Client { hub: client, entropy }));
        let mut created = Hub::new(client);
        created.tick(now_ns)?;
        // SAFETY: as above.
        unsafe { slice::write(session, Client::SESSION, "session") }?;
        // SAFETY: as above.
        unsafe { slice::write(hub, handle::insert(created), "hub") }
    })
}

impl ew_client_config {
    fn new(config: &ClientConfig) -> Self {
        let reconnect = Reconnect::default();
        Self {
            size: size_of::<Self>(),
            path: ew_slice::EMPTY,
            headers: std::ptr::null(),
            header_count: 0,
            polling: config.transports.contains(&TransportKind::Polling).into(),
            websocket: config.transports.contains(&TransportKind::WebSocket).into(),
            upgrade: config.upgrade.into(),
            try_all_transports: config.try_all_transports.into(),
            eio3: (config.revision == Revision::V3).into(),
            open_timeout_ms: millis(config.open_timeout),
            upgrade_timeout_ms: millis(config.upgrade_timeout),
            close_timeout_ms: millis(config.close_timeout),
            linger_ms: millis(config.linger),
            max_payload: config.limits.max_payload,
            max_queued: config.limits.max_queued,
            max_unread: config.limits.max_unread,
            proxy: ew_slice::EMPTY,
            no_proxy: ew_slice::EMPTY,
            reconnect: 1,
            reconnect_attempts: reconnect.attempts.unwrap_or_default(),
            reconnect_delay_ms: millis(reconnect.delay),
            reconnect_max_delay_ms: millis(reconnect.max_delay),
            max_offline: ManagerConfig::default().max_offline,
        }
    }

    /// Puts the settings into a config that has its defaults.
    ///
    /// # Safety
    ///
    /// Its slices are as those of arguments.
    pub(crate) unsafe fn apply(&self, config: &mut ClientConfig) -> Result<(), Failure> {
        // SAFETY: the caller's promise.
        let path = unsafe { self.path.text("config.path") }?;
        if !path.is_empty() {
            config.path = path.into();
        }
        // SAFETY: the same.
        let headers = unsafe { slice::array(self.headers, self.header_count, "config.headers") }?;
        for header in headers {
            // SAFETY: the same.
            let name = unsafe { header.name.text("the name of a header") }?;
            // SAFETY: the same.
            let value = unsafe { header.value.bytes("the value of a header") }?;
            config.push_header(name, value).map_err(Failure::argument)?;
        }
        config.transports =
            [(self.polling, TransportKind::Polling), (self.websocket, TransportKind::WebSocket)]
                .into_iter()
                .filter_map(|(flag, transport)| (flag != 0).then_some(transport))
                .collect();
        if config.transports.is_empty() {
            return Err(Failure::argument("config allows no transport"));
        }
        // SAFETY: the same.
        let proxy = unsafe { self.proxy.text("config.proxy") }?;
        // SAFETY: the same.
        let no_proxy = unsafe { self.no_proxy.text("config.no_proxy") }?;
        if !proxy.is_empty() {
            config.proxies = Proxies::all(Proxy::parse(proxy).map_err(Failure::argument)?);
            config.proxies.add_exceptions(no_proxy);
        }
        config.upgrade = self.upgrade != 0;
        config.try_all_transports = self.try_all_transports != 0;
        config.revision = if self.eio3 != 0 { Revision::V3 } else { Revision::V4 };
        config.open_timeout = Duration::from_millis(self.open_timeout_ms);
        config.upgrade_timeout = Duration::from_millis(self.upgrade_timeout_ms);
        config.close_timeout = Duration::from_millis(self.close_timeout_ms);
        config.linger = Duration::from_millis(self.linger_ms);
        config.limits.max_payload = self.max_payload;
        config.limits.max_queued = self.max_queued;
        config.limits.max_unread = self.max_unread;
        Ok(())
    }
}
