//! Changes and sockets, as pages read them.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use enginewire::Encoded;
use enginewire_socketio::{
    Packet, PacketData, Payload, Room, Value, cluster::SocketInfo, parser::Decoder,
};
use serde::{Deserialize, Serialize};

use super::{
    AdminShared,
    auth::Admitted,
    page::Listing,
    record::{Change, Record},
};
use crate::socketio::{SocketRef, namespace::NamespaceShared, socket::SocketShared};

/// Client of a socket, as nodes tell each other in `_admin` of its data.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Client {
    pub(crate) client_id: String,
    pub(crate) transport: String,
}

/// Something to be told, and whom.
pub(super) enum Told {
    All(Notice),
    Page(SocketRef<Admitted>, Vec<Socket>),
}

/// Event that all pages have, by the names and with the arguments of the reference.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Notice {
    SocketConnected(Box<Socket>, String),
    SocketUpdated(Update),
    SocketDisconnected(String, String, &'static str, String),
    /// Namespace, room, id of the socket, time.
    RoomJoined(String, String, String, String),
    RoomLeft(String, String, String, String),
    /// Namespace, id of the socket, name and arguments, time.
    EventReceived(String, String, Vec<Value>, String),
    EventSent(String, String, Vec<Value>, String),
}

/// A socket.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Socket {
    id: String,
    #[serde(flatten)]
    client: Option<Client>,
    nsp: String,
    data: Value,
    handshake: Handshake,
    rooms: Vec<String>,
}

/// The part of a socket that has changed.
#[derive(Serialize)]
pub(super) struct Update {
    id: String,
    nsp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transport: Option<&'static str>,
}

/// The handshake of a client, without its `auth`.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Handshake {
    address: Option<String>,
    headers: BTreeMap<String, Value>,
    query: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued: Option<u64>,
    secure: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    url: Option<String>,
    xdomain: bool,
}

impl Told {
    /// Makes something of a change that pages are told. `None` if it is nothing to them.
    pub(super) fn new(admin: &AdminShared, Record { at, change }: Record) -> Option<Self> {
        let at = time(at);
        let text = str::to_owned;
        Some(Self::All(match change {
            Change::Connected(socket, rooms) => {
                Notice::SocketConnected(Box::new(Socket::here(admin, &socket, rooms)), at)
            }
            Change::Upgraded(nsp, id) => {
                let (id, nsp) = (text(&id), text(&nsp));
                Notice::SocketUpdated(Update { id, nsp, data: None, transport: Some("websocket") })
            }
            Change::Data(socket) => {
                let (id, nsp) = (text(&socket.id), text(socket.namespace.name()));
                let data = Some(shown(value(&socket.shared_data())));
                Notice::SocketUpdated(Update { id, nsp, data, transport: None })
            }
            Change::Disconnected(nsp, id, reason) => {
                Notice::SocketDisconnected(text(&nsp), text(&id), reason.as_str(), at)
            }
            Change::Room(nsp, id, room, true) => {
                Notice::RoomJoined(text(&nsp), text(&room), text(&id), at)
            }
            Change::Room(nsp, id, room, false) => {
                Notice::RoomLeft(text(&nsp), text(&room), text(&id), at)
            }
            Change::Received(nsp, id, event) => {
                let arguments = event.args().to_values().ok()?;
                Notice::EventReceived(text(&nsp), text(&id), arguments, at)
            }
            Change::Sent(namespace, id, message) => {
                let arguments = arguments(&namespace, &message)?;
                Notice::EventSent(text(namespace.name()), text(&id), arguments, at)
            }
            Change::Page(listing) => {
                let Listing { page, here, elsewhere } = *listing;
                let here =
                    here.into_iter().map(|(socket, rooms)| Socket::here(admin, &socket, rooms));
                let elsewhere =
                    elsewhere.into_iter().map(|(nsp, info)| Socket::new(&nsp, &info, None));
                return Some(Self::Page(page, here.chain(elsewhere).collect()));
            }
        }))
    }
}

