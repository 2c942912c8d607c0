//! Commands for sockets of Socket.IO.

use std::time::Duration;

use enginewire_socketio::{
    ConnectError,
    hub::{Hub as SocketIo, SocketKey},
};

use crate::{
    code::{Failure, ew_code},
    event::Event,
    handle::{self, ew_hub},
    hub::{Engine, Hub},
    id::ew_socket,
    output::{ew_ack, ew_event},
    slice::{self, ew_slice},
};

/// Connects the client that `EW_OUTPUT_SOCKET_CONNECT` was about.
#[unsafe(no_mangle)]
pub extern "C" fn ew_socket_accept(hub: ew_hub, now_ns: u64, socket: ew_socket) -> ew_code {
    handle::with(hub, |hub| {
        let now = hub.tick(now_ns)?;
        let (hub, key) = hub.socket(socket)?;
        if hub.accept(now, key) { Ok(()) } else { Err(no_longer_waits()) }
    })
}

/// Refuses to connect the client that `EW_OUTPUT_SOCKET_CONNECT` was about.
///
/// The client has the message, and `data` if it is not empty: one JSON value. The id is of no more use.
///
/// # Safety
///
/// Slices are as the rules in `README.md` say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_socket_refuse(
    hub: ew_hub,
    now_ns: u64,
    socket: ew_socket,
    message: ew_slice,
    data: ew_slice,
) -> ew_code {
    handle::with(hub, |hub| {
        // SAFETY: the caller's promise.
        let mut error = ConnectError::new(unsafe { message.text("message") }?);
        // SAFETY: the same.
        let data = unsafe { data.bytes("data") }?;
        if !data.is_empty() {
            let data: serde_json::Value = serde_json::from_slice(data)
                .map_err(|error| Failure::argument(format_args!("data: {error}")))?;
            error = error.with_data(&data);
        }
        let now = hub.tick(now_ns)?;
        let (server, key) = hub.socket(socket)?;
        if !server.refuse(now, key, &error) {
            return Err(no_longer_waits());
        }
        hub.sockets.remove(key.index());
        Ok(())
    })
}

/// Disconnects a socket from its namespace, behind what is queued.
///
/// Its client may go on in other namespaces. `EW_OUTPUT_SOCKET_DISCONNECTED` follows. The socket of a client is
/// disconnected for good, and its id of no more use.
#[unsafe(no_mangle)]
pub extern "C" fn ew_socket_disconnect(hub: ew_hub, socket: ew_socket) -> ew_code {
    handle::with(hub, |hub| {
        let now = hub.now();
        if let Engine::SocketIoClient(client) = &mut hub.engine {
            return client.release(now, socket);
        }
        let (hub, key) = hub.socket(socket)?;
        hub.disconnect(key);
        Ok(())
    })
}

/// Disconnects all sockets of the client of a socket.
///
/// Its session is closed behind what is queued.
#[unsafe(no_mangle)]
pub extern "C" fn ew_socket_disconnect_client(
    hub: ew_hub,
    now_ns: u64,
    socket: ew_socket,
) -> ew_code {
    handle::with(hub, |hub| {
        let now = hub.tick(now_ns)?;
        let (hub, key) = hub.socket(socket)?;
        hub.disconnect_client(now, key);
        Ok(())
    })
}

/// Leaves further events of a socket in the connection of its client.
///
/// They count as unread there. For an application that has no room for its replies.
#[unsafe(no_mangle)]
pub extern "C" fn ew_socket_pause(hub: ew_hub, socket: ew_socket) -> ew_code {
    handle::with(hub, |hub| {
        if let Engine::SocketIoClient(client) = &mut hub.engine {
            let slot = client.slot(socket)?;
            client.hub.pause(slot);
            return Ok(());
        }
        let (hub, key) = hub.socket(socket)?;
        hub.pause(key);
        Ok(())
    })
}

/// Takes events of a socket again.
#[unsafe(no_mangle)]
pub extern "C" fn ew_socket_resume(hub: ew_hub, socket: ew_socket) -> ew_code {
    handle::with(hub, |hub| {
        if let Engine::SocketIoClient(client) = &mut hub.engine {
            let slot = client.slot(socket)?;
            client.hub.resume(slot);
            return Ok(());
        }
        let (hub, key) = hub.socket(socket)?;
        hub.resume(key);
        Ok(())
    })
}

/// Joins a connected socket to a room. It may be in there.
///
/// # Safety
///
/// Slices are as the rules in `README.md` say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_socket_join(hub: ew_hub, socket: ew_socket, room: ew_slice) -> ew_code {
    // SAFETY: the promise is the same.
    unsafe { change_room(hub, socket, room, SocketIo::join) }
}

/// Removes a connected socket from a room. It need not be in there.
///
/// # Safety
///
/// Slices are as the rules in `README.md` say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_socket_leave(
    hub: ew_hub,
    socket: ew_socket,
    room: ew_slice,
) -> ew_code {
    // SAFETY: the promise is the same.
    unsafe { change_room(hub, socket, room, SocketIo::leave) }
}

/// Writes the id of a connected socket, which is public. It is valid until the next poll.
///
/// # Safety
///
/// `id` is null or a slice can be written there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_socket_id(
    hub: ew_hub,
    socket: ew_socket,
    id: *mut ew_slice,
) -> ew_code {
    handle::with(hub, |hub| {
        let text = if let Engine::SocketIoClient(client) = &mut hub.engine {
            let slot = client.slot(socket)?;
            client.hub.id(slot).cloned()
        } else {
            let (server, key) = hub.socket(socket)?;
            server.id(key).cloned()
        };
        let text = text.ok_or_else(not_connected)?;
        // SAFETY: the caller's promise.
        unsafe { slice::write(id, hub.current.keep_id(&text), "id") }
    })
}

