//! Messages that the broker delivers, as events.

use alloc::{borrow::Cow, string::String, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use enginewire::Time;

use super::{
    super::{Broadcast, MAX_ACK_TIMEOUT, Operation},
    Wire, classic,
    command::Command,
    config::Format,
    event::{WireEvent, WireFault},
    foreign::Foreign,
    ids::{self, EMITTER},
    incoming::{self, Body, Incoming, Reply},
    log::APPEND,
    messages,
    part::Whole,
};
use crate::adapter::EntryId;

type Result<T> = core::result::Result<T, WireFault>;

/// A message for a namespace of this node.
struct Arrived {
    namespace: Arc<str>,
    incoming: Incoming,
    is_streamed: bool,
}

impl Wire {
    /// Takes a message of a channel, or one that `is_stored` apart and names no other.
    pub(super) fn receive(&mut self, now: Time, channel: &str, message: Bytes, is_stored: bool) {
        let max = self.config.max_message;
        let read = match message.len() {
            size if size > max => Err(WireFault::TooLarge { size, max }),
            _ => match self.config.format {
                Format::Classic(_) => self.read_classic(channel, message),
                _ => self.read_message(channel, message),
            },
        };
        let may_be_stored = !is_stored && matches!(self.config.format, Format::Heartbeats(_));
        if let Ok(Some(Arrived { incoming: Incoming { body: Body::Stored(_), .. }, .. })) = &read
            && !may_be_stored
        {
            return self.publisher_fault(channel, WireFault::Member("data"));
        }
        self.take(now, channel, read);
    }

    pub(super) fn receive_entry(
        &mut self,
        now: Time,
        stream: &str,
        id: &str,
        fields: &[(&str, &[u8])],
    ) {
        let id = id.parse::<EntryId>().ok();
        if let Some(id) = id {
            self.rewind(stream, id);
        }
        let read = self.read_entry(id, fields);
        self.take(now, stream, read);
        if let Some(id) = id {
            self.passed(stream, id);
        }
    }

    fn take(&mut self, now: Time, channel: &str, read: Result<Option<Arrived>>) {
        match read {
            Ok(Some(arrived)) => self.deliver(now, channel, arrived),
            // Of a namespace that is not here, which the broker has not heard yet.
            Ok(None) => {}
            Err(fault) => self.publisher_fault(channel, fault),
        }
    }

    fn read_classic(&self, channel: &str, message: Bytes) -> Result<Option<Arrived>> {
        let prefix = self.config.prefix.as_str();
        let Some(rest) = channel.strip_prefix(prefix) else { return Ok(None) };
        let (namespace, incoming) = if rest.starts_with(REQUEST) {
            let found = self.namespaces.of_channel(REQUEST, rest, "#");
            let Some((name, namespace)) = found else { return Ok(None) };
            let is_own = |uid: Option<&str>, request: Option<&str>| match uid {
                Some(uid) => uid == &*namespace.uid,
                None => request.is_some_and(|request| self.ids.own_request(request).is_some()),
            };
            (name, classic::read_request(message, is_own)?)
        } else if rest.starts_with(RESPONSE) {
            let found = self.namespaces.of_responses(RESPONSE, rest);
            let Some((name, _)) = found else { return Ok(None) };
            let is_own = |request: &str| self.ids.own_request(request).is_some();
            (name, classic::read_response(message, is_own)?)
        } else {
            // Of whichever namespace it is: all have uids of their own.
            let incoming = classic::read_broadcast(message, |uid| self.namespaces.is_own(uid))?;
            let name = incoming.namespace.as_deref().unwrap_or_default();
            match self.namespaces.get(name) {
                Some((name, _)) if is_channel_of(rest, name) => (name, incoming),
                _ => return Ok(None),
            }
        };
        Ok(Some(Arrived { namespace: Arc::clone(namespace), incoming, is_streamed: false }))
    }

    fn read_message(&self, channel: &str, message: Bytes) -> Result<Option<Arrived>> {
        let Some(rest) = channel.strip_prefix(self.config.prefix.as_str()) else {
            return Ok(None);
        };
        // The reference's emitter for Postgres does not name the namespace.
        let fallback = match self.config.format {
            Format::Heartbeats(_) => self.namespaces.of_channel("", rest, ""),
            _ => None,
        };
        let find = |name: Option<&str>| match name {
            Some(name) => self.namespaces.get(name).filter(|(name, _)| is_channel_of(rest, name)),
            None => fallback,
        };
        let is_own = |uid: &str, name: Option<&str>| {
            find(name).is_some_and(|(_, namespace)| *namespace.uid == *uid)
        };
        let message = Whole::of_message(message)?;
        let incoming = messages::read(message.part(), is_own)?;
        let Some((name, namespace)) = find(incoming.namespace.as_deref()) else { return Ok(None) };
        let is_private = rest.len() > 1 + name.len()
            && rest[1 + name.len()..].strip_prefix('#').and_then(|rest| rest.strip_suffix('#'))
                == Some(&*namespace.uid);
        if is_private && matches!(incoming.body, Body::Operation(..)) {
            return Err(WireFault::Member("type"));
        }
        Ok(Some(Arrived { namespace: Arc::clone(name), incoming, is_streamed: false }))
    }

    fn read_entry(
        &mut self,
        id: Option<EntryId>,
        fields: &[(&str, &[u8])],
    ) -> Result<Option<Arrived>> {
        self.fits(fields)?;
        let name = text(fields, "nsp")?;
        let Some((name, namespace)) = self.namespaces.get(&name) else { return Ok(None) };
        let uid = text(fields, "uid")?;
        if *uid == *namespace.uid {
            if let Some(id) = id {
                self.handle_own_entry(id, field(fields, APPEND));
            }
            return Ok(None);
        }
        let mut incoming = read_fields(&uid, fields)?;
        // As the reference does. One that is dropped where it cannot be sent is not sent again.
        if let Body::Operation(Operation::Broadcast(broadcast), _) = &mut incoming.body
            && !broadcast.volatile
        {
            broadcast.offset = id;
        }
        Ok(Some(Arrived { namespace: Arc::clone(name), incoming, is_streamed: true }))
    }

    /// The broadcast of an entry, of whatever node, if it can be sent again and is of this namespace.
    pub(super) fn read_logged(
        &self,
        namespace: &str,
        fields: &[(&str, &[u8])],
    ) -> Option<Broadcast> {
        self.fits(fields).ok()?;
        if field(fields, "nsp")? != namespace.as_bytes() {
            return None;
        }
        let uid = text(fields, "uid").ok()?;
        match read_fields(&uid, fields).ok()?.body {
            Body::Operation(operation @ Operation::Broadcast(_), None) if operation.is_valid() => {
                let Operation::Broadcast(broadcast) = operation else { return None };
                Some(broadcast).filter(|broadcast| !broadcast.volatile)
            }
            _ => None,
        }
    }

    /// Returns an error if an entry is larger than allowed.
    fn fits(&self, fields: &[(&str, &[u8])]) -> Result<()> {
        let max = self.config.max_message;
        match fields.iter().map(|(_, value)| value.len()).fold(0, usize::saturating_add) {
            size if size > max => Err(WireFault::TooLarge { size, max }),
            _ => Ok(()),
        }
    }

    fn deliver(&mut self, now: Time, channel: &str, arrived: Arrived) {
        let Arrived { namespace, incoming: Incoming { uid, body, .. }, is_streamed } = arrived;
        if matches!(body, Body::Ignored) {
            return;
        }
        let node = uid.as_deref().filter(|uid| !uid.is_empty() && **uid != *EMITTER);
        if let Some(uid) = node {
            self.hear(now, channel, &namespace, uid, &body);
        }
        let from = match &uid {
            Some(uid) => ids::node(uid),
            // Each response counts as that of one more node.
            None => self.ids.anonymous(),
        };
        match body {
            Body::Operation(mut operation, asked) => {
                let is_emitter = uid.as_deref() == Some(EMITTER);
                let asked = asked.filter(|_| !is_emitter);
                let is_of_owner = asked.as_ref().is_some_and(|asked| asked.reply == Reply::Owner);
                let request = asked.map(|asked| {
                    let name = Arc::clone(&namespace);
                    let foreign = Foreign::new(name, uid.clone(), asked, is_streamed);
                    let expires = now + self.time_for(&operation);
                    self.foreign.insert(expires, self.config.max_requests, foreign)
                });
                if let Some(request) = request.filter(|_| is_of_owner) {
                    // Whether the socket is here, before it is disconnected.
                    let target = match &operation {
                        Operation::Join { target, .. }
                        | Operation::Leave { target, .. }
                        | Operation::Disconnect { target, .. } => target.clone(),
                        _ => return,
                    };
                    let operation = Operation::FetchSockets { target, request };
                    let namespace = Arc::clone(&namespace);
                    self.events.push_back(WireEvent::Message { from, namespace, operation });
                }
                if matches!(operation, Operation::FetchSockets { .. }) && request.is_none() {
                    return;
                }
                incoming::number(&mut operation, request);
                self.events.push_back(WireEvent::Message { from, namespace, operation });
            }
            Body::Response(request, response) => {
                let Some(request) = self.ids.own_request(&request) else { return };
                if let Some(uid) = node
                    && let Some(of) = self.namespaces.get_mut(&namespace)
                    && let Some(heartbeat) = &mut of.heartbeat
                    && let Some(nodes) = heartbeat.respond(request, uid)
                {
                    self.events.push_back(WireEvent::Asked { request, nodes });
                }
                let operation = Operation::Respond { request, response };
                self.events.push_back(WireEvent::Message { from, namespace, operation });
            }
            Body::Stored(attachment) => {
                self.commands.push_back(Command::Fetch { channel: channel.into(), attachment });
            }
            Body::Hello | Body::Heartbeat | Body::Goodbye | Body::Ignored => {}
        }
    }

    /// The time in which a request of another node is to be answered.
    fn time_for(&self, operation: &Operation) -> core::time::Duration {
        match operation {
            Operation::Broadcast(broadcast) => {
                broadcast.timeout.unwrap_or(self.config.ack_timeout).min(MAX_ACK_TIMEOUT)
            }
            _ => self.config.request_timeout,
        }
    }
}

/// A field of an entry.
fn field<'a>(fields: &[(&str, &'a [u8])], wanted: &str) -> Option<&'a [u8]> {
    fields.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value)
}

