//! Members that the messages of all adapters have in common: packets, targets and sockets.

use alloc::{string::String, sync::Arc, vec::Vec};
use core::time::Duration;

use super::{event::WireFault, out::Out, part::Part};
use crate::{
    EncodeError, Room, SocketId,
    adapter::Target,
    cluster::{Broadcast, RequestId, SocketInfo},
    payload::{Args, Payload},
};

/// Options of a broadcast besides its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) volatile: bool,
    pub(super) no_compression: bool,
    pub(super) timeout: Option<Duration>,
}

/// Members of `opts`, and their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opts {
    /// `rooms`, `except`, `flags`.
    Server(Flags),
    /// `rooms`, `except`.
    Request,
    /// `rooms`, `flags`, `except`.
    Emitter(Flags),
}

type Result<T> = core::result::Result<T, WireFault>;
type Written = core::result::Result<(), EncodeError>;

impl Flags {
    /// The flags of a broadcast. The time for acknowledgements is written if they are expected.
    pub(super) fn of(broadcast: &Broadcast, ack_timeout: Duration) -> Self {
        let timeout = broadcast.timeout.unwrap_or(ack_timeout);
        Self {
            volatile: broadcast.volatile,
            no_compression: !broadcast.event.may_be_compressed(),
            timeout: broadcast.request.map(|_| timeout),
        }
    }

    fn read(part: Option<Part<'_>>) -> Result<Self> {
        let Some(part) = part.filter(|part| !part.is_null()) else { return Ok(Self::default()) };
        let [volatile, compress, timeout] =
            part.members("flags", ["volatile", "compress", "timeout"])?;
        let timeout = timeout.and_then(|timeout| timeout.number());
        Ok(Self {
            volatile: volatile.and_then(|flag| flag.bool()).unwrap_or_default(),
            no_compression: compress.and_then(|flag| flag.bool()) == Some(false),
            timeout: timeout.map(|timeout| {
                // Negative ones and NaN are no time at all.
                Duration::try_from_secs_f64(timeout / 1000.0).unwrap_or(if timeout > 0.0 {
                    Duration::MAX
                } else {
                    Duration::ZERO
                })
            }),
        })
    }

    fn write(self, out: &mut Out) -> Written {
        let Self { volatile, no_compression, timeout } = self;
        let members =
            u32::from(volatile) + u32::from(no_compression) + u32::from(timeout.is_some());
        out.name("flags").map(members, |out| {
            if volatile {
                out.name("volatile").bool(true)?;
            }
            if no_compression {
                out.name("compress").bool(false)?;
            }
            if let Some(timeout) = timeout {
                let milliseconds = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                out.name("timeout").unsigned(milliseconds)?;
            }
            Ok(())
        })
    }
}

impl Opts {
    pub(super) fn write(self, out: &mut Out, target: &Target) -> Written {
        self.write_value(out.name("opts"), target)
    }

    pub(super) fn write_value(self, out: &mut Out, target: &Target) -> Written {
        let members = if self == Self::Request { 2 } else { 3 };
        out.map(members, |out| {
            out.name("rooms").texts(&target.rooms)?;
            if let Self::Emitter(flags) = self {
                flags.write(out)?;
            }
            out.name("except").texts(&target.except)?;
            if let Self::Server(flags) = self {
                flags.write(out)?;
            }
            Ok(())
        })
    }
}

/// Reads `opts`. Absent and null are those without any, as members of it are.
pub(super) fn opts(part: Option<Part<'_>>) -> Result<(Target, Flags)> {
    let Some(part) = part.filter(|part| !part.is_null()) else {
        return Ok((Target::all(), Flags::default()));
    };
    let [rooms, except, flags] = part.members("opts", ["rooms", "except", "flags"])?;
    let target = Target {
        rooms: Part::rooms(rooms, "opts.rooms")?,
        except: Part::rooms(except, "opts.except")?,
    };
    Ok((target, Flags::read(flags)?))
}

/// Reads the `opts` of a change of sockets.
///
/// One that has none is not taken for a change of all: nothing that works writes it, and all clients would be
/// disconnected by it.
pub(super) fn target(part: Option<Part<'_>>) -> Result<Target> {
    match part {
        Some(part) if !part.is_null() => Ok(opts(Some(part))?.0),
        _ => Err(WireFault::Member("opts")),
    }
}

/// Reads the rooms to join or to leave.
pub(super) fn rooms(part: Option<Part<'_>>) -> Result<Vec<Room>> {
    match part {
        Some(part) if !part.is_null() => Part::rooms(Some(part), "rooms"),
        _ => Err(WireFault::Member("rooms")),
    }
}