impl Socket {
    /// Describes a socket of this node. Calls the application, which serializes its data.
    fn here(admin: &AdminShared, socket: &SocketShared, rooms: Vec<Room>) -> Self {
        let info = SocketInfo { rooms, ..socket.info() };
        Self::new(socket.namespace.name(), &info, Some(admin.client(socket)))
    }

    /// Describes a socket, whose client is in its data if it is of another node.
    fn new(nsp: &str, info: &SocketInfo, client: Option<Client>) -> Self {
        let (data, of_data) = without_client(value(&info.data));
        // Of another shape it is not shown.
        let mut handshake: Handshake = info.handshake.decode().unwrap_or_default();
        handshake.headers.retain(|name, _| !SECRET.contains(&&*name.to_ascii_lowercase()));
        Self {
            id: info.id.as_str().to_owned(),
            client: client.or(of_data),
            nsp: nsp.to_owned(),
            data: shown(data),
            handshake,
            rooms: info.rooms.iter().map(|room| room.as_str().to_owned()).collect(),
        }
    }
}

/// Adds the client of a socket to its data, for the page of another node.
///
/// Data that are no object stay as they are, as there is no place in them.
pub(crate) fn add_client(info: &mut SocketInfo, client: &Client) {
    if let (Value::Object(mut members), Ok(client)) =
        (value(&info.data), Value::from_serialize(client))
    {
        members.retain(|(name, _)| name != CLIENT);
        members.push((CLIENT.to_owned(), client));
        info.data = Payload::from_value(Value::Object(members));
    }
}

/// Takes the client out of a description of another node.
pub(crate) fn remove_client(mut info: SocketInfo) -> SocketInfo {
    // Nearly none has it, and all but those of MessagePack tell without being read.
    if info.data.as_json().is_none_or(|json| json.contains(CLIENT))
        && let (data, Some(_)) = without_client(value(&info.data))
    {
        info.data = Payload::from_value(data);
    }
    info
}

/// Takes the client out of the data of a socket.
fn without_client(data: Value) -> (Value, Option<Client>) {
    let Value::Object(members) = data else { return (data, None) };
    let (clients, members): (Vec<_>, _) = members.into_iter().partition(|(name, _)| name == CLIENT);
    let client = clients.into_iter().find_map(|(_, client)| {
        let text = |name| client.get(name)?.as_str().map(str::to_owned);
        Some(Client { client_id: text("clientId")?, transport: text("transport")? })
    });
    (Value::Object(members), client)
}

/// Returns data as pages have them. They are never `null`, as nodes tell each other.
fn shown(data: Value) -> Value {
    match data {
        Value::Null => Value::Object(Vec::new()),
        data => without_binary(data),
    }
}

/// Names the size of binary data in place of the data.
///
/// A packet with all sockets must not have more attachments than clients take.
fn without_binary(value: Value) -> Value {
    match value {
        Value::Binary(bytes) => Value::String(format!("{} bytes", bytes.len())),
        Value::Array(values) => Value::Array(values.into_iter().map(without_binary).collect()),
        Value::Object(members) => {
            let of = |(name, value)| (name, without_binary(value));
            Value::Object(members.into_iter().map(of).collect())
        }
        value => value,
    }
}

/// Returns name and arguments of an event that was sent. `None` for an acknowledgement.
fn arguments(namespace: &NamespaceShared, message: &Encoded) -> Option<Vec<Value>> {
    let mut decoder = Decoder::new(namespace.parser(), namespace.config().limits);
    let mut parts = (0..message.parts()).filter_map(|index| message.part(index));
    let packet = parts.find_map(|part| decoder.handle_message(part.message().clone()).ok()?)?;
    let Packet { data: PacketData::Event { ack, args }, .. } = packet else { return None };
    let mut arguments = args.to_values().ok()?;
    if ack.is_none() && namespace.is_recovering() {
        // The offset, by which the client comes back.
        arguments.pop();
    }
    Some(arguments)
}

