//! The client's side of the protocol, without Engine.IO.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};

use enginewire::{Encoded, Message, Text};
use serde::{Deserialize, Serialize};

use crate::{
    AckId, Args, ConnectError, EmitError, EncodeError, Event, Name, Packet, PacketData, Payload,
    SocketId, Value,
    parser::{Decoder, Encoder, NamedEvent, PacketError, Parser, ParserLimits},
};

/// Client of Socket.IO 3 and later, as a codec that knows its namespaces.
///
/// Messages of a session in, updates out; and commands in, messages out. It never connects again by itself.
#[derive(Debug)]
pub struct Client {
    parser: Parser,
    encoder: Encoder,
    decoder: Decoder,
    /// Namespaces that are connected, or asked for.
    namespaces: BTreeMap<String, Namespace>,
}

#[derive(Debug, Default)]
struct Namespace {
    is_connected: bool,
    next_ack: u128,
    pending: BTreeSet<AckId>,
}

/// Event of a [`Client`], which belongs to a namespace.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Update {
    /// The server has connected the client, under this id.
    Connected(SocketId),
    /// The server refuses to connect the client.
    Refused(ConnectError),
    /// The server has sent an event.
    Event(Event),
    /// The server has acknowledged an event of [`Client::emit_with_ack`].
    Acknowledged(AckId, Args),
    /// The server has disconnected the client. Events without an acknowledgement get none.
    Disconnected,
}

/// Packet that a server must not send.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerFault {
    /// A message is not a packet.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// A response to CONNECT is for a namespace that is connected.
    #[error("two responses to one CONNECT")]
    ConnectedTwice,
    /// The payload of a response to CONNECT has another shape.
    #[error("the payload of a response has another shape")]
    Response,
}

impl Client {
    /// Creates a client without namespaces, whose packets have the format of `parser`.
    pub fn new(parser: Parser) -> Self {
        let decoder = Decoder::new(&parser, ParserLimits::default());
        Self { parser, encoder: Encoder::new(), decoder, namespaces: BTreeMap::new() }
    }

    /// Returns whether the client is connected to a namespace, or has asked for it.
    pub fn has(&self, namespace: &str) -> bool {
        self.namespaces.contains_key(&*full_name(namespace))
    }

    /// Asks to connect to a namespace. [`Update::Connected`] or [`Update::Refused`] follows.
    ///
    /// A missing slash at the start is added.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded.
    pub fn connect<A: Serialize + ?Sized>(
        &mut self,
        namespace: &str,
        auth: Option<&A>,
    ) -> Result<Encoded, EncodeError> {
        let namespace = full_name(namespace);
        let auth = auth.map(|auth| self.parser.payload(auth)).transpose()?;
        let data = PacketData::Connect(auth);
        let message = self.parser.packet(&Packet { namespace: namespace.clone(), data })?;
        self.namespaces.insert((*namespace).into(), Namespace::default());
        Ok(message)
    }

    /// Makes an event. A tuple is several arguments, `()` none, anything else one.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded, the name is reserved, or the namespace is not connected.
    pub fn emit<P: Serialize + ?Sized>(
        &mut self,
        namespace: &str,
        name: impl Name<P>,
        payload: &P,
    ) -> Result<Encoded, EmitError> {
        self.event(namespace, None, name.name(), payload)
    }

