//! The messages of `createAdapter` of npm `@socket.io/redis-adapter`.

use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

use bytes::Bytes;

use super::{
    super::{Operation, RequestId, Response},
    event::WireFault,
    fields::{self, Flags, Opts},
    ids::EMITTER,
    incoming::{Body, Incoming, Reply},
    messages::Sender,
    out::Out,
    part::{Part, Whole},
};
use crate::{EncodeError, Room, adapter::Target};

const SOCKETS: u64 = 0;
const ALL_ROOMS: u64 = 1;
const JOIN: u64 = 2;
const LEAVE: u64 = 3;
const DISCONNECT: u64 = 4;
const FETCH: u64 = 5;
const EMIT: u64 = 6;
const BROADCAST: u64 = 7;
const CLIENTS: u64 = 8;
const ACK: u64 = 9;

type Result<T> = core::result::Result<T, WireFault>;
type Written<T> = core::result::Result<T, EncodeError>;

/// Writes a broadcast that expects no acknowledgement.
pub(super) fn write_broadcast(
    sender: &Sender<'_>,
    broadcast: &crate::cluster::Broadcast,
) -> Written<Bytes> {
    let flags = Flags::of(broadcast, Duration::ZERO);
    let opts = match sender.uid {
        EMITTER => Opts::Emitter(flags),
        _ => Opts::Server(flags),
    };
    Out::message(true, |out| {
        out.array(&[Element::Uid, Element::Packet, Element::Opts], |out, element| match element {
            Element::Uid => out.text(sender.uid),
            Element::Packet => fields::packet_value(out, &broadcast.event, Some(sender.namespace)),
            Element::Opts => opts.write_value(out, &broadcast.target),
        })
    })
}

/// The elements of a broadcast.
enum Element {
    Uid,
    Packet,
    Opts,
}

/// Writes a request: an operation for all nodes that is no broadcast without acknowledgements.
///
/// In MessagePack if there are binary data in it, which JSON does not have.
pub(super) fn write_request(
    sender: &Sender<'_>,
    operation: &Operation,
    request: Option<&str>,
    ack_timeout: Duration,
) -> Written<Bytes> {
    let is_msgpack = match operation {
        Operation::Broadcast(_) => true,
        Operation::ServerSideEmit { event, .. } => !event.payload().attachments().is_empty(),
        _ => false,
    };
    // As the reference's emitter does, which names itself in server-side events only.
    let is_anonymous =
        sender.uid == EMITTER && !matches!(operation, Operation::ServerSideEmit { .. });
    let common = 1 + u32::from(!is_anonymous) + u32::from(request.is_some());
    let members = match operation {
        Operation::FetchSockets { .. } | Operation::ServerSideEmit { .. } => common + 1,
        _ => common + 2,
    };
    let kind = match operation {
        Operation::Broadcast(_) | Operation::Respond { .. } | Operation::Log(_) => BROADCAST,
        Operation::Join { .. } => JOIN,
        Operation::Leave { .. } => LEAVE,
        Operation::Disconnect { .. } => DISCONNECT,
        Operation::FetchSockets { .. } => FETCH,
        Operation::ServerSideEmit { .. } => EMIT,
    };
    Out::message(is_msgpack, |out| {
        out.map(members, |out| {
            if !is_anonymous {
                out.name("uid").text(sender.uid)?;
            }
            if let Some(request) = request {
                out.name("requestId").text(request)?;
            }
            out.name("type").unsigned(kind)?;
            match operation {
                Operation::Broadcast(broadcast) => {
                    fields::packet(out, &broadcast.event, Some(sender.namespace))?;
                    Opts::Server(Flags::of(broadcast, ack_timeout)).write(out, &broadcast.target)
                }
                Operation::Join { target, rooms } | Operation::Leave { target, rooms } => {
                    Opts::Request.write(out, target)?;
                    out.name("rooms").texts(rooms)
                }
                Operation::Disconnect { target, close } => {
                    Opts::Request.write(out, target)?;
                    out.name("close").bool(*close)
                }
                Operation::FetchSockets { target, .. } => Opts::Request.write(out, target),
                Operation::ServerSideEmit { event, .. } => {
                    out.name("data").payload(event.payload())
                }
                // No requests to nodes.
                Operation::Respond { .. } | Operation::Log(_) => Ok(()),
            }
        })
    })
}