/// Returns a payload as a value, `null` if it is none.
fn value(payload: &Payload) -> Value {
    payload.to_value().unwrap_or(Value::Null)
}

/// Writes a time as JavaScript does: RFC 3339 in UTC, with milliseconds.
pub(crate) fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}

/// Returns the milliseconds since 1970.
pub(crate) fn since_1970(at: SystemTime) -> u64 {
    let since: Duration = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_millis().try_into().unwrap_or(u64::MAX)
}

/// The member of a socket's data in which nodes tell each other of its client.
const CLIENT: &str = "_admin";

/// Header fields that let whoever knows them act as the client.
const SECRET: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn client() -> Client {
        Client { client_id: "0123456789ab".into(), transport: "polling".into() }
    }

    fn info(data: &Json) -> SocketInfo {
        let handshake = json!({
            "headers": { "Cookie": "io=secret", "authorization": "secret", "accept": "*/*" },
            "address": "::1", "secure": true, "issued": 1, "auth": { "token": "secret" },
        });
        let [handshake, data] = [&handshake, data].map(|value| Payload::new(value).unwrap());
        SocketInfo { id: "id".into(), rooms: vec!["id".into()], handshake, data }
    }

    fn json_of(value: &impl Serialize) -> Json {
        Value::from_serialize(value).unwrap().to_json().unwrap()
    }

    #[test]
    fn client_in_the_data_of_another_node_is_shown_beside_them() {
        let mut info = info(&json!({ "name": "Ann", "_admin": 1 }));
        add_client(&mut info, &client());
        let shown = json_of(&Socket::new("/", &info, None));
        assert_eq!(shown["data"], json!({ "name": "Ann" }));
        let of_client = (&shown["clientId"], &shown["transport"]);
        assert_eq!(of_client, (&json!("0123456789ab"), &json!("polling")));
        let data: Json = remove_client(info).data.decode().unwrap();
        assert_eq!(data, json!({ "name": "Ann" }));
    }

    #[test]
    fn data_without_a_client_stay_as_they_are() {
        for data in [json!({}), json!({ "a": [1] }), json!({ "_admin": { "a": 1 } }), json!(7)] {
            let mut info = info(&data);
            assert_eq!(remove_client(info.clone()).data.decode::<Json>().unwrap(), data);
            if !data.is_object() {
                add_client(&mut info, &client());
                assert_eq!(info.data.decode::<Json>().unwrap(), data);
            }
        }
    }

    #[test]
    fn secrets_of_a_handshake_are_not_shown() {
        let shown = json_of(&Socket::new("/", &info(&json!({})), Some(client())));
        assert!(!shown.to_string().contains("secret"), "{shown}");
        assert_eq!(shown["handshake"]["headers"], json!({ "accept": "*/*" }));
        assert_eq!(shown["handshake"]["secure"], true);
    }

    #[test]
    fn handshake_of_another_shape_is_empty() {
        let mut info = info(&json!({}));
        info.handshake = Payload::new(&json!(["no object"])).unwrap();
        let shown = json_of(&Socket::new("/", &info, None));
        assert_eq!(shown["handshake"]["headers"], json!({}));
        assert_eq!((&shown["id"], shown.get("clientId")), (&json!("id"), None));
    }

    #[test]
    fn binary_data_are_shown_by_their_size() {
        let bytes = || Value::Binary(vec![0; 3].into());
        let value = Value::Object(vec![("a".into(), Value::Array(vec![bytes(), Value::Null]))]);
        assert_eq!(json_of(&without_binary(value)), json!({ "a": ["3 bytes", null] }));
    }

    #[test]
    fn times_are_written_as_javascript_does() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_796_019_185_009);
        assert_eq!((since_1970(at), &*time(at)), (1_796_019_185_009, "2026-11-30T06:13:05.009Z"));
    }
}
