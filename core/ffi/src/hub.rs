//! Connections and time, which all hubs have in common.

use std::{collections::BTreeMap, ffi::c_void, time::Duration};

use enginewire::{
    ClientConnectionId, ClientHub, ServerHub, Time,
    hub::{ConnectionId, SessionId},
};
use enginewire_socketio::{
    client_hub::ClientAskId,
    hub::{AskId, GroupId, Hub as SocketIo, SocketKey},
};

use crate::{
    code::{Failure, ew_code},
    entropy::Source,
    handle::{self, ew_hub},
    id::{self, Kind, Table, ew_connection, ew_index, ew_session},
    poll::Current,
    request::Pending,
    slice,
    socketio_client::SocketIoClient,
};

/// Deadline that never comes.
pub const EW_NEVER: u64 = u64::MAX;

/// Function that writes bytes to a socket. Returns how many it has taken, 0 if it failed.
///
/// It must not use the hub.
pub type ew_write =
    Option<unsafe extern "C" fn(context: *mut c_void, bytes: *const u8, length: usize) -> usize>;

/// A hub with the names that C has for its connections, sessions and sockets.
pub(crate) struct Hub {
    pub(crate) engine: Engine,
    now_ns: u64,
    pub(crate) connections: Table<ConnectionId>,
    pub(crate) sessions: Table<SessionId>,
    pub(crate) sockets: Table<SocketKey>,
    /// Requests that wait for the application, by the index of their connections.
    pub(crate) pending: Table<Pending>,
    /// Numbers of events that clients are to acknowledge.
    pub(crate) asks: BTreeMap<AskId, u64>,
    pub(crate) client_asks: BTreeMap<ClientAskId, u64>,
    pub(crate) groups: BTreeMap<GroupId, u64>,
    last_token: u64,
    pub(crate) current: Current,
}

pub(crate) enum Engine {
    Server(Box<ServerHub>),
    Client(Box<Client>),
    SocketIo(Box<SocketIo>),
    SocketIoClient(Box<SocketIoClient>),
}

pub(crate) struct Client {
    pub(crate) hub: ClientHub,
    pub(crate) entropy: Source,
}

impl Client {
    /// A client has one session.
    pub(crate) const SESSION: ew_session = id::FIRST_SESSION;

    /// Returns the connection of an id, if the hub knows it.
    fn connection(&self, id: ew_connection) -> Result<ClientConnectionId, Failure> {
        let number = id::number(Kind::Connection, id)?;
        let connection = ClientConnectionId(number);
        let known = self.hub.address(connection).is_some();
        known.then_some(connection).ok_or_else(|| Failure::closed("connection"))
    }
}

/// Calls a method that both servers have, or says that clients do not.
macro_rules! server {
    ($hub:expr, $server:ident => $call:expr) => {
        match &mut $hub.engine {
            Engine::Server($server) => $call,
            Engine::SocketIo($server) => $call,
            Engine::Client(_) | Engine::SocketIoClient(_) => return Err(Failure::kind()),
        }
    };
}
pub(crate) use server;

impl Hub {
    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            engine,
            now_ns: 0,
            connections: Table::new(Kind::Connection),
            sessions: Table::new(Kind::Session),
            sockets: Table::new(Kind::Socket),
            pending: Table::new(Kind::Connection),
            asks: BTreeMap::new(),
            client_asks: BTreeMap::new(),
            groups: BTreeMap::new(),
            last_token: 0,
            current: Current::default(),
        }
    }

    /// Checks that the clock does not go backwards.
    pub(crate) fn tick(&mut self, now_ns: u64) -> Result<Time, Failure> {
        if now_ns < self.now_ns {
            let text = format!("now_ns went backwards, from {} to {now_ns}", self.now_ns);
            return Err(Failure::argument(text));
        }
        self.now_ns = now_ns;
        Ok(Time::from_nanos(now_ns))
    }

    /// Returns the latest time that the hub was told.
    pub(crate) const fn now(&self) -> Time {
        Time::from_nanos(self.now_ns)
    }

    pub(crate) fn socketio(&mut self) -> Result<&mut SocketIo, Failure> {
        match &mut self.engine {
            Engine::SocketIo(hub) => Ok(hub),
            _ => Err(Failure::kind()),
        }
    }

    pub(crate) const fn fresh_token(&mut self) -> u64 {
        self.last_token += 1;
        self.last_token
    }

    /// Forgets the name of a connection.
    pub(crate) fn retire(&mut self, index: usize) {
        self.connections.remove(index);
        self.pending.remove(index);
    }
}