/// Queues an event for a socket.
///
/// It is copied. After `EW_ERROR_FULL` comes `EW_OUTPUT_SOCKET_WRITABLE`.
///
/// # Safety
///
/// Pointers are as the rules in `README.md` say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_socket_emit(
    hub: ew_hub,
    socket: ew_socket,
    event: *const ew_event,
) -> ew_code {
    handle::with(hub, |hub| {
        // SAFETY: the caller's promise.
        let event = unsafe { ew_event::read(event, "event") }?;
        if let Engine::SocketIoClient(client) = &mut hub.engine {
            let slot = client.slot(socket)?;
            return Ok(client.hub.send(slot, &event.named())?);
        }
        let (hub, key) = hub.socket(socket)?;
        Ok(hub.send(key, &event.named())?)
    })
}

/// Queues an event for a socket if it can be sent at once.
///
/// # Safety
///
/// Pointers are as the rules in `README.md` say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_socket_emit_volatile(
    hub: ew_hub,
    socket: ew_socket,
    event: *const ew_event,
) -> ew_code {
    handle::with(hub, |hub| {
        // SAFETY: the caller's promise.
        let event = unsafe { ew_event::read(event, "event") }?;
        if let Engine::SocketIoClient(client) = &mut hub.engine {
            let slot = client.slot(socket)?;
            return Ok(client.hub.send_volatile(slot, &event.named())?);
        }
        let (hub, key) = hub.socket(socket)?;
        Ok(hub.send_volatile(key, &event.named())?)
    })
}

/// Queues an event that the client is to acknowledge within `timeout_ms`.
///
/// `EW_OUTPUT_SOCKET_ACK` follows, once, with `token`. `UINT64_MAX` waits until the socket is disconnected.
///
/// # Safety
///
/// Pointers are as the rules in `README.md` say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_socket_emit_with_ack(
    hub: ew_hub,
    now_ns: u64,
    socket: ew_socket,
    event: *const ew_event,
    timeout_ms: u64,
    token: *mut u64,
) -> ew_code {
    handle::with(hub, |hub| {
        // SAFETY: the caller's promise. Before there is a token, so that none is lost.
        unsafe { slice::write(token, 0, "token") }?;
        // SAFETY: the same.
        let event = unsafe { ew_event::read(event, "event") }?;
        let (now, timeout) = (hub.tick(now_ns)?, Duration::from_millis(timeout_ms));
        let number = hub.fresh_token();
        if let Engine::SocketIoClient(client) = &mut hub.engine {
            let slot = client.slot(socket)?;
            let ask = client.hub.send_with_ack(now, slot, &event.named(), timeout)?;
            hub.client_asks.insert(ask, number);
        } else {
            let (server, key) = hub.socket(socket)?;
            let ask = server.send_with_ack(now, key, &event.named(), timeout)?;
            hub.asks.insert(ask, number);
        }
        // SAFETY: the same.
        unsafe { slice::write(token, number, "token") }
    })
}

/// Queues the acknowledgement of an event, which had `ack`. The name of `arguments` is ignored.
///
/// # Safety
///
/// Pointers are as the rules in `README.md` say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_socket_acknowledge(
    hub: ew_hub,
    socket: ew_socket,
    ack: ew_ack,
    arguments: *const ew_event,
) -> ew_code {
    handle::with(hub, |hub| {
        let (ack, session) = (ack.id(), ack.session);
        let ack = ack.ok_or_else(|| Failure::argument("the event wants no acknowledgement"))?;
        // SAFETY: the caller's promise.
        let Event { arguments, attachments, .. } =
            unsafe { ew_event::read(arguments, "arguments") }?;
        if let Engine::SocketIoClient(client) = &mut hub.engine {
            let slot = client.slot(socket)?;
            let client = &mut client.hub;
            return Ok(client.acknowledge(slot, session, ack, &arguments, attachments)?);
        }
        let (hub, key) = hub.socket(socket)?;
        Ok(hub.acknowledge_with(key, ack, &arguments, attachments)?)
    })
}

impl Hub {
    /// Returns the server of a socket, and its key there.
    fn socket(&mut self, socket: ew_socket) -> Result<(&mut SocketIo, SocketKey), Failure> {
        // The kind of the hub first: other hubs have no sockets.
        self.socketio()?;
        let key = *self.sockets.get(socket)?;
        Ok((self.socketio()?, key))
    }
}

/// Joins or leaves a room.
///
/// # Safety
///
/// The slice is as those of arguments.
unsafe fn change_room(
    hub: ew_hub,
    socket: ew_socket,
    room: ew_slice,
    change: impl FnOnce(&mut SocketIo, SocketKey, &str) -> bool,
) -> ew_code {
    handle::with(hub, |hub| {
        // SAFETY: the caller's promise.
        let room = unsafe { room.text("room") }?;
        let (hub, key) = hub.socket(socket)?;
        if !hub.is_connected(key) {
            return Err(not_connected());
        }
        change(hub, key, room);
        Ok(())
    })
}

fn not_connected() -> Failure {
    Failure::new(ew_code::EW_ERROR_CLOSED, "the socket is not connected")
}

fn no_longer_waits() -> Failure {
    Failure::new(ew_code::EW_ERROR_CLOSED, "the client no longer waits to be connected")
}