    /// Makes an event that is to be acknowledged, and returns its number.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn emit_with_ack<P: Serialize + ?Sized>(
        &mut self,
        namespace: &str,
        name: impl Name<P>,
        payload: &P,
    ) -> Result<(AckId, Encoded), EmitError> {
        let ack = AckId(self.connected(namespace)?.next_ack);
        let message = self.event(namespace, Some(ack), name.name(), payload)?;
        let namespace = self.connected(namespace)?;
        namespace.next_ack += 1;
        namespace.pending.insert(ack);
        Ok((ack, message))
    }

    /// Makes the acknowledgement of an event with this number.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded, or the namespace is not connected.
    pub fn acknowledge<P: Serialize + ?Sized>(
        &mut self,
        namespace: &str,
        id: AckId,
        payload: &P,
    ) -> Result<Encoded, EmitError> {
        self.connected(namespace)?;
        let Self { encoder, parser, .. } = self;
        Ok(encoder.ack(parser, &full_name(namespace), id, payload, Vec::new())?)
    }

    /// Leaves a namespace, and forgets it.
    ///
    /// # Errors
    ///
    /// The namespace is neither connected nor asked for.
    pub fn disconnect(&mut self, namespace: &str) -> Result<Encoded, EmitError> {
        let namespace = full_name(namespace);
        if self.namespaces.remove(&*namespace).is_none() {
            return Err(EmitError::Disconnected);
        }
        Ok(self.parser.packet(&Packet { namespace, data: PacketData::Disconnect })?)
    }

    /// Handles a message of the server. Returns the namespace that it is for, and what has happened to it.
    ///
    /// `None` if attachments are still to come, or if it is for a namespace that the client has left.
    ///
    /// # Errors
    ///
    /// The server broke the protocol.
    pub fn handle_message(
        &mut self,
        message: Message,
    ) -> Result<Option<(Text, Update)>, ServerFault> {
        let Some(Packet { namespace: name, data }) = self.decoder.handle_message(message)? else {
            return Ok(None);
        };
        let Some(namespace) = self.namespaces.get_mut(&*name) else {
            // On its way when the client left.
            return Ok(None);
        };
        let update = match (data, namespace.is_connected) {
            (PacketData::Connect(response), false) => {
                let connected: Response = decode(response.as_ref())?;
                namespace.is_connected = true;
                Update::Connected(connected.sid.into())
            }
            (PacketData::ConnectError(payload), false) => {
                let Refusal { message, data } = decode(Some(&payload))?;
                self.namespaces.remove(&*name);
                let error = ConnectError::new(message);
                Update::Refused(match data {
                    Some(data) => error.with_data(&data),
                    None => error,
                })
            }
            (PacketData::Connect(_) | PacketData::ConnectError(_), true) => {
                return Err(ServerFault::ConnectedTwice);
            }
            // Those that a client has missed come before the response that recovers it.
            (PacketData::Event { ack, args }, _) => Update::Event(Event::new(args, ack)),
            (PacketData::Ack { id, args }, _) => match namespace.pending.remove(&id) {
                true => Update::Acknowledged(id, args),
                false => return Ok(None),
            },
            (PacketData::Disconnect, _) => {
                self.namespaces.remove(&*name);
                Update::Disconnected
            }
        };
        Ok(Some((name, update)))
    }

    fn event<P: Serialize + ?Sized>(
        &mut self,
        namespace: &str,
        ack: Option<AckId>,
        name: &str,
        payload: &P,
    ) -> Result<Encoded, EmitError> {
        self.connected(namespace)?;
        let Self { encoder, parser, .. } = self;
        Ok(encoder.event(parser, &full_name(namespace), ack, &NamedEvent::new(name, payload))?)
    }

    fn connected(&mut self, namespace: &str) -> Result<&mut Namespace, EmitError> {
        let namespace = self.namespaces.get_mut(&*full_name(namespace));
        namespace.filter(|namespace| namespace.is_connected).ok_or(EmitError::Disconnected)
    }
}

/// Payload of a response to CONNECT.
#[derive(Deserialize)]
struct Response {
    sid: String,
}

/// Payload of CONNECT_ERROR.
#[derive(Deserialize)]
struct Refusal {
    message: String,
    data: Option<Value>,
}

fn decode<'de, T: Deserialize<'de>>(payload: Option<&'de Payload>) -> Result<T, ServerFault> {
    payload.and_then(|payload| payload.decode().ok()).ok_or(ServerFault::Response)
}

/// Returns the name with its leading slash.
fn full_name(namespace: &str) -> Text {
    match namespace.starts_with('/') {
        true => namespace.into(),
        false => ["/", namespace].concat().into(),
    }
}