/// Handles something that has happened to a connection.
macro_rules! input {
    ($hub:expr, $now:expr, $connection:expr, $engine:ident, $on:ident, $now_name:ident => $call:expr) => {
        handle::with($hub, |hub| {
            let $now_name = hub.tick($now)?;
            match &mut hub.engine {
                Engine::Server($engine) => {
                    let $on = *hub.connections.get($connection)?;
                    $call;
                }
                Engine::SocketIo($engine) => {
                    let $on = *hub.connections.get($connection)?;
                    $call;
                }
                Engine::Client(client) => {
                    let $on = client.connection($connection)?;
                    let $engine = &mut client.hub;
                    $call;
                }
                Engine::SocketIoClient(client) => {
                    let $on = client.connection($connection)?;
                    let $engine = &mut client.hub;
                    $call;
                }
            }
            Ok(())
        })
    };
}

/// Handles a connection that was accepted. Servers only.
///
/// # Safety
///
/// `connection` is null or an id can be written there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_hub_accept(
    hub: ew_hub,
    now_ns: u64,
    connection: *mut ew_connection,
) -> ew_code {
    handle::with(hub, |hub| {
        let now = hub.tick(now_ns)?;
        // SAFETY: an id can be written there. Before there is one, so that none is lost.
        unsafe { slice::write(connection, 0, "connection") }?;
        let on = server!(hub, server => server.handle_accepted(now));
        let id = hub.connections.insert(on.index(), on);
        // SAFETY: as above.
        unsafe { slice::write(connection, id, "connection") }
    })
}

/// Handles a connection of `EW_OUTPUT_OPEN` that is there, or of `EW_OUTPUT_ENCRYPT` that is encrypted. Clients only.
///
/// `EW_ERROR_CLOSED` says that it is not wanted any more: close it.
#[unsafe(no_mangle)]
pub extern "C" fn ew_hub_connected(hub: ew_hub, now_ns: u64, connection: ew_connection) -> ew_code {
    handle::with(hub, |hub| {
        let now = hub.tick(now_ns)?;
        match &mut hub.engine {
            Engine::Client(client) => {
                let on = client.connection(connection)?;
                client.hub.handle_connected(now, on);
            }
            Engine::SocketIoClient(client) => {
                let on = client.connection(connection)?;
                client.hub.handle_connected(now, on);
            }
            _ => return Err(Failure::kind()),
        }
        Ok(())
    })
}

/// Handles a connection that could not be opened or encrypted. Clients only.
#[unsafe(no_mangle)]
pub extern "C" fn ew_hub_refused(hub: ew_hub, now_ns: u64, connection: ew_connection) -> ew_code {
    handle::with(hub, |hub| {
        let now = hub.tick(now_ns)?;
        match &mut hub.engine {
            Engine::Client(client) => {
                let on = client.connection(connection)?;
                client.hub.handle_refused(now, on);
            }
            Engine::SocketIoClient(client) => {
                let on = client.connection(connection)?;
                client.hub.handle_refused(now, on);
                client.forget(on);
            }
            _ => return Err(Failure::kind()),
        }
        Ok(())
    })
}

/// Handles bytes that came on a connection. They are changed: payloads are unmasked where they lie.
///
/// # Safety
///
/// `bytes` points to `length` bytes, which belong to the hub during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_hub_receive(
    hub: ew_hub,
    now_ns: u64,
    connection: ew_connection,
    bytes: *mut u8,
    length: usize,
) -> ew_code {
    input!(hub, now_ns, connection, engine, on, now => {
        // SAFETY: the caller's promise.
        engine.handle_bytes(now, on, unsafe { slice::bytes_mut(bytes, length, "bytes") }?);
    })
}

