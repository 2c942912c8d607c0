//! Requests that wait for the application.

use enginewire::{
    Refusal, Response,
    hub::{AskId, RequestId},
};

use crate::{
    code::{Failure, ew_code},
    handle::{self, ew_hub},
    hub::{Engine, Hub},
    id::{ew_connection, ew_index},
    slice::{self, ew_slice},
};

/// Request that waits for the application.
#[derive(Clone, Copy)]
pub(crate) enum Pending {
    Ask(AskId),
    Request(RequestId),
}

/// Lets the session open that `EW_OUTPUT_ASK` was about.
#[unsafe(no_mangle)]
pub extern "C" fn ew_request_allow(hub: ew_hub, connection: ew_connection) -> ew_code {
    handle::with(hub, |hub| {
        let ask = hub.take_ask(connection)?;
        let allowed = match &mut hub.engine {
            Engine::Server(server) => server.allow(ask),
            Engine::SocketIo(server) => server.allow_session(ask),
            _ => return Err(Failure::kind()),
        };
        done(allowed)
    })
}

/// Refuses to open the session that `EW_OUTPUT_ASK` was about.
///
/// The response has a status of 400 to 499, and a message for the client.
///
/// # Safety
///
/// Slices are as the rules in `README.md` say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_request_refuse(
    hub: ew_hub,
    connection: ew_connection,
    status: u32,
    message: ew_slice,
) -> ew_code {
    handle::with(hub, |hub| {
        let status = u16::try_from(status).ok().filter(|status| (400..500).contains(status));
        let status = status.ok_or_else(|| Failure::argument("status is not 400 to 499"))?;
        // SAFETY: the caller's promise.
        let message = unsafe { message.text("message") }?;
        let refusal = Refusal::new(message.to_owned()).with_status(status);
        let ask = hub.take_ask(connection)?;
        let refused = match &mut hub.engine {
            Engine::Server(server) => server.refuse(ask, refusal),
            Engine::SocketIo(server) => server.refuse_session(ask, refusal),
            _ => return Err(Failure::kind()),
        };
        done(refused)
    })
}

/// Responds to the request that `EW_OUTPUT_REQUEST` was about.
///
/// # Safety
///
/// Slices are as the rules in `README.md` say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_request_respond(
    hub: ew_hub,
    connection: ew_connection,
    status: u32,
    content_type: ew_slice,
    body: ew_slice,
) -> ew_code {
    handle::with(hub, |hub| {
        let status = u16::try_from(status).ok().filter(|status| (200..600).contains(status));
        let status = status.ok_or_else(|| Failure::argument("status is not 200 to 599"))?;
        // SAFETY: the caller's promise.
        let content_type = unsafe { content_type.text("content_type") }?;
        // SAFETY: the same.
        let body = unsafe { body.bytes("body") }?;
        let mut response = Response::empty(status);
        response.body = body.to_vec().into();
        if !content_type.is_empty() {
            let pushed = response.headers.push("Content-Type", content_type);
            pushed.map_err(Failure::argument)?;
        }
        let request = hub.take_pending(connection, |pending| match pending {
            Pending::Request(request) => Some(request),
            Pending::Ask(_) => None,
        })?;
        done(crate::hub::server!(hub, server => server.respond(request, response)))
    })
}

/// Writes the value of a header field in the request of the last output.
///
/// It is the first field with this name, which may have any case. Returns `EW_YES` if there is one, and `EW_OK` if not.
/// The value is valid until the next poll.
///
/// # Safety
///
/// Slices are as the rules in `README.md` say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_request_header(
    hub: ew_hub,
    name: ew_slice,
    value: *mut ew_slice,
) -> ew_code {
    handle::with(hub, |hub| {
        // SAFETY: the caller's promise.
        let name = unsafe { name.text("name") }?;
        let head = hub.current.head().ok_or_else(|| {
            Failure::new(ew_code::EW_ERROR_CLOSED, "the last output has no request")
        })?;
        let found = head.header(name);
        // SAFETY: the same.
        unsafe { slice::write(value, found.map_or(ew_slice::EMPTY, ew_slice::of), "value") }?;
        Ok(found.is_some())
    })
}

impl Hub {
    fn take_ask(&mut self, connection: ew_connection) -> Result<AskId, Failure> {
        self.take_pending(connection, |pending| match pending {
            Pending::Ask(ask) => Some(ask),
            Pending::Request(_) => None,
        })
    }

    /// Takes what waits on a connection, if it is of the right kind.
    fn take_pending<T>(
        &mut self,
        connection: ew_connection,
        of_kind: impl FnOnce(Pending) -> Option<T>,
    ) -> Result<T, Failure> {
        if matches!(self.engine, Engine::Client(_) | Engine::SocketIoClient(_)) {
            return Err(Failure::kind());
        }
        self.connections.get(connection)?;
        let index = ew_index(connection) as usize;
        let pending = self.pending.at(index).and_then(|(_, &pending)| of_kind(pending));
        let pending = pending.ok_or_else(|| Failure::closed("request"))?;
        self.pending.remove(index);
        Ok(pending)
    }
}

/// The hub forgets a request with its connection.
fn done(done: bool) -> Result<(), Failure> {
    if done { Ok(()) } else { Err(Failure::closed("request")) }
}
