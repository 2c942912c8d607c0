//! The messages of the reference's `ClusterAdapter`, which all adapters but the classic one have.

use alloc::sync::Arc;
use core::time::Duration;

use bytes::Bytes;

use super::{
    super::{Operation, RequestId, Response},
    event::WireFault,
    fields::{self, Flags, Opts},
    incoming::{Body, Incoming, Reply},
    out::Out,
    part::Part,
};
use crate::{EncodeError, Payload};

pub(super) const HELLO: u8 = 1;
pub(super) const HEARTBEAT: u8 = 2;
pub(super) const BROADCAST: u8 = 3;
const JOIN: u8 = 4;
const LEAVE: u8 = 5;
const DISCONNECT: u8 = 6;
const FETCH: u8 = 7;
const FETCHED: u8 = 8;
const EMIT: u8 = 9;
const EMITTED: u8 = 10;
const CLIENTS: u8 = 11;
const ACK: u8 = 12;
pub(super) const GOODBYE: u8 = 13;

type Result<T> = core::result::Result<T, WireFault>;
type Written = core::result::Result<(), EncodeError>;

/// The sender of a message, and its namespace.
pub(super) struct Sender<'a> {
    pub(super) uid: &'a str,
    pub(super) namespace: &'a str,
}

/// A message to be written.
pub(super) enum Outgoing<'a> {
    /// An operation for all nodes, with the id of its request.
    Operation(&'a Operation, Option<&'a str>),
    /// A response to the request of this id.
    Response(&'a Response, &'a str),
    /// A message without data: [`HELLO`], [`HEARTBEAT`] or [`GOODBYE`].
    Presence(u8),
}

impl Outgoing<'_> {
    /// The type of the message.
    pub(super) fn kind(&self) -> u8 {
        match self {
            Self::Presence(kind) => *kind,
            Self::Operation(operation, _) => match operation {
                // Requests to the log are no messages.
                Operation::Broadcast(_) | Operation::Log(_) => BROADCAST,
                Operation::Join { .. } => JOIN,
                Operation::Leave { .. } => LEAVE,
                Operation::Disconnect { .. } => DISCONNECT,
                Operation::FetchSockets { .. } => FETCH,
                Operation::ServerSideEmit { .. } => EMIT,
                Operation::Respond { response, .. } => response_kind(response),
            },
            Self::Response(response, _) => response_kind(response),
        }
    }

    /// Whether there are binary data in it, for which it is MessagePack.
    pub(super) fn has_binary(&self) -> bool {
        let of = |payload: &Payload| !payload.attachments().is_empty();
        match self {
            Self::Operation(Operation::Broadcast(broadcast), _) => of(broadcast.event.payload()),
            Self::Operation(Operation::ServerSideEmit { event, .. }, _) => of(event.payload()),
            Self::Response(Response::Ack(args) | Response::Event(args), _) => of(args.payload()),
            Self::Response(Response::Sockets(sockets), _) => fields::has_binary(sockets),
            _ => false,
        }
    }

    /// Writes the message with its sender.
    pub(super) fn message(
        &self,
        sender: &Sender<'_>,
        ack_timeout: Duration,
        is_msgpack: bool,
    ) -> core::result::Result<Bytes, EncodeError> {
        Out::message(is_msgpack, |out| {
            let has_data = !matches!(self, Self::Presence(_));
            out.map(if has_data { 4 } else { 3 }, |out| {
                out.name("type").unsigned(self.kind().into())?;
                if has_data {
                    out.name("data");
                    self.data(out, ack_timeout)?;
                }
                out.name("uid").text(sender.uid)?;
                out.name("nsp").text(sender.namespace)
            })
        })
    }

    /// Writes the data of a broadcast as the reference's emitter for streams does, with the namespace in the packet.
    pub(super) fn emitted(&self, out: &mut Out, namespace: &str) -> Written {
        let Self::Operation(Operation::Broadcast(broadcast), _) = self else { return Ok(()) };
        out.map(2, |out| {
            fields::packet(out, &broadcast.event, Some(namespace))?;
            let opts = Opts::Emitter(Flags::of(broadcast, Duration::ZERO));
            opts.write(out, &broadcast.target)
        })
    }

    /// Writes the data alone, for entries of streams.
    pub(super) fn data(&self, out: &mut Out, ack_timeout: Duration) -> Written {
        match self {
            Self::Presence(_) => out.map(0, |_| Ok(())),
            Self::Operation(operation, request) => {
                write_operation(out, operation, *request, ack_timeout)
            }
            Self::Response(response, request) => write_response(out, response, request),
        }
    }
}

fn write_operation(
    out: &mut Out,
    operation: &Operation,
    request: Option<&str>,
    ack_timeout: Duration,
) -> Written {
    let members = 2 + u32::from(request.is_some());
    let plain = Opts::Server(Flags::default());
    let id = |out: &mut Out| match request {
        Some(request) => out.name("requestId").text(request),
        None => Ok(()),
    };
    match operation {
        Operation::Broadcast(broadcast) => out.map(members, |out| {
            fields::packet(out, &broadcast.event, None)?;
            id(out)?;
            Opts::Server(Flags::of(broadcast, ack_timeout)).write(out, &broadcast.target)
        }),
        Operation::Join { target, rooms } | Operation::Leave { target, rooms } => {
            out.map(2, |out| {
                plain.write(out, target)?;
                out.name("rooms").texts(rooms)
            })
        }
        Operation::Disconnect { target, close } => out.map(2, |out| {
            plain.write(out, target)?;
            out.name("close").bool(*close)
        }),
        Operation::FetchSockets { target, .. } => out.map(members - 1, |out| {
            plain.write(out, target)?;
            id(out)
        }),
        Operation::ServerSideEmit { event, .. } => out.map(members - 1, |out| {
            id(out)?;
            out.name("packet").payload(event.payload())
        }),
        Operation::Respond { response, .. } => {
            write_response(out, response, request.unwrap_or_default())
        }
        Operation::Log(_) => out.map(0, |_| Ok(())),
    }
}

