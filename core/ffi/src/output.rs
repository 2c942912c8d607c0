//! Outputs as C sees them.

use std::ptr;

use enginewire_socketio::AckId;

use crate::{
    id::{ew_connection, ew_session, ew_socket},
    slice::ew_slice,
};

/// Kind of an output: task for the event loop, or event for the application.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ew_output_kind {
    /// Write to `connection`: `ew_hub_transmit`.
    EW_OUTPUT_WRITE = 1,
    /// Resume reading `connection`, for as long as `ew_hub_is_reading` says so.
    EW_OUTPUT_READ = 2,
    /// Shut down the sending side of `connection`, and go on reading it.
    EW_OUTPUT_SHUTDOWN = 3,
    /// Close `connection`, or stop opening it. The hub has forgotten the id.
    EW_OUTPUT_CLOSE = 4,
    /// Open `connection` to `host` and `port`, with TLS if `secure` says so. Clients only.
    ///
    /// `ew_hub_connected` or `ew_hub_refused` tells the outcome.
    EW_OUTPUT_OPEN = 5,
    /// Decide whether the session may open that a request on `connection` asks for.
    ///
    /// `ew_request_allow` or `ew_request_refuse` responds, at any later time. The request is in `method`, `path` and
    /// `query`.
    EW_OUTPUT_ASK = 6,
    /// Respond to a request for another path on `connection`: `ew_request_respond`, at any later time.
    ///
    /// The request is in `method`, `path` and `query`, its body in `data`.
    EW_OUTPUT_REQUEST = 7,
    /// Encrypt `connection`, which a proxy has led to the server at `host` and `port`. Clients only.
    ///
    /// `ew_hub_connected` or `ew_hub_refused` tells the outcome. Until then the connection is neither read nor written
    /// for the hub. Only with the field `proxy` of the config.
    EW_OUTPUT_ENCRYPT = 8,

    /// Session `session` has opened. Of servers, with a request on `connection`.
    EW_OUTPUT_SESSION_OPENED = 16,
    /// The peer of `session` has sent `data`: text, or bytes if `binary` says so.
    EW_OUTPUT_SESSION_MESSAGE = 17,
    /// Session `session` has moved to a WebSocket.
    EW_OUTPUT_SESSION_UPGRADED = 18,
    /// There is room again for `session`, after `EW_ERROR_FULL`.
    EW_OUTPUT_SESSION_WRITABLE = 19,
    /// Session `session` is closed, for `reason`. The id is of no more use.
    EW_OUTPUT_SESSION_CLOSED = 20,

    /// A client asks to connect to `name_space`, as `socket`.
    ///
    /// `ew_socket_accept` or `ew_socket_refuse` responds, at any later time. `event.json` is what the client gave as
    /// `auth`, if anything. The request that opened its session is in `method`, `path` and `query`.
    EW_OUTPUT_SOCKET_CONNECT = 32,
    /// The client of `socket` no longer waits to be connected. The id is of no more use.
    EW_OUTPUT_SOCKET_CANCELLED = 33,
    /// The client of `socket` has sent `event`. It waits for `ack`, if that says so.
    EW_OUTPUT_SOCKET_EVENT = 34,
    /// The client of `socket` has acknowledged event number `token` with `event`.
    ///
    /// Or it will not: `failed` is 1 then, and `reason` says why.
    EW_OUTPUT_SOCKET_ACK = 35,
    /// There is room again for `socket`, after `EW_ERROR_FULL`.
    EW_OUTPUT_SOCKET_WRITABLE = 36,
    /// Socket `socket` is disconnected, for `reason`.
    ///
    /// Of servers, the id is of no more use after the next poll. Clients connect again, unless one side has left.
    EW_OUTPUT_SOCKET_DISCONNECTED = 37,
    /// The client with the socket id `name` has acknowledged broadcast number `token` with `event`.
    ///
    /// Or it will not: `failed` is 1 then, and `reason` says why.
    EW_OUTPUT_GROUP_ACK = 38,
    /// All recipients of broadcast number `token` have acknowledged it, or will not.
    EW_OUTPUT_GROUP_COMPLETED = 39,

    /// The server has connected `socket`, which has the id `name` there. Clients only.
    EW_OUTPUT_SOCKET_CONNECTED = 48,
    /// The server refuses to connect `socket`, for `reason`. Clients only.
    ///
    /// `event.json` is the data of the refusal, if there are any.
    EW_OUTPUT_SOCKET_REFUSED = 49,
    /// An attempt to connect `socket` has failed, for `reason`. Clients only.
    EW_OUTPUT_SOCKET_FAILED = 50,
    /// The next attempt to connect `socket` is made later. Clients only.
    EW_OUTPUT_SOCKET_WAITING = 51,
    /// Give the payload with which `socket` connects: `ew_socket_authorize`, at any later time. Clients only.
    EW_OUTPUT_SOCKET_AUTH = 52,
    /// A client that was closed has no session any more. Clients of Socket.IO only.
    EW_OUTPUT_CLIENT_CLOSED = 53,
}

