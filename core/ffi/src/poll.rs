//! Outputs of hubs, made into those of C.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use enginewire::{
    ClientHubAction, Event, Text, Time, Url,
    hub::{ConnectionId, Output},
    wire::http::RequestHead,
};
use enginewire_socketio::{
    AckError, Args, ConnectError, DisconnectReason, Payload, SocketId,
    hub::{Output as SocketIoOutput, SocketKey},
    payload::Argument,
};

use crate::{
    code::ew_code,
    handle::{self, ew_hub},
    hub::{Client, Engine, Hub},
    id::{self, Kind},
    output::{
        ew_ack, ew_event, ew_output,
        ew_output_kind::{self, *},
    },
    request::Pending,
    slice::{self, ew_slice},
};

/// Writes a pointer to the next output, or null if there is none.
///
/// It is a task for the event loop, or an event for the application. Poll after any input or command until there is
/// nothing more. Everything that an output points to is valid until the next poll.
///
/// # Safety
///
/// `output` is null or a pointer can be written there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_hub_poll(
    hub: ew_hub,
    now_ns: u64,
    output: *mut *const ew_output,
) -> ew_code {
    handle::with(hub, |hub| {
        // SAFETY: the caller's promise. Before anything is taken, so that nothing is lost.
        unsafe { slice::write(output, std::ptr::null(), "output") }?;
        let now = hub.tick(now_ns)?;
        hub.current.clear();
        let found = hub.poll(now);
        let found = found.map_or(std::ptr::null(), |found| hub.current.keep(found));
        // SAFETY: as above.
        unsafe { slice::write(output, found, "output") }
    })
}

impl Hub {
    fn poll(&mut self, now: Time) -> Option<ew_output> {
        if let Some(index) = self.current.ended.take() {
            self.sockets.remove(index);
        }
        loop {
            // An output about a connection that the loop has given up is none.
            let output = match &mut self.engine {
                Engine::Server(server) => {
                    let output = server.poll()?;
                    self.server_output(output)
                }
                Engine::SocketIo(server) => {
                    let output = server.poll()?;
                    self.socketio_output(output)
                }
                Engine::SocketIoClient(client) => {
                    let output = client.hub.poll()?;
                    self.socketio_client_output(output)
                }
                Engine::Client(client) => match client.hub.poll_event() {
                    Some(event) => Some(self.event(Client::SESSION, event)),
                    None => {
                        let action = client.hub.poll_action(now, &mut client.entropy)?;
                        Some(self.client_output(action))
                    }
                },
            };
            if output.is_some() {
                return output;
            }
        }
    }

    fn server_output(&mut self, output: Output) -> Option<ew_output> {
        match output {
            Output::Write(on) => self.connection_output(EW_OUTPUT_WRITE, on),
            Output::Read(on) => self.connection_output(EW_OUTPUT_READ, on),
            Output::Shutdown(on) => self.connection_output(EW_OUTPUT_SHUTDOWN, on),
            Output::Close(on) => self.connection_output(EW_OUTPUT_CLOSE, on),
            Output::Ask(ask, on, head) => {
                self.request(EW_OUTPUT_ASK, on, Pending::Ask(ask), head, Bytes::new())
            }
            Output::Request(request, head, body) => {
                let (on, pending) = (request.connection(), Pending::Request(request));
                self.request(EW_OUTPUT_REQUEST, on, pending, head, body)
            }
            Output::Opened(session, on, head) => {
                let mut output = ew_output::new(EW_OUTPUT_SESSION_OPENED);
                output.session = self.sessions.insert(session.index(), session);
                output.connection = self.connection_id(on).unwrap_or_default();
                self.current.request(&mut output, head);
                Some(output)
            }
            Output::Event(session, event) => {
                let (id, &known) = self.sessions.at(session.index())?;
                debug_assert_eq!(known, session, "a place is free when its session is closed");
                if matches!(event, Event::Closed(_)) {
                    self.sessions.remove(session.index());
                }
                Some(self.event(id, event))
            }
            // No layer is put on a session, and hubs are no nodes.
            Output::Layer(_) | Output::HandOver(..) => None,
        }
    }