/// Reads a broadcast of a packet and its options, and the namespace in the packet.
///
/// With `is_asking` acknowledgements are expected. The number of the request is another's to fill in.
pub(super) fn broadcast(
    packet: Option<Part<'_>>,
    opts: Option<Part<'_>>,
    is_asking: bool,
) -> Result<(Broadcast, Option<String>)> {
    let packet = packet.ok_or(WireFault::Member("packet"))?;
    let [data, namespace] = packet.members("packet", ["data", "nsp"])?;
    let event = data.ok_or(WireFault::Member("packet.data"))?.args("packet.data")?;
    let (target, flags) = self::opts(opts)?;
    let broadcast = Broadcast {
        target,
        event: event.with_compression(!flags.no_compression),
        volatile: flags.volatile,
        request: is_asking.then_some(RequestId(0)),
        timeout: flags.timeout.filter(|_| is_asking),
        offset: None,
    };
    Ok((broadcast, namespace.and_then(|namespace| namespace.text())))
}

/// Writes the packet of an event, with its namespace where the format has it there.
pub(super) fn packet(out: &mut Out, event: &Args, namespace: Option<&str>) -> Written {
    out.name("packet");
    packet_value(out, event, namespace)
}

pub(super) fn packet_value(out: &mut Out, event: &Args, namespace: Option<&str>) -> Written {
    out.map(if namespace.is_some() { 3 } else { 2 }, |out| {
        out.name("type").unsigned(EVENT)?;
        out.name("data").payload(event.payload())?;
        match namespace {
            Some(namespace) => out.name("nsp").text(namespace),
            None => Ok(()),
        }
    })
}

/// Writes the only argument of an acknowledgement, if there is one. Others are not carried.
pub(super) fn argument(out: &mut Out, name: &str, argument: Option<&Payload>) -> Written {
    argument.map_or(Ok(()), |argument| out.name(name).payload(argument))
}

/// Reads the only argument of an acknowledgement. Absent, there is none.
pub(super) fn read_argument(part: Option<Part<'_>>) -> Result<Args> {
    part.map_or_else(|| Ok(Args::empty()), Part::argument)
}

/// Reads the number of clients that are to acknowledge a broadcast.
pub(super) fn clients(part: Option<Part<'_>>) -> Result<usize> {
    let clients = part.and_then(Part::integer);
    let clients = clients.and_then(|clients| usize::try_from(clients).ok());
    clients.ok_or(WireFault::Member("clientCount"))
}

/// Reads descriptions of sockets.
pub(super) fn sockets(part: Part<'_>) -> Result<Vec<SocketInfo>> {
    let mut sockets = Vec::with_capacity(part.capacity(LEAST_SOCKET));
    part.each("sockets", |socket| {
        let [id, rooms, handshake, data] =
            socket.members("sockets", ["id", "rooms", "handshake", "data"])?;
        let id = id.and_then(|id| id.text()).ok_or(WireFault::Member("sockets.id"))?;
        let object = |part: Option<Part<'_>>| match part.filter(|part| !part.is_null()) {
            Some(part) => part.payload(),
            None => Ok(Payload::empty_object().clone()),
        };
        sockets.push(SocketInfo {
            id: SocketId::of_another_node(id),
            rooms: Part::rooms(rooms, "sockets.rooms")?,
            handshake: object(handshake)?,
            data: object(data)?,
        });
        Ok(())
    })?;
    Ok(sockets)
}

/// Writes descriptions of sockets.
pub(super) fn write_sockets(out: &mut Out, sockets: &[SocketInfo]) -> Written {
    out.name("sockets").array(sockets, |out, socket| {
        out.map(4, |out| {
            out.name("id").text(&socket.id)?;
            out.name("handshake").payload(&socket.handshake)?;
            out.name("rooms").texts(&socket.rooms)?;
            out.name("data").payload(&socket.data)
        })
    })
}

/// Whether there are binary data in a response.
pub(super) fn has_binary(sockets: &[SocketInfo]) -> bool {
    let has = |payload: &Payload| !payload.attachments().is_empty();
    sockets.iter().any(|socket| has(&socket.data) || has(&socket.handshake))
}

/// Reads the id of a request that a response is for.
pub(super) fn request_id(part: Option<Part<'_>>) -> Result<Arc<str>> {
    part.ok_or(WireFault::Member("requestId"))?.id("requestId")
}

/// Bytes of a socket in MessagePack that has no more than an id, which is empty.
const LEAST_SOCKET: usize = 5;

/// The type of a packet that is an event, also with binary data.
const EVENT: u64 = 2;
