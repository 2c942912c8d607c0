//! Clients of Socket.IO.

use std::{collections::BTreeMap, time::Duration};

use enginewire::{Reconnect, Url};
use enginewire_socketio::{
    Auth, DisconnectReason, Payload, Slot, Update,
    client_hub::{ClientHub, ClientHubConfig, ClientOutput, ConnectionId},
};
use serde_json::value::RawValue;

use crate::{
    client::ew_client_config,
    code::{Failure, enter, ew_code},
    config,
    entropy::ew_entropy,
    handle::{self, ew_hub},
    hub::{Engine, Hub},
    id::{self, Kind, Table, ew_connection, ew_index, ew_socket},
    output::{ew_ack, ew_output, ew_output_kind::*},
    slice::{self, ew_slice},
};

/// A client with the names that C has for its connections and sockets.
pub(crate) struct SocketIoClient {
    pub(crate) hub: ClientHub,
    connections: BTreeMap<u64, ConnectionId>,
    names: BTreeMap<ConnectionId, u64>,
    last_connection: u64,
    slots: Table<Slot>,
    sockets: BTreeMap<Slot, ew_socket>,
}

/// Creates a client of Socket.IO without sockets.
///
/// Arguments are those of `ew_hub_new_client`. The path of the URL is of no meaning.
///
/// # Safety
///
/// As `ew_hub_new_client`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_hub_new_socketio_client(
    url: ew_slice,
    config: *const ew_client_config,
    entropy: ew_entropy,
    hub: *mut ew_hub,
) -> ew_code {
    enter(|| {
        // SAFETY: a hub can be written there. Before there is one, so that none is lost.
        unsafe { slice::write(hub, 0, "hub") }?;
        // SAFETY: the caller promises a valid slice.
        let url = Url::parse(unsafe { url.text("url") }?).map_err(Failure::argument)?;
        let mut client = ClientHubConfig::new(&url);
        if !config.is_null() {
            // SAFETY: the caller promises a config whose size is set, and valid slices in it.
            let config = unsafe { config::read(config) }?;
            // SAFETY: the same.
            unsafe { config.apply(&mut client.engine) }?;
            client.manager.revision = client.engine.revision;
            client.manager.reconnect = config.reconnect();
            client.manager.max_offline = config.max_offline;
        }
        let client = SocketIoClient {
            hub: ClientHub::new(client, entropy.source()?),
            connections: BTreeMap::new(),
            names: BTreeMap::new(),
            last_connection: 0,
            slots: Table::new(Kind::Socket),
            sockets: BTreeMap::new(),
        };
        let created = Hub::new(Engine::SocketIoClient(Box::new(client)));
        // SAFETY: as above.
        unsafe { slice::write(hub, handle::insert(created), "hub") }
    })
}

/// Makes a socket of a namespace, and connects it until one side leaves.
///
/// `auth` is the payload for the server: one JSON value, or empty for none. If `asks` is not 0, `EW_OUTPUT_SOCKET_AUTH`
/// asks for it each time instead. There is one socket of each namespace. Clients of Socket.IO only.
///
/// # Safety
///
/// Pointers are as the rules in `README.md` say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_socket_open(
    hub: ew_hub,
    now_ns: u64,
    name_space: ew_slice,
    auth: ew_slice,
    asks: u32,
    socket: *mut ew_socket,
) -> ew_code {
    handle::with(hub, |hub| {
        // SAFETY: the caller's promise. Before there is a socket, so that none is lost.
        unsafe { slice::write(socket, 0, "socket") }?;
        // SAFETY: the same.
        let name_space = unsafe { name_space.text("name_space") }?;
        // SAFETY: the same.
        let auth = match (asks, unsafe { json(auth, "auth") }?) {
            (0, None) => Auth::None,
            (0, Some(auth)) => Auth::Payload(Payload::new(auth)?),
            _ => Auth::Ask,
        };
        let now = hub.tick(now_ns)?;
        let client = hub.socketio_client()?;
        let slot = client.hub.open(name_space, auth).ok_or_else(|| {
            Failure::argument("there is a socket of this namespace, or the client was closed")
        })?;
        client.hub.connect(now, slot);
        let index = client.slots.vacant();
        let id = client.slots.insert(index, slot);
        client.sockets.insert(slot, id);
        // SAFETY: as above.
        unsafe { slice::write(socket, id, "socket") }
    })
}

/// Gives the payload that `EW_OUTPUT_SOCKET_AUTH` asks for: one JSON value, or empty for none.
///
/// # Safety
///
/// Pointers are as the rules in `README.md` say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_socket_authorize(
    hub: ew_hub,
    now_ns: u64,
    socket: ew_socket,
    auth: ew_slice,
) -> ew_code {
    handle::with(hub, |hub| {
        // SAFETY: the caller's promise.
        let auth = unsafe { json(auth, "auth") }?;
        let now = hub.tick(now_ns)?;
        let client = hub.socketio_client()?;
        let slot = client.slot(socket)?;
        Ok(client.hub.authorize(now, slot, auth)?)
    })
}

/// Reads one JSON value, if there is any.
///
/// # Safety
///
/// The slice is as those of arguments.
unsafe fn json<'a>(json: ew_slice, name: &str) -> Result<Option<&'a RawValue>, Failure> {
    // SAFETY: the caller's promise.
    let json = unsafe { json.text(name) }?;
    if json.is_empty() {
        return Ok(None);
    }
    let invalid = |error| Failure::argument(format_args!("{name} is not JSON: {error}"));
    serde_json::from_str(json).map(Some).map_err(invalid)
}