    fn socketio_output(&mut self, output: SocketIoOutput) -> Option<ew_output> {
        match output {
            SocketIoOutput::Write(on) => self.connection_output(EW_OUTPUT_WRITE, on),
            SocketIoOutput::Read(on) => self.connection_output(EW_OUTPUT_READ, on),
            SocketIoOutput::Shutdown(on) => self.connection_output(EW_OUTPUT_SHUTDOWN, on),
            SocketIoOutput::Close(on) => self.connection_output(EW_OUTPUT_CLOSE, on),
            SocketIoOutput::Open(ask, on, head) => {
                self.request(EW_OUTPUT_ASK, on, Pending::Ask(ask), head, Bytes::new())
            }
            SocketIoOutput::Request(request, head, body) => {
                let (on, pending) = (request.connection(), Pending::Request(request));
                self.request(EW_OUTPUT_REQUEST, on, pending, head, body)
            }
            SocketIoOutput::Connect(key, request, head) => {
                let mut output = ew_output::new(EW_OUTPUT_SOCKET_CONNECT);
                output.socket = self.sockets.insert(key.index(), key);
                output.name_space =
                    ew_slice::of(self.current.namespace.insert(request.namespace).as_bytes());
                if let Some(auth) = request.auth {
                    output.event.json = self.current.json_of(auth);
                }
                self.current.request(&mut output, head);
                Some(output)
            }
            SocketIoOutput::Cancelled(key) => self.socket_end(EW_OUTPUT_SOCKET_CANCELLED, key),
            SocketIoOutput::Event(key, event) => {
                let mut output = self.socket_output(EW_OUTPUT_SOCKET_EVENT, key)?;
                output.ack = ew_ack::of(event.ack(), 0);
                output.event = self.current.event(event);
                Some(output)
            }
            SocketIoOutput::Acknowledged(ask, result) => {
                let mut output = ew_output::new(EW_OUTPUT_SOCKET_ACK);
                output.token = self.asks.remove(&ask)?;
                output.socket = self.socket_id(ask.socket()).unwrap_or_default();
                self.current.acknowledgement(&mut output, result, DisconnectReason::as_str);
                Some(output)
            }
            SocketIoOutput::GroupAcknowledged(group, from, result) => {
                let mut output = ew_output::new(EW_OUTPUT_GROUP_ACK);
                output.token = *self.groups.get(&group)?;
                output.name = self.current.keep_id(&from);
                self.current.acknowledgement(&mut output, result, DisconnectReason::as_str);
                Some(output)
            }
            // There are no other nodes, of which responses could be missing.
            SocketIoOutput::GroupCompleted(group, _missing) => {
                let mut output = ew_output::new(EW_OUTPUT_GROUP_COMPLETED);
                output.token = self.groups.remove(&group)?;
                Some(output)
            }
            SocketIoOutput::Writable(key) => self.socket_output(EW_OUTPUT_SOCKET_WRITABLE, key),
            SocketIoOutput::Disconnected(key, reason, _rooms) => {
                let mut output = self.socket_end(EW_OUTPUT_SOCKET_DISCONNECTED, key)?;
                output.reason = ew_slice::of(reason.as_str().as_bytes());
                output.detail = output.reason;
                Some(output)
            }
            // Recovery is never configured.
            _ => None,
        }
    }

    fn client_output(&mut self, action: ClientHubAction) -> ew_output {
        let (kind, on) = match action {
            ClientHubAction::Connect(on) => (EW_OUTPUT_OPEN, on),
            ClientHubAction::Encrypt(on) => (EW_OUTPUT_ENCRYPT, on),
            ClientHubAction::Write(on) => (EW_OUTPUT_WRITE, on),
            ClientHubAction::Close(on) => (EW_OUTPUT_CLOSE, on),
        };
        let mut output = ew_output::new(kind);
        output.connection = id::of_number(Kind::Connection, on.0);
        if let Engine::Client(client) = &self.engine
            && matches!(kind, EW_OUTPUT_OPEN | EW_OUTPUT_ENCRYPT)
            && let Some(url) = client.hub.address(on)
        {
            self.current.address(&mut output, url);
        }
        output
    }

