//! Sizes just below, at and just above the limits of each target.

use enginewire_properties::{
    http::{self, Refused, Taken},
    http_client, stream, websocket,
};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{config, letters::Script};

/// What `http` and `http_client` choose their limits by, and the largest head, most fields and largest
/// body then.
const HTTP: [(u8, usize, usize, usize); 3] =
    [(0, 200, 100, 100), (2 << 2, 64, 2, 10), (3 << 2, 1000, 20, 70_000)];

/// The same for `websocket`: the largest message, and the most fragments.
const MESSAGES: [(u8, usize); 3] = [(0, 1000), (1 << 1, 100), (2 << 1, 5000)];
const FRAGMENTS: [(u8, usize); 3] = [(0, usize::MAX), (1 << 3, 1), (2 << 3, 3)];

/// First lines, which are as long as they have to be.
const REQUEST: [&str; 2] = ["POST /", " HTTP/1.1"];
const ANSWER: [&str; 2] = ["HTTP/1.1 200 OK", ""];

/// The shortest field.
const FIELD: &str = "A:\r\n";

/// A size near to `limit`, and now and then far from it.
fn near(limit: usize) -> impl Strategy<Value = usize> {
    prop_oneof![3 => limit.saturating_sub(4)..=limit + 4, 1 => 0..=2 * limit]
}

/// Behind the options of a stream, in reads of any size: heads of one size and bodies of another, and what
/// is to be made of them. `first` are the parts of the first line, between which there is room.
fn exchanges(first: [&'static str; 2]) -> impl Strategy<Value = (Script, Taken)> {
    (select(HTTP.to_vec()), any::<[u8; 4]>()).prop_flat_map(
        move |((flags, max_head, max_fields, max_body), reads)| {
            let one = (near(max_head), near(max_fields), near(max_body), any::<bool>());
            (any::<bool>(), vec(one, 1..4)).prop_map(move |(ends, exchanges)| {
                let is_answer = first[0].starts_with("HTTP");
                let mut script = vec![flags | if ends { 2 } else { 0 }];
                script.extend(reads);
                // Each request is answered with its body; or each answer is to a POST.
                script.extend(if is_answer { b"pppp" } else { &[0; 4] });
                let mut taken = Taken::default();
                for (i, (head, fields, body, chunked)) in exchanges.into_iter().enumerate() {
                    if i > 0 && is_answer {
                        script.push(0x1e);
                    }
                    let (head, fields) =
                        write_head(first, head, fields, (!chunked).then_some(body));
                    script.extend_from_slice(head.as_bytes());
                    script.extend_from_slice(&write_body(body, chunked));
                    if taken.refused.is_none() {
                        let line = head.find('\n').map_or(0, |end| end + 1);
                        taken.refused = if line > max_head {
                            Some(Refused::Line)
                        } else if head.len() > max_head {
                            Some(Refused::Head)
                        } else if fields > max_fields {
                            Some(Refused::Fields)
                        } else {
                            (body > max_body).then_some(Refused::Body)
                        };
                        let is_whole = taken.refused.is_none();
                        taken.bodies.extend(is_whole.then_some(body));
                        // An answer is handed over with its body.
                        let is_head = !is_answer && taken.refused == Some(Refused::Body);
                        taken.heads += usize::from(is_whole || is_head);
                    }
                }
                (Script(script), taken)
            })
        },
    )
}

/// A head of this size, and as many fields of `fields` as have room in it, or as few as it takes.
fn write_head(
    first: [&str; 2],
    size: usize,
    fields: usize,
    length: Option<usize>,
) -> (String, usize) {
    let length = match length {
        Some(length) => format!("Content-Length: {length}"),
        None => "Transfer-Encoding: chunked".to_owned(),
    };
    let least = format!("{}{}\r\nHost: a\r\n{length}\r\n\r\n", first[0], first[1]).len();
    let room = size.saturating_sub(least);
    let more = fields.saturating_sub(2).min(room / FIELD.len());
    let padding = "x".repeat(room - more * FIELD.len());
    let [before, behind] = first;
    let more_fields = FIELD.repeat(more);
    let head = format!("{before}{padding}{behind}\r\nHost: a\r\n{length}\r\n{more_fields}\r\n");
    (head, 2 + more)
}

fn write_body(length: usize, chunked: bool) -> Vec<u8> {
    let body = "y".repeat(length);
    match (chunked, length) {
        (false, _) => body.into_bytes(),
        (true, 0) => b"0\r\n\r\n".to_vec(),
        (true, _) => format!("{length:x}\r\n{body}\r\n0\r\n\r\n").into_bytes(),
    }
}

/// A conversation of `websocket`, whose model knows what must come out of it.
fn conversations() -> impl Strategy<Value = Script> {
    let limits = (select(MESSAGES.to_vec()), select(FRAGMENTS.to_vec()));
    (limits, any::<bool>(), any::<[u8; 4]>()).prop_flat_map(
        |(((size, max), (fragments, most)), client, reads)| {
            let cuts = 0..=most.min(6) + 1;
            let item =
                (select(b"tb".to_vec()), near(max), vec(any::<u8>(), cuts), any::<[u8; 4]>());
            vec(item, 1..4).prop_map(move |items| {
                let mut script = vec![b'c', u8::from(client) | size | fragments, 255];
                script.extend(reads);
                for (kind, length, cuts, mask) in items {
                    // As many times as there may be, of as many bytes as it takes.
                    let times = length.div_ceil(255).max(1);
                    let len = u8::try_from(length / times).unwrap();
                    script.push(kind);
                    script.extend(mask);
                    script.extend([len, u8::try_from(times - 1).unwrap()]);
                    script.extend("\u{e9}z".bytes().cycle().take(len.into()));
                    script.push(u8::try_from(cuts.len()).unwrap());
                    script.extend(cuts);
                }
                Script(script)
            })
        },
    )
}

/// A packet of the stream of WebTransport, whose header says its length in any of the three ways.
fn packets() -> impl Strategy<Value = Script> {
    (select(vec![1usize, 125, 126, 1000, 65_535]), any::<[u8; 4]>()).prop_flat_map(
        |(max, reads)| {
            vec((near(max), any::<bool>(), 0..3), 1..4).prop_map(move |items| {
                let mut script = u16::try_from(max).unwrap().to_be_bytes().to_vec();
                script.extend(reads);
                for (length, binary, form) in items {
                    let bit = if binary { 0x80 } else { 0 };
                    let short =
                        u8::try_from(length).ok().filter(|&length| length < 126 && form == 0);
                    match (short, u16::try_from(length)) {
                        (Some(length), _) => script.push(bit | length),
                        (None, Ok(length)) if form < 2 => {
                            script.push(bit | 126);
                            script.extend(length.to_be_bytes());
                        }
                        _ => {
                            script.push(bit | 127);
                            script.extend((length as u64).to_be_bytes());
                        }
                    }
                    script.extend(b"4".iter().chain([b'x'].iter().cycle()).take(length));
                }
                Script(script)
            })
        },
    )
}

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn heads_and_bodies_of_requests((script, taken) in exchanges(REQUEST)) {
        assert_eq!(http::run(&script.0), taken);
    }

    #[test]
    fn heads_and_bodies_of_answers((script, taken) in exchanges(ANSWER)) {
        assert_eq!(http_client::run(&script.0), taken);
    }

    #[test]
    fn messages_and_their_fragments(script in conversations()) {
        websocket::run(&script.0);
    }

    #[test]
    fn packets_of_a_stream(script in packets()) {
        stream::run(&script.0);
    }
}