impl ew_client_config {
    fn reconnect(&self) -> Option<Reconnect> {
        (self.reconnect != 0).then(|| {
            let reconnect = Reconnect::default()
                .with_delay(Duration::from_millis(self.reconnect_delay_ms))
                .with_max_delay(Duration::from_millis(self.reconnect_max_delay_ms));
            match self.reconnect_attempts {
                0 => reconnect,
                attempts => reconnect.with_attempts(attempts),
            }
        })
    }
}

impl SocketIoClient {
    /// Returns the connection of an id, if the hub knows it.
    pub(crate) fn connection(&self, id: ew_connection) -> Result<ConnectionId, Failure> {
        id::number(Kind::Connection, id)?;
        let on = self.connections.get(&id).copied();
        on.filter(|&on| self.hub.address(on).is_some()).ok_or_else(|| Failure::closed("connection"))
    }

    /// Forgets the name of a connection.
    pub(crate) fn forget(&mut self, on: ConnectionId) {
        if let Some(id) = self.names.remove(&on) {
            self.connections.remove(&id);
        }
    }

    /// Returns the id of a connection, a fresh one if it has none.
    fn name(&mut self, on: ConnectionId) -> ew_connection {
        if let Some(&id) = self.names.get(&on) {
            return id;
        }
        self.last_connection += 1;
        let id = id::of_number(Kind::Connection, self.last_connection);
        self.names.insert(on, id);
        self.connections.insert(id, on);
        id
    }

    pub(crate) fn slot(&self, socket: ew_socket) -> Result<Slot, Failure> {
        self.slots.get(socket).copied()
    }

    /// Disconnects a socket, and lets go of its id.
    pub(crate) fn release(
        &mut self,
        now: enginewire::Time,
        socket: ew_socket,
    ) -> Result<(), Failure> {
        let slot = self.slot(socket)?;
        self.hub.release(now, slot);
        self.slots.remove(ew_index(socket) as usize);
        self.sockets.remove(&slot);
        Ok(())
    }
}

impl Hub {
    pub(crate) fn socketio_client(&mut self) -> Result<&mut SocketIoClient, Failure> {
        match &mut self.engine {
            Engine::SocketIoClient(client) => Ok(client),
            _ => Err(Failure::kind()),
        }
    }

    pub(crate) fn socketio_client_output(&mut self, output: ClientOutput) -> Option<ew_output> {
        let Engine::SocketIoClient(client) = &mut self.engine else { return None };
        let new = ew_output::new;
        let socket = |kind, client: &SocketIoClient, slot| {
            let mut output = new(kind);
            // Nothing is told of a socket that was let go.
            output.socket = *client.sockets.get(&slot)?;
            Some(output)
        };
        match output {
            ClientOutput::Connect(on) | ClientOutput::Encrypt(on) => {
                let encrypts = matches!(&output, ClientOutput::Encrypt(_));
                let mut output = new(if encrypts { EW_OUTPUT_ENCRYPT } else { EW_OUTPUT_OPEN });
                output.connection = client.name(on);
                if let Some(url) = client.hub.address(on) {
                    self.current.address(&mut output, url);
                }
                Some(output)
            }
            ClientOutput::Write(on) => {
                let mut output = new(EW_OUTPUT_WRITE);
                output.connection = client.name(on);
                Some(output)
            }
            ClientOutput::Close(on) => {
                let mut output = new(EW_OUTPUT_CLOSE);
                output.connection = client.name(on);
                client.forget(on);
                Some(output)
            }
            ClientOutput::Auth(slot) => socket(EW_OUTPUT_SOCKET_AUTH, client, slot),
            ClientOutput::Writable(slot) => socket(EW_OUTPUT_SOCKET_WRITABLE, client, slot),
            ClientOutput::Acknowledged(ask, result) => {
                let mut output = new(EW_OUTPUT_SOCKET_ACK);
                output.socket = client.sockets.get(&ask.socket()).copied().unwrap_or_default();
                output.token = self.client_asks.remove(&ask)?;
                let spell = DisconnectReason::as_str_of_client;
                self.current.acknowledgement(&mut output, result, spell);
                Some(output)
            }
            ClientOutput::Closed { .. } => Some(new(EW_OUTPUT_CLIENT_CLOSED)),
            ClientOutput::Update(slot, update) => match update {
                Update::Connected { id, .. } => {
                    let mut output = socket(EW_OUTPUT_SOCKET_CONNECTED, client, slot)?;
                    output.name = self.current.keep_id(&id);
                    Some(output)
                }
                Update::Event { event, connection } => {
                    let mut output = socket(EW_OUTPUT_SOCKET_EVENT, client, slot)?;
                    output.ack = ew_ack::of(event.ack(), connection);
                    output.event = self.current.event(event);
                    Some(output)
                }
                Update::Disconnected { reason, .. } => {
                    let mut output = socket(EW_OUTPUT_SOCKET_DISCONNECTED, client, slot)?;
                    output.reason = ew_slice::of(reason.as_str_of_client().as_bytes());
                    output.detail = output.reason;
                    Some(output)
                }
                Update::Refused(error) => {
                    let mut output = socket(EW_OUTPUT_SOCKET_REFUSED, client, slot)?;
                    self.current.refusal(&mut output, &error);
                    Some(output)
                }
                Update::Failed(reason) => {
                    let mut output = socket(EW_OUTPUT_SOCKET_FAILED, client, slot)?;
                    self.current.reason(&mut output, reason.as_str(), &reason);
                    Some(output)
                }
                Update::Waiting { .. } => socket(EW_OUTPUT_SOCKET_WAITING, client, slot),
                _ => None,
            },
            _ => None,
        }
    }
}