    /// Makes an output about a connection, if the loop knows it still.
    fn connection_output(&mut self, kind: ew_output_kind, on: ConnectionId) -> Option<ew_output> {
        let mut output = ew_output::new(kind);
        output.connection = self.connection_id(on)?;
        if kind == EW_OUTPUT_CLOSE {
            self.retire(on.index());
        }
        Some(output)
    }

    fn connection_id(&self, on: ConnectionId) -> Option<u64> {
        let (id, &known) = self.connections.at(on.index())?;
        (known == on).then_some(id)
    }

    /// Makes an output about a request that waits for the application.
    fn request(
        &mut self,
        kind: ew_output_kind,
        on: ConnectionId,
        pending: Pending,
        head: Arc<RequestHead>,
        body: Bytes,
    ) -> Option<ew_output> {
        let mut output = self.connection_output(kind, on)?;
        self.pending.insert(on.index(), pending);
        self.current.request(&mut output, head);
        output.data = ew_slice::of(self.current.bytes.insert(body));
        output.binary = 1;
        Some(output)
    }

    /// Makes an output of what has happened to a session.
    fn event(&mut self, session: u64, event: Event) -> ew_output {
        let mut output = ew_output::new(match &event {
            Event::Opened => EW_OUTPUT_SESSION_OPENED,
            Event::Message(_) => EW_OUTPUT_SESSION_MESSAGE,
            Event::Upgraded => EW_OUTPUT_SESSION_UPGRADED,
            Event::Closed(_) => EW_OUTPUT_SESSION_CLOSED,
            _ => EW_OUTPUT_SESSION_WRITABLE,
        });
        output.session = session;
        match event {
            Event::Message(message) => {
                output.binary = message.is_binary().into();
                output.data = ew_slice::of(self.current.bytes.insert(message.into_payload()));
            }
            Event::Closed(reason) => self.current.reason(&mut output, reason.as_str(), &reason),
            _ => {}
        }
        output
    }

    fn socket_id(&self, key: SocketKey) -> Option<u64> {
        let (id, &known) = self.sockets.at(key.index())?;
        (known == key).then_some(id)
    }

    fn socket_output(&self, kind: ew_output_kind, key: SocketKey) -> Option<ew_output> {
        let mut output = ew_output::new(kind);
        output.socket = self.socket_id(key)?;
        Some(output)
    }

    /// The same for the last output of a socket.
    fn socket_end(&mut self, kind: ew_output_kind, key: SocketKey) -> Option<ew_output> {
        self.current.ended = Some(key.index());
        self.socket_output(kind, key)
    }
}

/// The last output, and what it points to.
///
/// Everything lies in allocations of its own, so that it stays where it is while the hub is moved or changed.
#[derive(Default)]
pub(crate) struct Current {
    output: Vec<ew_output>,
    slices: Vec<ew_slice>,
    json: String,
    text: String,
    ids: Vec<SocketId>,
    bytes: Option<Bytes>,
    event: Option<enginewire_socketio::Event>,
    payload: Option<Payload>,
    head: Option<Arc<RequestHead>>,
    namespace: Option<Text>,
    /// Index of a socket whose id ends with the next poll.
    ended: Option<usize>,
}

// SAFETY: its pointers are to what it owns itself.
unsafe impl Send for Current {}

impl Current {
    /// Forgets the output before. Small buffers are used again.
    fn clear(&mut self) {
        self.output.clear();
        self.slices.clear();
        self.ids.clear();
        for text in [&mut self.json, &mut self.text] {
            text.clear();
            text.shrink_to(KEPT);
        }
        (self.bytes, self.event, self.payload) = (None, None, None);
        (self.head, self.namespace) = (None, None);
    }

    fn keep(&mut self, output: ew_output) -> *const ew_output {
        self.output.push(output);
        self.output.as_ptr()
    }

