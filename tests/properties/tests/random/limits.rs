//! Sizes just below, at and just above the limits of each target.

use enginewire_properties::{http, http_client, stream, websocket};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{config, letters::Script};

/// What `http` and `http_client` choose their limits by, and the largest head and body then.
const HTTP: [(u8, usize, usize); 3] = [(0, 200, 100), (2 << 2, 64, 10), (3 << 2, 1000, 70_000)];

/// The same for `websocket`: the largest message, and the most fragments.
const MESSAGES: [(u8, usize); 3] = [(0, 1000), (1 << 1, 100), (2 << 1, 5000)];
const FRAGMENTS: [(u8, usize); 3] = [(0, usize::MAX), (1 << 3, 1), (2 << 3, 3)];

/// A size near to `limit`, and now and then far from it.
fn near(limit: usize) -> impl Strategy<Value = usize> {
    prop_oneof![3 => limit.saturating_sub(4)..=limit + 4, 1 => 0..=2 * limit]
}

/// Behind the options of a stream, in reads of any size: heads of one size and bodies of another.
fn exchanges(first: &'static str) -> impl Strategy<Value = Script> {
    (select(HTTP.to_vec()), any::<[u8; 4]>()).prop_flat_map(
        move |((flags, max_head, max_body), reads)| {
            let one = (near(max_head), near(max_body), any::<bool>());
            (any::<bool>(), vec(one, 1..4)).prop_map(move |(ends, exchanges)| {
                let mut script = vec![flags | if ends { 2 } else { 0 }];
                script.extend(reads);
                // Each request is answered with its body; or each answer is to a POST.
                script.extend(if first.starts_with("HTTP") { b"pppp" } else { &[0; 4] });
                for (i, (head, body, chunked)) in exchanges.into_iter().enumerate() {
                    if i > 0 && first.starts_with("HTTP") {
                        script.push(0x1e);
                    }
                    let length = if chunked {
                        "Transfer-Encoding: chunked".to_owned()
                    } else {
                        format!("Content-Length: {body}")
                    };
                    let mut lines = format!("{first}Host: a\r\n{length}\r\n");
                    let padding = head.saturating_sub(lines.len() + "X: \r\n\r\n".len());
                    lines += &format!("X: {}\r\n\r\n", "x".repeat(padding));
                    script.extend_from_slice(lines.as_bytes());
                    let body = "y".repeat(body);
                    script.extend_from_slice(
                        if !chunked {
                            body.clone().into_bytes()
                        } else if body.is_empty() {
                            b"0\r\n\r\n".to_vec()
                        } else {
                            format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).into_bytes()
                        }
                        .as_slice(),
                    );
                }
                Script(script)
            })
        },
    )
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
    fn heads_and_bodies_of_requests(script in exchanges("POST / HTTP/1.1\r\n")) {
        http::run(&script.0);
    }

    #[test]
    fn heads_and_bodies_of_answers(script in exchanges("HTTP/1.1 200 OK\r\n")) {
        http_client::run(&script.0);
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