/// Writes a response in the form that the request asks for. `None` if there is nothing to respond.
pub(super) fn write_response(
    request: &str,
    reply: &Reply,
    response: &Response,
) -> Written<Option<Bytes>> {
    let (kind, members, is_msgpack) = match (reply, response) {
        (Reply::Owner, Response::Sockets(sockets)) if sockets.is_empty() => return Ok(None),
        (Reply::Owner, _) => (None, 0, false),
        (Reply::Sockets, Response::Sockets(sockets)) => (None, 1, fields::has_binary(sockets)),
        (_, Response::Sockets(_)) => (None, 1, false),
        (_, Response::Clients(_)) => (Some(CLIENTS), 1, false),
        (_, Response::Ack(args)) => (Some(ACK), u32::from(!args.is_empty()), true),
        (_, Response::Event(args)) => {
            let is_msgpack = !args.payload().attachments().is_empty();
            (Some(EMIT), u32::from(!args.is_empty()), is_msgpack)
        }
    };
    let message = Out::message(is_msgpack, |out| {
        out.map(1 + u32::from(kind.is_some()) + members, |out| {
            if let Some(kind) = kind {
                out.name("type").unsigned(kind)?;
            }
            out.name("requestId").text(request)?;
            match (reply, response) {
                (Reply::Owner, _) => Ok(()),
                (Reply::SocketIds, Response::Sockets(sockets)) => {
                    let ids: Vec<_> = sockets.iter().map(|socket| &socket.id).collect();
                    out.name("sockets").texts(&ids)
                }
                (Reply::Rooms, Response::Sockets(sockets)) => {
                    let mut rooms: Vec<_> =
                        sockets.iter().flat_map(|socket| &socket.rooms).collect();
                    rooms.sort_unstable();
                    rooms.dedup();
                    out.name("rooms").texts(&rooms)
                }
                (_, Response::Sockets(sockets)) => fields::write_sockets(out, sockets),
                (_, Response::Clients(clients)) => {
                    out.name("clientCount").unsigned(*clients as u64)
                }
                (_, Response::Ack(args)) => fields::argument(out, "packet", args.first().as_ref()),
                (_, Response::Event(args)) => fields::argument(out, "data", args.first().as_ref()),
            }
        })
    })?;
    Ok(Some(message))
}

/// Reads a broadcast. Nothing but the sender is read of a message of `own`.
pub(super) fn read_broadcast(message: Bytes, is_own: impl Fn(&str) -> bool) -> Result<Incoming> {
    let message = Whole::of_msgpack(message)?;
    let mut elements = [const { None }; 3];
    let mut index = 0;
    message.part().each("message", |element| {
        if let Some(slot) = elements.get_mut(index) {
            *slot = Some(element);
        }
        index += 1;
        Ok(())
    })?;
    let [uid, packet, opts] = elements;
    let uid = uid.ok_or(WireFault::Member("uid"))?.id("uid")?;
    if is_own(&uid) {
        return Ok(Incoming { uid: Some(uid), namespace: None, body: Body::Ignored });
    }
    let (broadcast, namespace) = fields::broadcast(packet, opts, false)?;
    let body = Body::operation(Operation::Broadcast(broadcast));
    Ok(Incoming { uid: Some(uid), namespace: Some(namespace.unwrap_or_else(|| "/".into())), body })
}