    pub(crate) fn head(&self) -> Option<&RequestHead> {
        self.head.as_deref()
    }

    /// Keeps the id of a socket until the next poll.
    pub(crate) fn keep_id(&mut self, id: &SocketId) -> ew_slice {
        if self.ids.last() != Some(id) {
            self.ids.push(id.clone());
        }
        // Of the one that is kept: an equal one may be gone before the next poll.
        self.ids.last().map_or(ew_slice::EMPTY, |id| ew_slice::of(id.as_bytes()))
    }

    fn request(&mut self, output: &mut ew_output, head: Arc<RequestHead>) {
        let head = self.head.insert(head);
        output.method = ew_slice::of(head.method().as_bytes());
        output.path = ew_slice::of(head.path().as_bytes());
        output.query = ew_slice::of(head.query().as_bytes());
    }

    pub(crate) fn address(&mut self, output: &mut ew_output, url: &Url) {
        self.text.push_str(url.host());
        output.host = ew_slice::of(self.text.as_bytes());
        output.port = url.port().into();
        output.secure = url.is_secure().into();
    }

    pub(crate) fn refusal(&mut self, output: &mut ew_output, error: &ConnectError) {
        self.text.push_str(error.message());
        output.reason = ew_slice::of(self.text.as_bytes());
        output.detail = output.reason;
        let json = |data: &Payload| match data.as_value() {
            Some(value) => Payload::new(value).ok(),
            None => Some(data.clone()),
        };
        if let Some(data) = error.data().and_then(json) {
            output.event.json = self.json_of(data);
        }
    }

    pub(crate) fn reason(
        &mut self,
        output: &mut ew_output,
        reason: &'static str,
        detail: &dyn fmt::Display,
    ) {
        output.reason = ew_slice::of(reason.as_bytes());
        self.text.push_str(&detail.to_string());
        output.detail = ew_slice::of(self.text.as_bytes());
    }

    /// Fills in an acknowledgement. `spell` has the words of a server or of a client for the end of a socket.
    pub(crate) fn acknowledgement(
        &mut self,
        output: &mut ew_output,
        result: Result<Args, AckError>,
        spell: impl FnOnce(DisconnectReason) -> &'static str,
    ) {
        output.failed = result.is_err().into();
        match result {
            Ok(args) => output.event = self.args(args, 0),
            Err(error) => {
                let reason = match &error {
                    AckError::Disconnected(reason) => spell(*reason),
                    AckError::Timeout => "timeout",
                    _ => "not sent",
                };
                self.reason(output, reason, &error);
            }
        }
    }

    /// Makes an event, and keeps it.
    pub(crate) fn event(&mut self, event: enginewire_socketio::Event) -> ew_event {
        let mut output = self.args(event.args().clone(), NAME);
        output.name = ew_slice::of(self.event.insert(event).name().as_bytes());
        output
    }

    /// Makes arguments without the first few, and keeps their attachments.
    fn args(&mut self, args: Args, skip: usize) -> ew_event {
        self.json.push('[');
        for (index, argument) in args.iter().skip(skip).enumerate() {
            if index > 0 {
                self.json.push(',');
            }
            // The only parser is that of JSON.
            self.json.push_str(match argument {
                Argument::Json(json) => json,
                Argument::Value(_) => "null",
            });
        }
        self.json.push(']');
        let payload = self.payload.insert(args.payload().clone());
        self.slices.extend(payload.attachments().iter().map(|bytes| ew_slice::of(bytes)));
        ew_event {
            name: ew_slice::EMPTY,
            json: ew_slice::of(self.json.as_bytes()),
            attachments: self.slices.as_ptr(),
            attachment_count: self.slices.len(),
        }
    }

    fn json_of(&mut self, payload: Payload) -> ew_slice {
        let json = self.payload.insert(payload).as_json();
        json.map_or(ew_slice::EMPTY, |json| ew_slice::of(json.as_bytes()))
    }
}

/// The name of an event is its first argument.
const NAME: usize = 1;

/// Bytes of a buffer that are kept from one output to the next.
const KEPT: usize = 4096;
