//! Commands for Engine.IO sessions, of servers and clients.

use enginewire::{
    Message, SendError,
    hub::{Broadcast, SessionId},
};

use crate::{
    code::{Failure, ew_code},
    handle::{self, ew_hub},
    hub::{Client, Engine, Hub},
    id::{self, Kind, ew_session},
    namespace::ew_delivered,
    slice::{self, ew_slice},
};

/// Queues a message for a session: text, or bytes if `binary` is not 0.
///
/// It is copied. After `EW_ERROR_FULL` comes `EW_OUTPUT_SESSION_WRITABLE`.
///
/// # Safety
///
/// Slices are as the rules in `README.md` say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_session_send(
    hub: ew_hub,
    session: ew_session,
    data: ew_slice,
    binary: u32,
) -> ew_code {
    handle::with(hub, |hub| {
        // SAFETY: the caller's promise.
        let message = unsafe { message(data, binary) }?;
        let sent = match &mut hub.engine {
            Engine::Server(server) => server.send(*hub.sessions.get(session)?, message),
            Engine::Client(client) => client.named(session)?.hub.send(message),
            _ => return Err(Failure::kind()),
        };
        Ok(sent.map_err(SendError::from)?)
    })
}

/// Queues a message for several sessions of a server.
///
/// If `sessions` is null and `session_count` zero, for all. `delivered` may be null. Sessions without room count as
/// skipped, and ids that have ended count nowhere.
///
/// # Safety
///
/// Pointers are as the rules in `README.md` say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_session_broadcast(
    hub: ew_hub,
    sessions: *const ew_session,
    session_count: usize,
    data: ew_slice,
    binary: u32,
    delivered: *mut ew_delivered,
) -> ew_code {
    handle::with(hub, |hub| {
        // SAFETY: the caller's promise.
        let message = unsafe { message(data, binary) }?;
        let Engine::Server(server) = &mut hub.engine else { return Err(Failure::kind()) };
        let to: Vec<SessionId> = match sessions.is_null() && session_count == 0 {
            true => server.session_ids().collect(),
            false => {
                // SAFETY: the same.
                let ids = unsafe { slice::array(sessions, session_count, "sessions") }?;
                ids.iter().filter_map(|&id| hub.sessions.get(id).ok().copied()).collect()
            }
        };
        let Broadcast { sent, full, .. } = server.broadcast(to, message);
        // SAFETY: the same.
        unsafe { ew_delivered { sent, skipped: full, disconnected: 0 }.write(delivered) }
    })
}

/// Closes a session behind what is queued. `EW_OUTPUT_SESSION_CLOSED` follows.
#[unsafe(no_mangle)]
pub extern "C" fn ew_session_close(hub: ew_hub, now_ns: u64, session: ew_session) -> ew_code {
    handle::with(hub, |hub| {
        let now = hub.tick(now_ns)?;
        match &mut hub.engine {
            Engine::Server(server) => server.close_session(now, *hub.sessions.get(session)?),
            Engine::Client(client) => client.named(session)?.hub.close(now),
            _ => return Err(Failure::kind()),
        }
        Ok(())
    })
}

/// Closes a session now. Everything queued is lost. `EW_OUTPUT_SESSION_CLOSED` follows.
#[unsafe(no_mangle)]
pub extern "C" fn ew_session_abort(hub: ew_hub, session: ew_session) -> ew_code {
    handle::with(hub, |hub| {
        match &mut hub.engine {
            Engine::Server(server) => server.abort_session(*hub.sessions.get(session)?),
            Engine::Client(client) => client.named(session)?.hub.abort(),
            _ => return Err(Failure::kind()),
        }
        Ok(())
    })
}

/// Takes no messages of a session for now. Servers only.
///
/// For an application that has no room for its replies. Once the limit of unread bytes is reached, the client is not
/// read.
#[unsafe(no_mangle)]
pub extern "C" fn ew_session_pause(hub: ew_hub, session: ew_session) -> ew_code {
    handle::with(hub, |hub| hub.set_paused(session, true))
}

/// Takes messages of a session again.
#[unsafe(no_mangle)]
pub extern "C" fn ew_session_resume(hub: ew_hub, session: ew_session) -> ew_code {
    handle::with(hub, |hub| hub.set_paused(session, false))
}

impl Hub {
    fn set_paused(&mut self, session: ew_session, paused: bool) -> Result<(), Failure> {
        let Engine::Server(server) = &mut self.engine else { return Err(Failure::kind()) };
        let session = *self.sessions.get(session)?;
        match paused {
            true => server.pause(session),
            false => server.resume(session),
        }
        Ok(())
    }
}

impl Client {
    /// Returns the client, if the id is that of its session.
    fn named(&mut self, session: ew_session) -> Result<&mut Self, Failure> {
        id::number(Kind::Session, session)?;
        if session == Self::SESSION { Ok(self) } else { Err(Failure::closed("session")) }
    }
}

/// Copies a message.
///
/// # Safety
///
/// The slice is as those of arguments.
unsafe fn message(data: ew_slice, binary: u32) -> Result<Message, Failure> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { data.bytes("data") }?;
    match binary {
        // SAFETY: the same.
        0 => unsafe { data.text("data") }.map(Message::from),
        _ => Ok(Message::from(bytes)),
    }
}