/// Reads a request. Nothing but the sender is read of a message of `own`, by its uid and the id of its request.
pub(super) fn read_request(
    message: Bytes,
    is_own: impl Fn(Option<&str>, Option<&str>) -> bool,
) -> Result<Incoming> {
    let names =
        ["uid", "requestId", "type", "rooms", "opts", "close", "sid", "room", "data", "packet"];
    let message = Whole::of_message(message)?;
    let [uid, request, kind, rooms, opts, close, sid, room, data, packet] =
        message.part().members("message", names)?;
    let uid = present(uid).map(|uid| uid.id("uid")).transpose()?;
    let request = present(request).map(|request| request.id("requestId")).transpose()?;
    let kind = kind.and_then(|kind| kind.integer()).ok_or(WireFault::Member("type"))?;
    if is_own(uid.as_deref(), request.as_deref()) {
        return Ok(Incoming { uid, namespace: None, body: Body::Ignored });
    }
    let for_request = || request.clone().ok_or(WireFault::Member("requestId"));
    let fetch = |target| Operation::FetchSockets { target, request: RequestId(0) };
    let body = match kind {
        SOCKETS => {
            let target = Target { rooms: Part::rooms(rooms, "rooms")?, except: Vec::new() };
            Body::asking(fetch(target), Some(for_request()?), Reply::SocketIds)
        }
        ALL_ROOMS => Body::asking(fetch(Target::all()), Some(for_request()?), Reply::Rooms),
        JOIN | LEAVE | DISCONNECT => match present(sid) {
            Some(sid) => {
                let sid = sid.text().map(Room::of_another_node).ok_or(WireFault::Member("sid"))?;
                let room = present(room).and_then(|room| room.room());
                let operation = change(kind, Target::all().to(sid), close, || {
                    room.map(|room| [room].into()).ok_or(WireFault::Member("room"))
                })?;
                Body::asking(operation, request, Reply::Owner)
            }
            None => {
                let target = fields::target(opts)?;
                let rooms = || fields::rooms(rooms);
                Body::operation(change(kind, target, close, rooms)?)
            }
        },
        FETCH => {
            let (target, _) = fields::opts(opts)?;
            Body::asking(fetch(target), Some(for_request()?), Reply::Sockets)
        }
        EMIT => {
            let event = data.ok_or(WireFault::Member("data"))?.args("data")?;
            let number = request.as_ref().map(|_| RequestId(0));
            Body::asking(
                Operation::ServerSideEmit { event, request: number },
                request,
                Reply::Event,
            )
        }
        BROADCAST => {
            let request = for_request()?;
            let (broadcast, _) = fields::broadcast(packet, opts, true)?;
            Body::asking(Operation::Broadcast(broadcast), Some(request), Reply::ACKS)
        }
        _ => Body::Ignored,
    };
    Ok(Incoming { uid, namespace: None, body })
}

/// A member, unless it is null.
fn present(member: Option<Part<'_>>) -> Option<Part<'_>> {
    member.filter(|member| !member.is_null())
}

/// The operation of a request that changes sockets.
fn change(
    kind: u64,
    target: Target,
    close: Option<Part<'_>>,
    rooms: impl FnOnce() -> Result<Vec<Room>>,
) -> Result<Operation> {
    Ok(match kind {
        JOIN => Operation::Join { target, rooms: rooms()? },
        LEAVE => Operation::Leave { target, rooms: rooms()? },
        _ => {
            let close = close.and_then(Part::bool).unwrap_or_default();
            Operation::Disconnect { target, close }
        }
    })
}

/// Reads a response, which does not tell whose it is. Nothing but the id is read if it is not `own`.
pub(super) fn read_response(message: Bytes, is_own: impl Fn(&str) -> bool) -> Result<Incoming> {
    let names = ["requestId", "type", "sockets", "clientCount", "data", "packet"];
    let message = Whole::of_message(message)?;
    let [request, kind, sockets, clients, data, packet] =
        message.part().members("message", names)?;
    let request: Arc<str> = fields::request_id(request)?;
    let kind = kind.and_then(|kind| kind.integer());
    let body = if !is_own(&request) {
        Body::Ignored
    } else {
        let response = match (kind, sockets) {
            (Some(EMIT), _) => Response::Event(fields::read_argument(data)?),
            (Some(ACK), _) => Response::Ack(fields::read_argument(packet)?),
            (Some(CLIENTS), _) => Response::Clients(fields::clients(clients)?),
            (_, Some(sockets)) => Response::Sockets(fields::sockets(sockets)?),
            _ => return Err(WireFault::Member("sockets")),
        };
        Body::Response(request, response)
    };
    Ok(Incoming { uid: None, namespace: None, body })
}