fn text<'a>(fields: &[(&str, &'a [u8])], name: &'static str) -> Result<Cow<'a, str>> {
    field(fields, name).map(String::from_utf8_lossy).ok_or(WireFault::Member(name))
}

/// Content of the entry of a node.
fn read_fields(uid: &str, fields: &[(&str, &[u8])]) -> Result<Incoming> {
    let uid = ids::checked(uid)?;
    let kind = text(fields, "type")?.parse().map_err(|_| WireFault::Member("type"))?;
    let data = field(fields, "data").filter(|data| !data.is_empty());
    let data = data.map(entry_data).transpose()?;
    messages::read_entry(uid, kind, data.as_ref().map(Whole::part))
}

/// The data of an entry: JSON, or MessagePack in base64.
fn entry_data(data: &[u8]) -> Result<Whole> {
    if data.starts_with(b"{") {
        return Whole::of_json(Bytes::copy_from_slice(data));
    }
    let bytes = BASE64_STANDARD.decode(data).map_err(|_| WireFault::Member("data"))?;
    Whole::of_msgpack(bytes.into())
}

/// Whether a channel without its prefix is of a namespace.
fn is_channel_of(rest: &str, namespace: &str) -> bool {
    let behind = rest.strip_prefix('#').and_then(|rest| rest.strip_prefix(namespace));
    behind.is_some_and(|behind| behind.is_empty() || behind.starts_with('#'))
}

const REQUEST: &str = "-request";
const RESPONSE: &str = "-response";
