//! Messages of this node as commands.

use alloc::{sync::Arc, vec, vec::Vec};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;

use super::{
    super::{Operation, Response},
    classic,
    command::{AttachmentHead, Command},
    config::{Format, StreamsConfig, WireConfig},
    foreign::Foreign,
    ids::EMITTER,
    messages::{BROADCAST, Outgoing, Sender},
    out::Out,
};
use crate::EncodeError;

type Result<T> = core::result::Result<T, EncodeError>;

impl WireConfig {
    /// The command that tells all other nodes of an operation. `request` is the id of its request, if it has one.
    pub(super) fn operation(
        &self,
        sender: &Sender<'_>,
        operation: &Operation,
        request: Option<&str>,
    ) -> Result<Command> {
        let Sender { namespace, .. } = *sender;
        let outgoing = Outgoing::Operation(operation, request);
        match &self.format {
            Format::Classic(_) => match operation {
                Operation::Broadcast(broadcast) if request.is_none() => {
                    let channel = match &*broadcast.target.rooms {
                        [room] => self.inner_channel(namespace, room),
                        _ => self.channel(namespace),
                    };
                    Ok(publish(channel, classic::write_broadcast(sender, broadcast)?))
                }
                _ => {
                    let message =
                        classic::write_request(sender, operation, request, self.ack_timeout)?;
                    Ok(publish(self.requests(namespace), message))
                }
            },
            Format::Sharded(mode) => {
                let room = match operation {
                    Operation::Broadcast(broadcast) if request.is_none() => {
                        match &*broadcast.target.rooms {
                            [room] if mode.has_channel(room) => Some(room),
                            _ => None,
                        }
                    }
                    _ => None,
                };
                let channel = match room {
                    Some(room) => self.inner_channel(namespace, room),
                    None => self.channel(namespace),
                };
                self.message(sender, channel, &outgoing)
            }
            Format::Streams(streams) => match operation {
                Operation::Broadcast(_)
                | Operation::Join { .. }
                | Operation::Leave { .. }
                | Operation::Disconnect { .. }
                    if request.is_none() =>
                {
                    self.append(sender, streams, &outgoing)
                }
                // The reference's emitter does so, because it cannot publish.
                Operation::ServerSideEmit { .. } if sender.uid == EMITTER => {
                    self.append(sender, streams, &outgoing)
                }
                _ => self.message(sender, self.channel(namespace), &outgoing),
            },
            Format::Heartbeats(_) => self.message(sender, self.channel(namespace), &outgoing),
        }
    }

    /// The command that responds to a request of another node. `None` if there is nothing to respond.
    pub(super) fn response(
        &self,
        sender: &Sender<'_>,
        to: &Foreign,
        response: &Response,
    ) -> Result<Option<Command>> {
        let outgoing = Outgoing::Response(response, &to.request);
        let channel = match (&self.format, to.uid.as_deref()) {
            (Format::Classic(config), uid) => {
                // The reference responds to server-side events on the common channel only.
                let uid = uid
                    .filter(|_| config.has_response_channels)
                    .filter(|_| !matches!(response, Response::Event(_)));
                let message = classic::write_response(&to.request, &to.reply, response)?;
                let channel = self.responses(sender.namespace, uid);
                return Ok(message.map(|message| publish(channel, message)));
            }
            (Format::Streams(streams), _) if to.is_streamed => {
                return self.append(sender, streams, &outgoing).map(Some);
            }
            (Format::Sharded(_) | Format::Streams(_), Some(uid)) => {
                self.inner_channel(sender.namespace, uid)
            }
            _ => self.channel(sender.namespace),
        };
        self.message(sender, channel, &outgoing).map(Some)
    }

    /// The command that publishes a message of the `ClusterAdapter`.
    pub(super) fn message(
        &self,
        sender: &Sender<'_>,
        channel: Arc<str>,
        outgoing: &Outgoing<'_>,
    ) -> Result<Command> {
        let write = |is_msgpack| outgoing.message(sender, self.ack_timeout, is_msgpack);
        let has_binary = outgoing.has_binary();
        let Format::Heartbeats(heartbeats) = &self.format else {
            let is_msgpack = has_binary || matches!(self.format, Format::Streams(_));
            let (message, is_sharded) = (write(is_msgpack)?, self.is_sharded());
            return Ok(Command::Publish { channel, message, is_sharded, attachment: None });
        };
        let message = write(has_binary)?;
        if !has_binary && message.len() < heartbeats.max_payload {
            return Ok(publish(channel, message));
        }
        let message = if has_binary { message } else { write(true)? };
        let attachment = Some(AttachmentHead { uid: sender.uid.into(), kind: outgoing.kind() });
        Ok(Command::Publish { channel, message, is_sharded: false, attachment })
    }

    fn append(
        &self,
        sender: &Sender<'_>,
        streams: &StreamsConfig,
        outgoing: &Outgoing<'_>,
    ) -> Result<Command> {
        let is_msgpack = outgoing.has_binary() && !streams.only_plaintext;
        let data = Out::message(is_msgpack, |out| {
            if sender.uid == EMITTER && outgoing.kind() == BROADCAST {
                return outgoing.emitted(out, sender.namespace);
            }
            outgoing.data(out, self.ack_timeout)
        })?;
        let data = if is_msgpack { BASE64_STANDARD.encode(data).into() } else { data };
        let text = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let kind = itoa::Buffer::new().format(outgoing.kind()).as_bytes().to_vec();
        let fields: Vec<(&'static str, Bytes)> = vec![
            ("uid", text(sender.uid)),
            ("nsp", text(sender.namespace)),
            ("type", kind.into()),
            ("data", data),
        ];
        let stream = streams.stream(sender.namespace);
        Ok(Command::Append { stream, fields, max_len: streams.max_len, append: None })
    }
}

fn publish(channel: Arc<str>, message: Bytes) -> Command {
    Command::Publish { channel, message, is_sharded: false, attachment: None }
}
