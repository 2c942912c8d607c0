//! Tests of a tunnel: each response whole, byte by byte, and with bytes behind it.

use alloc::{vec, vec::Vec};

use bytes::Buf;
use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::{limits::Limits, wire::http::Fault};

fn open(server: &str, headers: &HeaderLines) -> (Tunnel, Vec<u8>) {
    let mut limits = Limits::default();
    (limits.max_head, limits.max_headers) = (100, 3);
    let mut output = Output::new();
    let config = Arc::new(ClientConfig::new(&limits));
    let server = Url::parse(server).unwrap();
    let tunnel = Tunnel::open(config, &server, headers, &mut output);
    let written = output.copy_to_bytes(output.remaining());
    (tunnel, written.to_vec())
}

/// The status or fault, and how many bytes were left.
type Outcome = (Option<Result<u16, ResponseFault>>, usize);

fn receive(response: &[u8], step: usize) -> Outcome {
    let (mut tunnel, _) = open("http://a", &HeaderLines::new());
    let mut bytes = response.to_vec();
    let mut before = 0;
    for read in bytes.chunks_mut(step) {
        before += read.len();
        let mut input = Input::new(read);
        if let Some(outcome) = tunnel.handle_bytes(&mut input) {
            let left = input.len() + response.len() - before;
            return (Some(outcome.map(|head| head.status())), left);
        }
        assert!(input.is_empty());
    }
    (None, 0)
}

#[test]
fn request_has_host_and_port_and_the_fields_for_the_proxy() {
    let mut headers = HeaderLines::new();
    headers.push("Proxy-Authorization", "Basic x").unwrap();
    for (server, target) in [
        ("http://a/p?q", "a:80"),
        ("wss://a", "a:443"),
        ("https://a:8443", "a:8443"),
        ("http://[::1]", "[::1]:80"),
        ("http://u:p@1.2.3.4:5", "1.2.3.4:5"),
    ] {
        let (_, written) = open(server, &headers);
        let expected = format!(
            "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic x\r\n\r\n"
        );
        assert_eq!(written, expected.as_bytes(), "{server}");
    }
}

#[test]
fn response_ends_with_its_head_however_it_is_cut() {
    for (response, status) in [
        ("HTTP/1.1 200 Connection established\r\n\r\n", 200),
        ("HTTP/1.0 200 OK\r\nProxy-Agent: x\r\n\r\n", 200),
        ("HTTP/1.1 299\r\n\r\n", 299),
        ("HTTP/1.1 204 \r\n\r\n", 204),
        // A client must ignore these (RFC 9110 section 9.3.6).
        ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", 200),
        ("HTTP/1.1 200 OK\r\nContent-Length: x\r\nContent-Length: 9\r\n\r\n", 200),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200),
        ("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 9\r\n\r\n", 407),
        ("HTTP/1.1 407 x\r\nContent-Length: x\r\n\r\n", 407),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", 502),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 200),
    ] {
        for (behind, left) in [("", 0), ("\x16\x03\x01", 3), ("HTTP/1.1 200 OK\r\n\r\n", 19)] {
            let bytes = [response, behind].concat();
            for step in [1, 2, 7, bytes.len()] {
                let outcome = receive(bytes.as_bytes(), step);
                assert_eq!(outcome, (Some(Ok(status)), left), "{response:?} {step}");
            }
        }
        let short = &response.as_bytes()[..response.len() - 1];
        assert_eq!(receive(short, short.len()), (None, 0), "{response:?}");
    }
}

#[test]
fn response_that_breaks_a_rule_is_a_fault_however_it_is_cut() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(100));
    let many = "HTTP/1.1 200 OK\r\na: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\n\r\n";
    let interim = "HTTP/1.1 102 x\r\n\r\n".repeat(Client::MAX_INTERIM + 1);
    for (response, fault) in [
        ("SSH-2.0-OpenSSH_9.2p1\r\n\r\n", ResponseFault::StatusLine),
        ("HTTP/1.1 101 Switching\r\n\r\n", ResponseFault::Switched),
        ("HTTP/1.1 200 OK\n\n", Fault::BareLineFeed { at: 15 }.into()),
        (&*long, Fault::HeadTooLarge { max: 100 }.into()),
        (many, Fault::TooManyHeaders { max: 3 }.into()),
        (&*interim, ResponseFault::Interim { max: Client::MAX_INTERIM }),
    ] {
        for step in [1, 7, response.len()] {
            let (outcome, _) = receive(response.as_bytes(), step);
            assert_eq!(outcome, Some(Err(fault)), "{response:?} {step}");
        }
    }
}

/// Heads of which some bytes are others.
fn responses() -> impl Strategy<Value = Vec<u8>> {
    let heads = [
        "HTTP/1.1 200 Connection established\r\nProxy-Agent: x\r\n\r\n\x16\x03",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 407 No\r\nA: b\r\n\r\n<html>",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
    ];
    let changes = vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4);
    (select(heads.to_vec()), changes).prop_map(|(head, changes)| {
        let mut bytes = head.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

proptest! {
    #[test]
    fn any_response_means_the_same_however_it_is_cut(bytes in responses(), step in 1..20usize) {
        let (whole, left) = receive(&bytes, bytes.len());
        let cut = receive(&bytes, step);
        // A fault may be noticed before the rest has come.
        if matches!(whole, Some(Err(_))) {
            prop_assert_eq!(cut.0, whole);
        } else {
            prop_assert_eq!(cut, (whole, left));
        }
    }
}

#[test]
fn no_more_than_a_head_is_held_of_a_proxy_that_never_ends_it() {
    let (mut tunnel, _) = open("http://a", &HeaderLines::new());
    let mut fault = None;
    for _ in 0..200 {
        let mut byte = vec![b'x'];
        fault = tunnel.handle_bytes(&mut Input::new(&mut byte));
        assert!(tunnel.held.len() <= 100);
        if fault.is_some() {
            break;
        }
    }
    assert!(matches!(fault, Some(Err(_))), "{fault:?}");
}
