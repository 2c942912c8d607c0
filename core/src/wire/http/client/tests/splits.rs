//! Tests of the cuts between reads, which change nothing. Also of our client and our server, back
//! to back.

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

use super::*;
use crate::{
    time::Time,
    wire::http::{Config, Event, Response, Server},
};

/// An answer, what the log says of it, and whether the connection ends with it.
#[derive(Clone, Debug)]
struct Sent {
    bytes: Vec<u8>,
    log: String,
    is_last: bool,
}

impl Sent {
    fn new(head: &str, bytes: &[u8], body: &[u8]) -> Self {
        let log = format!("200 {:?}", String::from_utf8_lossy(body));
        Self { bytes: [head.as_bytes(), bytes].concat(), log, is_last: false }
    }
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..=Wire::MAX_BODY)
}

fn lines() -> impl Strategy<Value = String> {
    "(X-[a-z]{1,5}:[ \t]?[ -~]{0,20}\r\n){0,3}"
}

fn with_length() -> impl Strategy<Value = Sent> {
    (body(), lines(), any::<bool>()).prop_map(|(body, lines, close)| {
        let close_line = if close { "Connection: close\r\n" } else { "" };
        let len = body.len();
        let head = format!("HTTP/1.1 200 OK\r\n{lines}{close_line}Content-Length: {len}\r\n\r\n");
        Sent { is_last: close, ..Sent::new(&head, &body, &body) }
    })
}

fn chunked() -> impl Strategy<Value = Sent> {
    let chunk = (vec(any::<u8>(), 1..20), "(;[a-z]{1,3}(=\"[ -!#-~]{0,5}\")?)?");
    (vec(chunk, 0..9), lines(), "(T: [a-z]{0,5}\r\n){0,2}").prop_map(|(chunks, lines, trailers)| {
        let (mut bytes, mut body) = (Vec::new(), Vec::new());
        for (data, extension) in chunks {
            if body.len() + data.len() > Wire::MAX_BODY {
                break;
            }
            bytes.extend(format!("{:x}{extension}\r\n", data.len()).into_bytes());
            bytes.extend([&data, &b"\r\n"[..]].concat());
            body.extend(data);
        }
        bytes.extend(format!("0\r\n{trailers}\r\n").into_bytes());
        let head = format!("HTTP/1.1 200 OK\r\n{lines}Transfer-Encoding: chunked\r\n\r\n");
        Sent::new(&head, &bytes, &body)
    })
}

fn until_close() -> impl Strategy<Value = Sent> {
    (body(), lines(), select(vec!["1.0", "1.1"])).prop_map(|(body, lines, version)| {
        let head = format!("HTTP/{version} 200 OK\r\n{lines}\r\n");
        Sent { is_last: true, ..Sent::new(&head, &body, &body) }
    })
}

fn answer() -> impl Strategy<Value = Sent> {
    let interim = select(vec!["", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103\r\nA: b\r\n\r\n"]);
    let sent = prop_oneof![3 => with_length(), 3 => chunked(), 1 => until_close()];
    (vec(interim, 0..3), sent).prop_map(|(interim, sent)| {
        let bytes = [interim.concat().as_bytes(), &sent.bytes].concat();
        Sent { bytes, ..sent }
    })
}

/// The pieces that `cuts` make of `bytes`.
fn pieces<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.push(bytes.len());
    let mut from = 0;
    cuts.into_iter().map(|to| &bytes[core::mem::replace(&mut from, to)..to]).collect()
}

/// The log of a connection whose server answers each request in these pieces, and then closes.
fn read<'a>(answers: impl Iterator<Item = Vec<&'a [u8]>>) -> Vec<String> {
    let mut wire = Wire::new();
    for answer in answers {
        if !wire.client.is_idle() {
            break;
        }
        wire.ask(&get());
        for piece in answer {
            wire.feed(piece);
        }
    }
    wire.eof();
    wire.log
}