/// Event of Socket.IO with its arguments, received or to be sent.
///
/// In JSON, `{"_placeholder":true,"num":0}` stands for the first of `attachments`. A received event can be sent on as it
/// is.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ew_event {
    /// Name of the event. Empty in acknowledgements.
    pub name: ew_slice,
    /// Arguments: a JSON array. Empty for none.
    pub json: ew_slice,
    /// Binary data, in the order of their numbers.
    pub attachments: *const ew_slice,
    /// Number of `attachments`.
    pub attachment_count: usize,
}

/// Acknowledgement that a client waits for. Pass it on as it came.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ew_ack {
    /// Lower half of the number.
    pub low: u64,
    /// Upper half of the number.
    pub high: u64,
    /// Whether the client waits for an acknowledgement: 0 or 1.
    pub wanted: u32,
    /// Connection of a client of Socket.IO that the event came on.
    pub session: u32,
}

/// Output of a hub. Fields that its kind does not name are zero.
///
/// Everything that it points to is valid until the next poll of the hub.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ew_output {
    /// Kind of the output.
    pub kind: ew_output_kind,
    /// Whether `data` is bytes and not text: 0 or 1.
    pub binary: u32,
    /// Whether there is no acknowledgement: 0 or 1.
    pub failed: u32,
    /// Whether to open or go on with a connection with TLS: 0 or 1.
    pub secure: u32,
    /// Port to connect to.
    pub port: u32,
    /// Connection that the output is about.
    pub connection: ew_connection,
    /// Session that the output is about.
    pub session: ew_session,
    /// Socket that the output is about.
    pub socket: ew_socket,
    /// Number that a function `.._with_ack` gave.
    pub token: u64,
    /// Message or body.
    pub data: ew_slice,
    /// Host to connect to: a name or an address.
    pub host: ew_slice,
    /// Method of the request.
    pub method: ew_slice,
    /// Path of the request, not decoded.
    pub path: ew_slice,
    /// Query of the request, not decoded and without `?`.
    pub query: ew_slice,
    /// Namespace, with its leading slash.
    pub name_space: ew_slice,
    /// Id of a socket.
    pub name: ew_slice,
    /// Event, acknowledgement or `auth`.
    pub event: ew_event,
    /// Acknowledgement that the client waits for.
    pub ack: ew_ack,
    /// Reason of an end, in the words of the reference, such as `transport close`.
    ///
    /// Of an acknowledgement also `timeout` and `not sent`.
    pub reason: ew_slice,
    /// Reason of an end, as a sentence with details.
    pub detail: ew_slice,
}

impl ew_event {
    pub(crate) const EMPTY: Self = Self {
        name: ew_slice::EMPTY,
        json: ew_slice::EMPTY,
        attachments: ptr::null(),
        attachment_count: 0,
    };
}

impl ew_ack {
    const NONE: Self = Self { low: 0, high: 0, wanted: 0, session: 0 };

    pub(crate) fn of(id: Option<AckId>, session: u32) -> Self {
        let Some(AckId(number)) = id else { return Self::NONE };
        let mask = u128::from(u64::MAX);
        let half = |number: u128| u64::try_from(number & mask).unwrap_or_default();
        Self { low: half(number), high: half(number >> 64), wanted: 1, session }
    }

    pub(crate) const fn id(self) -> Option<AckId> {
        let number = (self.high as u128) << 64 | self.low as u128;
        if self.wanted == 0 { None } else { Some(AckId(number)) }
    }
}

impl ew_output {
    pub(crate) const fn new(kind: ew_output_kind) -> Self {
        Self {
            kind,
            binary: 0,
            failed: 0,
            secure: 0,
            port: 0,
            connection: 0,
            session: 0,
            socket: 0,
            token: 0,
            data: ew_slice::EMPTY,
            host: ew_slice::EMPTY,
            method: ew_slice::EMPTY,
            path: ew_slice::EMPTY,
            query: ew_slice::EMPTY,
            name_space: ew_slice::EMPTY,
            name: ew_slice::EMPTY,
            event: ew_event::EMPTY,
            ack: ew_ack::NONE,
            reason: ew_slice::EMPTY,
            detail: ew_slice::EMPTY,
        }
    }
}
