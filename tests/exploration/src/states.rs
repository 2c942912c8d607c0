//! The states of a session, as the tables in the docs of [`ServerSession`] and [`ClientSession`] name them.

use enginewire::{ClientSession, ServerSession, TransportKind};

/// Name of a client's state.
pub(crate) fn of_client(session: &ClientSession) -> &'static str {
    if session.is_closed() {
        "closed"
    } else if !session.is_open() {
        closing(session.transport())
    } else if session.handshake().is_none() {
        "opening"
    } else {
        open(session.transport(), session.is_upgrading())
    }
}

/// Name of a server's state.
pub(crate) fn of_server(session: &ServerSession) -> &'static str {
    if session.is_closed() {
        "closed"
    } else if !session.is_open() {
        match (session.transport(), session.is_upgrading()) {
            (TransportKind::Polling, true) => "closing while upgrading",
            (transport, _) => closing(transport),
        }
    } else {
        open(session.transport(), session.is_upgrading())
    }
}

fn open(transport: TransportKind, is_upgrading: bool) -> &'static str {
    match transport {
        TransportKind::Polling if is_upgrading => "upgrading",
        TransportKind::Polling => "polling",
        _ => "WebSocket",
    }
}

fn closing(transport: TransportKind) -> &'static str {
    match transport {
        TransportKind::Polling => "closing on polling",
        _ => "closing on WebSocket",
    }
}