fn write_response(out: &mut Out, response: &Response, request: &str) -> Written {
    let argument = match response {
        Response::Ack(args) | Response::Event(args) => args.first(),
        Response::Clients(_) | Response::Sockets(_) => None,
    };
    let members = match response {
        Response::Clients(_) | Response::Sockets(_) => 2,
        Response::Ack(_) | Response::Event(_) => 1 + u32::from(argument.is_some()),
    };
    out.map(members, |out| {
        out.name("requestId").text(request)?;
        match response {
            Response::Clients(clients) => out.name("clientCount").unsigned(*clients as u64),
            Response::Sockets(sockets) => fields::write_sockets(out, sockets),
            Response::Ack(_) | Response::Event(_) => {
                fields::argument(out, "packet", argument.as_ref())
            }
        }
    })
}

const fn response_kind(response: &Response) -> u8 {
    match response {
        Response::Clients(_) => CLIENTS,
        Response::Ack(_) => ACK,
        Response::Sockets(_) => FETCHED,
        Response::Event(_) => EMITTED,
    }
}

/// Reads a message with its sender. Nothing but that is read of a message of `own`.
pub(super) fn read(
    message: Part<'_>,
    is_own: impl Fn(&str, Option<&str>) -> bool,
) -> Result<Incoming> {
    let [kind, data, uid, namespace, stored] =
        message.members("message", ["type", "data", "uid", "nsp", "attachmentId"])?;
    let uid = uid.ok_or(WireFault::Member("uid"))?.id("uid")?;
    let namespace = match namespace {
        Some(namespace) => Some(namespace.text().ok_or(WireFault::Member("nsp"))?),
        None => None,
    };
    let kind = kind.and_then(|kind| kind.integer()).ok_or(WireFault::Member("type"))?;
    let body = if is_own(&uid, namespace.as_deref()) {
        Body::Ignored
    } else if let Some(stored) = stored {
        let number = stored.text().and_then(|number| number.parse().ok());
        Body::Stored(number.ok_or(WireFault::Member("attachmentId"))?)
    } else {
        body(kind, data)?
    };
    Ok(Incoming { uid: Some(uid), namespace, body })
}

/// Reads the fields of an entry of a stream.
pub(super) fn read_entry(uid: Arc<str>, kind: u64, data: Option<Part<'_>>) -> Result<Incoming> {
    Ok(Incoming { uid: Some(uid), namespace: None, body: body(kind, data)? })
}

fn body(kind: u64, data: Option<Part<'_>>) -> Result<Body> {
    let Ok(kind) = u8::try_from(kind) else { return Ok(Body::Ignored) };
    match kind {
        HELLO => return Ok(Body::Hello),
        HEARTBEAT => return Ok(Body::Heartbeat),
        GOODBYE => return Ok(Body::Goodbye),
        BROADCAST..=ACK => {}
        // Of a later version of the reference.
        _ => return Ok(Body::Ignored),
    }
    let data = data.ok_or(WireFault::Member("data"))?;
    let names = ["requestId", "packet", "opts", "rooms", "close", "sockets", "clientCount"];
    let [request, packet, opts, rooms, close, sockets, clients] = data.members("data", names)?;
    let request = request.map(|request| request.id("requestId")).transpose()?;
    let for_request = || request.clone().ok_or(WireFault::Member("requestId"));
    Ok(match kind {
        BROADCAST => {
            let (broadcast, _) = fields::broadcast(packet, opts, request.is_some())?;
            Body::asking(Operation::Broadcast(broadcast), request, Reply::ACKS)
        }
        JOIN | LEAVE => {
            let target = fields::target(opts)?;
            let rooms = fields::rooms(rooms)?;
            Body::operation(match kind {
                JOIN => Operation::Join { target, rooms },
                _ => Operation::Leave { target, rooms },
            })
        }
        DISCONNECT => {
            let target = fields::target(opts)?;
            let close = close.and_then(|close| close.bool()).unwrap_or_default();
            Body::operation(Operation::Disconnect { target, close })
        }
        FETCH => {
            let (target, _) = fields::opts(opts)?;
            let operation = Operation::FetchSockets { target, request: RequestId(0) };
            Body::asking(operation, Some(for_request()?), Reply::Sockets)
        }
        FETCHED => {
            let sockets = sockets.ok_or(WireFault::Member("sockets"))?;
            Body::Response(for_request()?, Response::Sockets(fields::sockets(sockets)?))
        }
        EMIT => {
            let event = packet.ok_or(WireFault::Member("packet"))?.args("packet")?;
            let operation = Operation::ServerSideEmit {
                event,
                request: request.as_ref().map(|_| RequestId(0)),
            };
            Body::asking(operation, request, Reply::Event)
        }
        EMITTED => Body::Response(for_request()?, Response::Event(fields::read_argument(packet)?)),
        ACK => Body::Response(for_request()?, Response::Ack(fields::read_argument(packet)?)),
        _ => {
            let clients = fields::clients(clients)?;
            Body::Response(for_request()?, Response::Clients(clients))
        }
    })
}