/// Handles that the peer has closed its side of a connection. There is nothing more to read.
#[unsafe(no_mangle)]
pub extern "C" fn ew_hub_eof(hub: ew_hub, now_ns: u64, connection: ew_connection) -> ew_code {
    input!(hub, now_ns, connection, engine, on, now => engine.handle_eof(now, on))
}

/// Handles that a connection has failed, or that the event loop has closed it.
///
/// The id is of no more use, and no `EW_OUTPUT_CLOSE` follows.
#[unsafe(no_mangle)]
pub extern "C" fn ew_hub_lost(hub: ew_hub, now_ns: u64, connection: ew_connection) -> ew_code {
    handle::with(hub, |hub| {
        let now = hub.tick(now_ns)?;
        match &mut hub.engine {
            Engine::Client(client) => {
                let on = client.connection(connection)?;
                client.hub.handle_lost(now, on);
                return Ok(());
            }
            Engine::SocketIoClient(client) => {
                let on = client.connection(connection)?;
                client.hub.handle_lost(now, on);
                client.forget(on);
                return Ok(());
            }
            Engine::Server(server) => {
                server.handle_lost(now, *hub.connections.get(connection)?);
            }
            Engine::SocketIo(server) => {
                server.handle_lost(now, *hub.connections.get(connection)?);
            }
        }
        hub.retire(ew_index(connection) as usize);
        Ok(())
    })
}

/// Handles that a connection can be written to again.
#[unsafe(no_mangle)]
pub extern "C" fn ew_hub_writable(hub: ew_hub, now_ns: u64, connection: ew_connection) -> ew_code {
    input!(hub, now_ns, connection, engine, on, now => engine.handle_writable(now, on))
}

/// Writes what is queued for a connection, as `EW_OUTPUT_WRITE` asks.
///
/// `write` is called with bytes until all are written, or it takes fewer than it was given. In the latter case the
/// connection is blocked, until `ew_hub_writable`. If it failed, call `ew_hub_lost` next.
///
/// # Safety
///
/// `write` can be called with `context`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_hub_transmit(
    hub: ew_hub,
    now_ns: u64,
    connection: ew_connection,
    write: ew_write,
    context: *mut c_void,
) -> ew_code {
    input!(hub, now_ns, connection, engine, on, now => {
        let write = write.ok_or_else(|| Failure::argument("write is null"))?;
        let mut excess = false;
        engine.transmit(now, on, |bytes| {
            // SAFETY: the caller's promise.
            let taken = unsafe { write(context, bytes.as_ptr(), bytes.len()) };
            excess |= taken > bytes.len();
            taken.min(bytes.len())
        });
        if excess {
            return Err(Failure::argument("write has taken more bytes than it was given"));
        }
    })
}

/// Handles deadlines that have passed. Does nothing before that of `ew_hub_deadline`.
///
/// First hand over what can be read: after a pause of the process, signs of life may wait there.
#[unsafe(no_mangle)]
pub extern "C" fn ew_hub_timeout(hub: ew_hub, now_ns: u64) -> ew_code {
    handle::with(hub, |hub| {
        let now = hub.tick(now_ns)?;
        match &mut hub.engine {
            Engine::Server(server) => server.handle_timeout(now),
            Engine::Client(client) => client.hub.handle_timeout(now),
            Engine::SocketIoClient(client) => client.hub.handle_timeout(now),
            Engine::SocketIo(server) => server.handle_timeout(now),
        }
        Ok(())
    })
}