proptest! {
    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn any_answer_is_read_as_it_was_meant_however_it_is_cut(
        sent in vec(answer(), 1..5),
        cuts in vec(any::<Index>(), 0..12),
    ) {
        let last = sent.iter().position(|sent| sent.is_last);
        let end = last.map_or(sent.len(), |at| at + 1);
        let expected: Vec<String> = sent[..end].iter().map(|sent| sent.log.clone()).collect();
        prop_assert_eq!(read(sent.iter().map(|sent| vec![&sent.bytes[..]])), expected.clone());
        prop_assert_eq!(read(sent.iter().map(|sent| pieces(&sent.bytes, &cuts))), expected.clone());
        prop_assert_eq!(read(sent.iter().map(|sent| sent.bytes.chunks(1).collect())), expected);
    }

    #[test]
    fn noise_is_refused_or_understood_alike_however_it_is_cut(
        sent in vec(answer(), 1..3),
        noise in vec((any::<Index>(), select(b"\r\n\0 :;,x5\xff".to_vec())), 0..4),
        cuts in vec(any::<Index>(), 0..12),
        upgrades: bool,
        eof: bool,
    ) {
        let mut bytes: Vec<u8> = sent.iter().flat_map(|sent| sent.bytes.clone()).collect();
        for (at, byte) in noise {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let request = if upgrades { upgrade() } else { get() };
        let run = |pieces: Vec<&[u8]>| {
            let mut wire = Wire::asked(&request);
            let left: Vec<u8> = pieces.into_iter().flat_map(|piece| wire.feed(piece)).collect();
            if eof {
                wire.eof();
            }
            let standing = wire.standing();
            (wire.log, standing, left)
        };
        prop_assert_eq!(run(pieces(&bytes, &cuts)), run(vec![&bytes]));
    }

    #[test]
    fn our_client_and_our_server_understand_each_other_however_they_are_cut(
        rounds in vec((prop::option::of(body()), select(vec![200, 204, 304, 400, 413]), body()), 1..6),
        interim: bool,
        closes: bool,
        cuts in vec(any::<Index>(), 0..8),
    ) {
        let mut server = Server::new(Time::ZERO, Arc::new(Config::default()));
        let mut wire = Wire::new();
        let last = rounds.len() - 1;
        for (round, (sent, status, answer)) in rounds.iter().enumerate() {
            let mut request = sent.clone().map_or_else(get, post);
            request.target = format!("/{round}");
            if interim {
                request.headers.push("Expect", "100-continue").unwrap();
            }
            let mut out = Output::new();
            wire.client.request(&request, "example.com", &mut out);
            let bytes = out.copy_to_bytes(out.remaining());
            let mut asked = Vec::new();
            for piece in pieces(&bytes, &cuts) {
                let mut piece = piece.to_vec();
                let mut input = Input::new(&mut piece);
                while let Some(event) = server.handle_bytes(Time::ZERO, &mut input, &mut out) {
                    match event {
                        Event::Request(head) => {
                            prop_assert_eq!(head.method(), request.method);
                            prop_assert_eq!(head.target(), &request.target);
                            prop_assert_eq!(head.header("host"), Some(&b"example.com"[..]));
                            let content_type = request.content_type.map(str::as_bytes);
                            prop_assert_eq!(head.header("content-type"), content_type);
                            server.read_body(Time::ZERO, &mut out);
                        }
                        Event::Body(body) => asked.push(body),
                        other => panic!("{other:?}"),
                    }
                }
            }
            prop_assert_eq!(asked, [request.body]);

            let mut response = Response::new(*status).with_body("text/plain", answer.clone());
            response.close = closes && round == last;
            server.respond(Time::ZERO, &response, &mut out);
            let bytes = out.copy_to_bytes(out.remaining());
            for piece in pieces(&bytes, &cuts) {
                wire.feed(piece);
            }
            let body = if matches!(status, 204 | 304) { &[][..] } else { answer };
            let expected = format!("{status} {:?}", String::from_utf8_lossy(body));
            prop_assert_eq!(wire.log.pop(), Some(expected));
            prop_assert_eq!(wire.standing(), if response.close { "closed" } else { "idle" });
        }
        prop_assert!(wire.log.is_empty());
        prop_assert_eq!(server.is_closing(), closes);
    }
}
