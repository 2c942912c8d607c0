//! Rules of the parsers, through [`Decoder`] and [`Encoder`].

mod decoding;
mod encoding;
mod forwarding;
mod other_formats;

use alloc::{
    format,
    string::{String, ToString},
    vec,
};

use enginewire::Text;

use super::*;
use crate::payload::{Attachment, Payload, Spread};

fn decoder() -> Decoder {
    Decoder::new(&Parser::Json, ParserLimits::default())
}

/// Decodes one message with a new decoder.
fn decode(message: impl Into<Message>) -> Result<Option<Packet>, PacketError> {
    decoder().handle_message(message.into())
}

/// Decodes messages with a new decoder, of which the last completes a packet.
fn packet(messages: impl IntoIterator<Item = Message>) -> Result<Packet, PacketError> {
    let mut decoder = decoder();
    let mut packet = None;
    for message in messages {
        assert!(packet.is_none(), "more came than a packet has");
        packet = decoder.handle_message(message)?;
    }
    assert!(!decoder.is_waiting());
    Ok(packet.unwrap())
}

/// An event with its attachments, as the messages of a client.
fn binary(text: &str, attachments: &[&'static [u8]]) -> Vec<Message> {
    let attachments = attachments.iter().map(|bytes| Message::Binary(Bytes::from_static(bytes)));
    core::iter::once(Message::from(text)).chain(attachments).collect()
}

fn event(packet: Packet) -> (Text, Option<AckId>, Text, Args) {
    match packet.data {
        PacketData::Event { ack, args } => {
            let name = args.name().map_or(Text::EMPTY, |name| Text::from(&*name));
            (packet.namespace, ack, name, args)
        }
        other => panic!("{other:?} is no event"),
    }
}

fn args(text: &str) -> Args {
    event(decode(text).unwrap().unwrap()).3
}

fn json(args: &Args) -> &str {
    args.payload().as_json().unwrap()
}

fn parts(encoded: &Encoded) -> Vec<Message> {
    (0..encoded.parts()).map(|index| encoded.part(index).unwrap().message().clone()).collect()
}

/// The text of a message without attachments.
fn text(encoded: &Encoded) -> Text {
    match &parts(encoded)[..] {
        [Message::Text(text)] => text.clone(),
        other => panic!("{other:?} is not one text"),
    }
}

#[cfg(feature = "deflate")]
#[test]
fn event_that_is_left_out_of_compression_stays_so_in_every_form() {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Said {
        Chat(&'static str),
    }
    let said = Said::Chat("a");
    let named = || NamedEvent::new("chat", "a");
    for parser in [Parser::Json, Parser::MessagePack] {
        let mut encoder = Encoder::new();
        for compressed in [true, false] {
            let leave = |event: NamedEvent<'static, str>| match compressed {
                true => event,
                false => event.without_compression(),
            };
            let event = leave(named());
            let with_bytes = leave(named()).attach(&b"b"[..]);
            for encoded in [
                encoder.event(&parser, "/", None, &event).unwrap(),
                encoder.event(&parser, "/a", Some(AckId(1)), &with_bytes).unwrap(),
            ] {
                assert_eq!(encoded.is_compressible(), compressed);
                assert_eq!(encoded.into_shared().is_compressible(), compressed);
            }
            // As it goes to the log of a namespace, and to other nodes.
            let args = encoder.args(&parser, &event).unwrap();
            for (ack, offset) in [(None, None), (None, Some("1")), (Some(AckId(1)), None)] {
                let encoded = encoder.forward(&parser, "/", ack, &args.clone(), offset).unwrap();
                assert_eq!(encoded.is_compressible(), compressed);
            }
        }
        let event = EnumEvent::new(&said).without_compression();
        assert!(!encoder.event(&parser, "/", None, &event).unwrap().is_compressible());
        let event = EnumEvent::new(&said);
        assert!(encoder.event(&parser, "/", None, &event).unwrap().is_compressible());
    }
}
