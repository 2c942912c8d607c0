//! States of sockets, as npm `@socket.io/redis-streams-adapter` keeps them: base64 of MessagePack.
//!
//! Beside the members of the reference there are some that its nodes pass over: what a client has received, and when it was
//! in which room.

use alloc::{format, string::ToString, vec::Vec};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;

use super::{
    event::WireFault,
    out::Out,
    part::{Part, Whole},
};
use crate::{
    EncodeError,
    adapter::{EntryId, MAX_STAYS, SocketState, Stay},
    id::{PrivateId, SocketId},
    payload::Payload,
};

type Result<T> = core::result::Result<T, WireFault>;

/// Writes the state of a socket.
pub(super) fn write(state: &SocketState<Payload>) -> core::result::Result<Bytes, EncodeError> {
    let SocketState { id, pid, rooms, data, received, stays, mark } = state;
    let members = 4 + u32::from(received.is_some()) + u32::from(!stays.is_empty());
    let message = Out::message(true, |out| {
        out.map(members + u32::from(*mark > 0), |out| {
            out.name("sid").text(id)?;
            out.name("pid").text(pid.as_str())?;
            // Its own is one of them, as in the reference.
            let rooms: Vec<_> = core::iter::once(id.as_str())
                .chain(rooms.iter().map(|room| room.as_str()))
                .collect();
            out.name("rooms").texts(&rooms)?;
            out.name("data").payload(data)?;
            if let Some(received) = received {
                out.name("received").text(&received.to_string())?;
            }
            if !stays.is_empty() {
                out.name("stays").array(stays, |out, Stay { room, after, until }| {
                    let text = |id: &Option<EntryId>| id.map(|id| id.to_string());
                    let [after, until] = [after, until].map(text).map(Option::unwrap_or_default);
                    out.texts(&[room.as_str(), &after, &until])
                })?;
            }
            if *mark > 0 {
                out.name("mark").text(&format!("{mark:016x}"))?;
            }
            Ok(())
        })
    })?;
    Ok(BASE64_STANDARD.encode(message).into())
}

/// Reads the state of a socket, which has this private id.
pub(super) fn read(value: &[u8], pid: &PrivateId) -> Result<SocketState<Payload>> {
    let bytes = BASE64_STANDARD.decode(value).map_err(|_| WireFault::Member("session"))?;
    let names = ["sid", "pid", "rooms", "data", "received", "stays", "mark"];
    let whole = Whole::of_msgpack(bytes.into())?;
    let members = whole.part().members("session", names)?;
    let [id, own_pid, rooms, data, received, stays, mark] = members;
    let id = id.and_then(|id| id.text()).ok_or(WireFault::Member("sid"))?;
    if own_pid.and_then(|pid| pid.text()).is_none_or(|own| own != pid.as_str()) {
        return Err(WireFault::Member("pid"));
    }
    let mut rooms = Part::rooms(rooms, "rooms")?;
    rooms.retain(|room| *room != *id);
    let data = match data.filter(|data| !data.is_null()) {
        Some(data) => data.payload()?,
        None => Payload::empty_object().clone(),
    };
    let mut all = Vec::new();
    if let Some(stays) = stays {
        // No node writes more: one for each room, and those of rooms that the socket has left.
        let max = rooms.len() + MAX_STAYS;
        stays.each("stays", |stay| {
            if all.len() == max {
                return Err(WireFault::Member("stays"));
            }
            all.push(self::stay(stay)?);
            Ok(())
        })?;
    }
    let received = received.map(|received| entry(received, "received")).transpose()?.flatten();
    let mark = mark.and_then(|mark| mark.text());
    let mark = mark.and_then(|mark| u64::from_str_radix(&mark, 16).ok()).unwrap_or_default();
    Ok(SocketState { id: SocketId::from(id), pid: *pid, rooms, data, received, stays: all, mark })
}

fn stay(stay: Part<'_>) -> Result<Stay> {
    let (mut parts, mut len) = ([const { None }; 3], 0);
    stay.each("stays", |part| {
        *parts.get_mut(len).ok_or(WireFault::Member("stays"))? = Some(part);
        len += 1;
        Ok(())
    })?;
    let [Some(room), Some(after), Some(until)] = parts else {
        return Err(WireFault::Member("stays"));
    };
    Ok(Stay {
        room: room.room().ok_or(WireFault::Member("stays"))?,
        after: entry(after, "stays")?,
        until: entry(until, "stays")?,
    })
}

/// Reads the id of an entry. Without text there is none.
fn entry(part: Part<'_>, what: &'static str) -> Result<Option<EntryId>> {
    let text = part.text().ok_or(WireFault::Member(what))?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| WireFault::Member(what))
}