/// Writes when to call `ew_hub_timeout`: a time as `now_ns`, or `EW_NEVER`.
///
/// Any other call changes it.
///
/// # Safety
///
/// `deadline_ns` is null or a number can be written there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_hub_deadline(hub: ew_hub, deadline_ns: *mut u64) -> ew_code {
    handle::with(hub, |hub| {
        let deadline = match &mut hub.engine {
            Engine::Server(server) => server.poll_timeout(),
            Engine::Client(client) => client.hub.poll_timeout(),
            Engine::SocketIoClient(client) => client.hub.poll_timeout(),
            Engine::SocketIo(server) => server.poll_timeout(),
        };
        let deadline = deadline.map_or(EW_NEVER, Time::as_nanos);
        // SAFETY: the caller's promise.
        unsafe { slice::write(deadline_ns, deadline, "deadline_ns") }
    })
}

/// Sets the wall clock: at `now_ns`, so many milliseconds have passed since 1970. Servers only.
///
/// Responses have a `Date` from then on. Call it again from time to time, because a wall clock can be adjusted.
#[unsafe(no_mangle)]
pub extern "C" fn ew_hub_set_wall_clock(hub: ew_hub, now_ns: u64, unix_ms: u64) -> ew_code {
    handle::with(hub, |hub| {
        let (now, since_1970) = (hub.tick(now_ns)?, Duration::from_millis(unix_ms));
        server!(hub, server => server.set_wall_clock(now, since_1970));
        Ok(())
    })
}

/// Returns whether to read from a connection.
///
/// Nothing breaks if the loop reads nevertheless. Then a slow peer or application makes the hub hold more than its
/// limits say.
#[unsafe(no_mangle)]
pub extern "C" fn ew_hub_is_reading(hub: ew_hub, connection: ew_connection) -> ew_code {
    handle::with(hub, |hub| {
        Ok(match &hub.engine {
            Engine::Server(server) => server.is_reading(*hub.connections.get(connection)?),
            Engine::Client(client) => client.hub.is_reading(client.connection(connection)?),
            Engine::SocketIoClient(client) => client.hub.is_reading(client.connection(connection)?),
            Engine::SocketIo(server) => server.is_reading(*hub.connections.get(connection)?),
        })
    })
}

/// Returns whether to accept connections: fewer are open than the config allows. Servers only.
#[unsafe(no_mangle)]
pub extern "C" fn ew_hub_is_accepting(hub: ew_hub) -> ew_code {
    handle::with(hub, |hub| Ok(server!(hub, server => server.is_accepting())))
}

/// Returns whether the hub was closed, and all its sessions and connections have ended.
#[unsafe(no_mangle)]
pub extern "C" fn ew_hub_is_finished(hub: ew_hub) -> ew_code {
    handle::with(hub, |hub| {
        Ok(match &hub.engine {
            Engine::Server(server) => server.is_finished(),
            Engine::Client(client) => client.hub.is_finished(),
            Engine::SocketIoClient(client) => client.hub.is_finished(),
            Engine::SocketIo(server) => server.is_finished(),
        })
    })
}

/// Closes all sessions behind what is queued, and opens no more.
///
/// The event loop goes on until `ew_hub_is_finished`.
#[unsafe(no_mangle)]
pub extern "C" fn ew_hub_close(hub: ew_hub, now_ns: u64) -> ew_code {
    handle::with(hub, |hub| {
        let now = hub.tick(now_ns)?;
        match &mut hub.engine {
            Engine::Server(server) => server.close(now),
            Engine::Client(client) => client.hub.close(now),
            Engine::SocketIoClient(client) => client.hub.close(now),
            Engine::SocketIo(server) => server.close(now),
        }
        Ok(())
    })
}

/// Closes all sessions and connections now. Everything queued is lost.
#[unsafe(no_mangle)]
pub extern "C" fn ew_hub_abort(hub: ew_hub, now_ns: u64) -> ew_code {
    handle::with(hub, |hub| {
        let now = hub.tick(now_ns)?;
        match &mut hub.engine {
            Engine::Server(server) => server.abort(now),
            Engine::Client(client) => client.hub.abort(),
            Engine::SocketIoClient(client) => {
                client.hub.close(now);
                client.hub.abort();
            }
            Engine::SocketIo(server) => server.abort(now),
        }
        Ok(())
    })
}
