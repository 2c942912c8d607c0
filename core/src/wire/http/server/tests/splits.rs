//! How the bytes are cut into reads changes nothing.

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

use super::*;

/// One request and what the log says of it.
#[derive(Clone, Debug)]
struct Sent {
    bytes: Vec<u8>,
    log: Vec<String>,
    is_last: bool,
}

impl Sent {
    fn new(head: &str, body: &[u8], log: Vec<String>) -> Self {
        Self { bytes: [head.as_bytes(), body].concat(), log, is_last: false }
    }
}

fn logged(body: &[u8]) -> String {
    format!("body {:?}", String::from_utf8_lossy(body))
}

fn plain() -> impl Strategy<Value = Sent> {
    (select(vec!["GET", "HEAD", "OPTIONS"]), "/[a-z]{0,9}", "(X: [ -~]{0,20}\r\n){0,3}", 0usize..3)
        .prop_map(|(method, path, lines, empty)| {
            let empty = "\r\n".repeat(empty);
            let head = format!("{empty}{method} {path} HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
            Sent::new(&head, b"", vec![format!("{method} {path}")])
        })
}

fn sized() -> impl Strategy<Value = Sent> {
    (vec(any::<u8>(), 0..=Wire::MAX_BODY + 20), any::<bool>(), any::<bool>()).prop_map(
        |(body, unread, expect)| {
            let path = if unread { "/unread" } else { "/read" };
            let wait = if expect { "Expect: 100-continue\r\n" } else { "" };
            let len = body.len();
            let head =
                format!("POST {path} HTTP/1.1\r\nHost: a\r\n{wait}Content-Length: {len}\r\n\r\n");
            let mut sent = Sent::new(&head, &body, vec![format!("POST {path}")]);
            if unread {
                sent.is_last = expect && len > 0;
            } else if len > Wire::MAX_BODY {
                sent.is_last = true;
                sent.log.push("body over 100".to_owned());
            } else {
                sent.log.push(logged(&body));
            }
            sent
        },
    )
}

fn chunked() -> impl Strategy<Value = Sent> {
    let chunk = (vec(any::<u8>(), 1..20), "(;[a-z]{1,3}(=\"[ -!#-~]{0,5}\")?)?");
    (vec(chunk, 0..9), "(T: [a-z]{0,5}\r\n){0,2}").prop_map(|(chunks, trailers)| {
        let mut bytes = Vec::new();
        let mut body = Vec::new();
        for (data, extension) in chunks {
            if body.len() + data.len() > Wire::MAX_BODY {
                break;
            }
            bytes.extend_from_slice(format!("{:X}{extension}\r\n", data.len()).as_bytes());
            bytes.extend_from_slice(&data);
            bytes.extend_from_slice(b"\r\n");
            body.extend_from_slice(&data);
        }
        bytes.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
        let head = "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        Sent::new(head, &bytes, vec!["POST /c".to_owned(), logged(&body)])
    })
}

fn last() -> impl Strategy<Value = Sent> {
    select(vec![
        ("GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET /end"),
        ("GET /end HTTP/1.0\r\n\r\n", "GET /end"),
        (
            "GET / HTTP/1.1\n",
            "400 byte 14 of the head is a line feed without a carriage return before it",
        ),
        ("GET / HTTP/1.1\r\n\r\n", "400 the Host header is missing"),
        ("GET /\0\r\n\r\n", "400 byte 5 of the head is NUL"),
        ("GET /\x01\0 HTTP/1.1\n\r\n", "400 malformed request line"),
        ("GET /\r HTTP/1.1\0\r\n\r\n", CARRIAGE_RETURN),
        ("PRI * HTTP/2.0\r\nX: \0\r\n", "505 only HTTP/1.0 and HTTP/1.1 are supported"),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
            "400 line 3 of the head has white space before the colon",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "501 only the chunked transfer coding is implemented",
        ),
    ])
    .prop_map(|(bytes, log)| Sent { is_last: true, ..Sent::new(bytes, b"", vec![log.to_owned()]) })
}

fn request() -> impl Strategy<Value = Sent> {
    prop_oneof![4 => plain(), 3 => sized(), 3 => chunked(), 1 => last()]
}

/// Log and output of a run with these cuts. If `hold`, answers come only after each read.
fn run(bytes: &[u8], cuts: &[usize], hold: bool) -> (Vec<String>, Vec<u8>) {
    let mut wire = Wire::new();
    wire.hold = hold;
    let mut written = Vec::new();
    let mut from = 0;
    for &to in cuts.iter().chain([&bytes.len()]) {
        wire.feed(&bytes[from..to]);
        wire.respond_to_all();
        from = to;
        let n = wire.out.remaining();
        written.extend_from_slice(&wire.out.copy_to_bytes(n));
    }
    (wire.log, written)
}

fn sorted(cuts: &[Index], len: usize) -> Vec<usize> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(len + 1)).collect();
    cuts.sort_unstable();
    cuts
}

proptest! {
    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn any_mix_of_requests_is_served_alike_however_it_is_cut(
        sent in vec(request(), 1..8),
        cuts in vec(any::<Index>(), 0..12),
    ) {
        let bytes: Vec<u8> = sent.iter().flat_map(|sent| sent.bytes.clone()).collect();
        let (log, written) = run(&bytes, &[], false);
        let end = sent.iter().position(|sent| sent.is_last).map_or(sent.len(), |at| at + 1);
        let expected: Vec<String> = sent[..end].iter().flat_map(|sent| sent.log.clone()).collect();
        prop_assert_eq!(&log, &expected);
        let cuts = sorted(&cuts, bytes.len());
        let each: Vec<usize> = (0..bytes.len()).collect();
        for hold in [false, true] {
            for cuts in [&[][..], &cuts, &each] {
                let (cut_log, cut_written) = run(&bytes, cuts, hold);
                prop_assert_eq!(&cut_log, &log);
                prop_assert!(cut_written == written, "hold {} cuts {:?}", hold, cuts);
            }
        }
    }

    #[test]
    fn noise_is_refused_or_served_alike_however_it_is_cut(
        sent in vec(request(), 1..4),
        noise in vec((any::<Index>(), select(b"\r\n\0 :;,x5\xff".to_vec())), 1..4),
        cuts in vec(any::<Index>(), 0..12),
    ) {
        let mut bytes: Vec<u8> = sent.iter().flat_map(|sent| sent.bytes.clone()).collect();
        for (at, byte) in noise {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let (log, written) = run(&bytes, &[], false);
        let cuts = sorted(&cuts, bytes.len());
        for hold in [false, true] {
            let (cut_log, cut_written) = run(&bytes, &cuts, hold);
            prop_assert_eq!(&cut_log, &log);
            prop_assert!(cut_written == written, "hold {} cuts {:?}", hold, cuts);
        }
    }
}

const CARRIAGE_RETURN: &str =
    "400 byte 5 of the head is a carriage return without a line feed after it";
