//! Random conversations: however they are cut, the same comes out.

use alloc::string::String;

use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;

/// A message, where it is fragmented, and the pings that come before each fragment.
#[derive(Clone, Debug)]
struct Sent {
    message: Message,
    cuts: Vec<Index>,
    pings: Vec<Option<Vec<u8>>>,
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        vec(any::<char>(), 0..60).prop_map(|chars| Message::from(String::from_iter(chars))),
        "[ -~]{0,300}".prop_map(Message::from),
        vec(any::<u8>(), 0..3000).prop_map(Message::from),
    ]
}

fn sent() -> impl Strategy<Value = Sent> {
    let ping = prop::option::weighted(0.3, vec(any::<u8>(), 0..=125));
    (message(), vec(any::<Index>(), 0..5), vec(ping, 6)).prop_map(|(message, cuts, pings)| Sent {
        message,
        cuts,
        pings,
    })
}

impl Sent {
    fn put(&self, setup: &Setup, stream: &mut Vec<u8>, pongs: &mut Vec<(u8, Vec<u8>)>) {
        let payload = self.message.payload();
        let mut cuts: Vec<usize> =
            self.cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
        cuts.sort_unstable();
        cuts.push(payload.len());
        let mut start = 0;
        for (i, &end) in cuts.iter().enumerate() {
            if let Some(ping) = &self.pings[i] {
                stream.extend(setup.frame(FIN | PING, ping));
                pongs.push((FIN | PONG, ping.clone()));
            }
            let opcode = match i {
                0 if self.message.is_binary() => BINARY,
                0 => TEXT,
                _ => CONTINUATION,
            };
            let fin = if i + 1 == cuts.len() { FIN } else { 0 };
            stream.extend(setup.frame(fin | opcode, &payload[start..end]));
            start = end;
        }
    }
}

fn setup() -> impl Strategy<Value = Setup> {
    prop::sample::select(both().to_vec())
}

proptest! {
    #[test]
    fn fragments_pings_and_reads_do_not_change_what_is_received(
        setup in setup(),
        conversation in vec(sent(), 0..6),
        sizes in vec(1..400_usize, 0..100),
    ) {
        let (mut stream, mut pongs) = (Vec::new(), Vec::new());
        for sent in &conversation {
            sent.put(&setup, &mut stream, &mut pongs);
        }
        let sizes = sizes.into_iter().chain([stream.len()]);
        let outcome = setup.run(&stream, sizes);
        let messages: Vec<_> =
            conversation.into_iter().map(|sent| Received::Message(sent.message)).collect();
        prop_assert_eq!(outcome.received, messages);
        prop_assert_eq!(outcome.sent, pongs);
        prop_assert!(!outcome.closing);
    }

    #[test]
    fn what_one_role_writes_the_other_reads(
        from_client: bool,
        messages in vec((message(), prop::option::of(0..0x80_u8)), 0..8),
        large in prop::option::of(7000..70_000_usize),
        sizes in vec(1..5000_usize, 0..50),
        code in prop_oneof![Just(None), (3000..5000_u16).prop_map(Some)],
        reason in "\\PC{0,30}",
    ) {
        let (writer, reader) =
            if from_client { (client(), server()) } else { (server(), client()) };
        let large = large.map(|len| (Message::from(vec![0xee; len]), Some(4)));
        let mut socket = writer.socket();
        let mut out = Output::new();
        let mut expected = Vec::new();
        for (message, prefix) in messages.into_iter().chain(large) {
            socket.write(message.is_binary(), prefix, message.payload(), &mut out);
            let whole = Bytes::from([prefix.as_slice(), message.payload()].concat());
            expected.push(Received::Message(match message {
                Message::Text(_) => Message::Text(Text::from_utf8(whole).unwrap()),
                Message::Binary(_) => Message::Binary(whole),
            }));
        }
        socket.close(code, &reason, &mut out);
        expected.push(closed_by_peer(code, if code.is_some() { &reason } else { "" }));
        let stream = out.copy_to_bytes(out.remaining());
        let sizes = sizes.into_iter().chain([stream.len()]);
        prop_assert_eq!(reader.run(&stream, sizes).received, expected);
    }

    #[test]
    fn any_bytes_in_any_pieces_give_the_same_and_never_panic(
        setup in setup(),
        // Heads are likelier than chance would have it.
        stream in vec(prop_oneof![any::<u8>(), 0x80..0x8b_u8, 0..4_u8], 0..300),
        sizes in vec(1..20_usize, 0..100),
    ) {
        let whole = setup.run(&stream, [stream.len()]);
        let pieces = setup.run(&stream, sizes.into_iter().chain([stream.len()]));
        prop_assert_eq!(pieces, whole);
    }
}
