//! Tests of the headers of the PROXY protocol.

use alloc::{format, string::ToString, vec, vec::Vec};

use super::*;

/// Parses a header whole, byte by byte, as it asks for bytes, and with bytes behind it; all give the same.
fn parse_all(bytes: &[u8]) -> Result<Header, Fault> {
    let whole = parse(bytes);
    let expected = match whole {
        Ok(Parsed::Complete(header)) => Ok(header),
        Ok(Parsed::Partial(missing)) => panic!("{missing} bytes missing of {bytes:?}"),
        Err(fault) => Err(fault),
    };
    for end in 0..bytes.len() {
        match parse(&bytes[..end]) {
            Ok(Parsed::Partial(missing)) => {
                let len = expected.map_or(bytes.len(), |header| header.len);
                let is_exact = missing > 0 && (expected.is_err() || end + missing <= len);
                assert!(is_exact, "{missing} missing behind {end} of {len}");
            }
            Err(early) => assert_eq!(Err(early), expected, "behind {end} of {bytes:?}"),
            Ok(Parsed::Complete(_)) => panic!("complete behind {end} of {bytes:?}"),
        }
    }
    let mut end = 0;
    while let Ok(Parsed::Partial(missing)) = parse(&bytes[..end]) {
        end = (end + missing).min(bytes.len());
    }
    assert_eq!(parse(&bytes[..end]).map(|_| ()), expected.map(|_| ()), "{bytes:?}");
    for trailing in [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x03\x01", b"\r\n\r\n\0\r\nQUIT\n", b"\n"] {
        let more = [bytes, trailing].concat();
        match parse(&more) {
            Ok(Parsed::Complete(header)) => assert_eq!(Ok(header), expected, "{more:?}"),
            other => assert_eq!(other.map(|_| ()), expected.map(|_| ()), "{more:?}"),
        }
    }
    expected
}

fn shown(bytes: &[u8]) -> (usize, Option<(alloc::string::String, alloc::string::String)>) {
    let header = parse_all(bytes).unwrap();
    let addresses = header.source.zip(header.destination);
    (header.len, addresses.map(|(from, to)| (from.to_string(), to.to_string())))
}

/// A header of version 2.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [v2::SIGNATURE, &[command, family], &len, rest].concat()
}

const IPV4: [u8; 12] = [203, 0, 113, 9, 10, 0, 0, 1, 0xdc, 0x04, 0x01, 0xbb];

fn ipv6() -> Vec<u8> {
    let [from, to] = ["2001:db8::9", "fd00::1"]
        .map(|address| address.parse::<core::net::Ipv6Addr>().unwrap().octets());
    [&from[..], &to, &IPV4[8..]].concat()
}

#[test]
fn line_of_version_1_names_source_and_destination() {
    for (line, from, to) in [
        ("PROXY TCP4 203.0.113.9 10.0.0.1 56324 443\r\n", "203.0.113.9:56324", "10.0.0.1:443"),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 0 65535\r\n", "1.1.1.1:0", "2.2.2.2:65535"),
        ("PROXY TCP6 2001:db8::9 ::1 1 2\r\n", "[2001:db8::9]:1", "[::1]:2"),
        ("PROXY TCP6 ::ffff:203.0.113.9 ::ffff:10.0.0.1 1 2\r\n", "203.0.113.9:1", "10.0.0.1:2"),
    ] {
        let addresses = Some((from.to_string(), to.to_string()));
        assert_eq!(shown(line.as_bytes()), (line.len(), addresses), "{line}");
    }
    let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let longest = format!("PROXY TCP6 {longest} {longest} 65535 65535\r\n");
    assert_eq!(shown(longest.as_bytes()).0, 104);
}

#[test]
fn written_line_is_read_back_with_both_addresses() {
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    for (from, to) in [
        ("203.0.113.9:56324", "10.0.0.1:443"),
        ("[2001:db8::9]:1", "[fd00::1]:65535"),
        ("203.0.113.9:0", "[fd00::1]:1"),
        ("[2001:db8::9]:1", "10.0.0.1:443"),
    ] {
        let written = line(Some((address(from), address(to))));
        let addresses = Some((from.into(), to.into()));
        assert_eq!(shown(written.as_bytes()), (written.len(), addresses), "{written}");
    }
    assert_eq!(shown(line(None).as_bytes()), (line(None).len(), None));
}

#[test]
fn unknown_line_of_version_1_names_nobody_whatever_follows() {
    let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(91));
    assert_eq!(longest.len(), 107);
    for line in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN x y 1 2 3\r\n", &longest] {
        assert_eq!(shown(line.as_bytes()), (line.len(), None), "{line}");
    }
}

#[test]
fn malformed_line_of_version_1_is_refused() {
    for line in [
        "PROXY TCP4 203.0.113.9 10.0.0.1 56324 443\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 56324\r\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 56324 443 1\r\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 56324 443 \r\n",
        "PROXY TCP4  203.0.113.9 10.0.0.1 56324 443\r\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 056324 443\r\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 +1 443\r\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 65536 443\r\n",
        "PROXY TCP4 203.0.113.009 10.0.0.1 1 443\r\n",
        "PROXY TCP4 2001:db8::9 ::1 1 2\r\n",
        "PROXY TCP6 203.0.113.9 10.0.0.1 1 2\r\n",
        "PROXY TCP6 fe80::1%1 ::1 1 2\r\n",
        "PROXY TCP5 203.0.113.9 10.0.0.1 1 2\r\n",
        "PROXY TCP4\t203.0.113.9 10.0.0.1 1 2\r\n",
        "PROXY UDP4 203.0.113.9 10.0.0.1 1 2\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY \r\n",
    ] {
        assert_eq!(parse_all(line.as_bytes()), Err(Fault::Line), "{line}");
    }
    let not_text = b"PROXY TCP4 203.0.113.9 10.0.0.1 1 \xff\r\n";
    assert_eq!(parse_all(not_text), Err(Fault::Line));
}

#[test]
fn line_of_version_1_without_an_end_is_refused_at_its_limit() {
    let line = format!("PROXY UNKNOWN {}", "f".repeat(93));
    assert_eq!(parse_all(line.as_bytes()), Err(Fault::LineTooLong));
    assert_eq!(parse(&line.as_bytes()[..106]), Ok(Parsed::Partial(2)));
}

#[test]
fn header_of_version_2_names_source_and_destination() {
    for (family, rest, from, to) in [
        (0x11, IPV4.to_vec(), "203.0.113.9:56324", "10.0.0.1:443"),
        (0x12, IPV4.to_vec(), "203.0.113.9:56324", "10.0.0.1:443"),
        (0x21, ipv6(), "[2001:db8::9]:56324", "[fd00::1]:443"),
        (0x11, [&IPV4[..], &[0x04, 0, 2, 0, 0]].concat(), "203.0.113.9:56324", "10.0.0.1:443"),
        (0x11, [&IPV4[..], &[0xff; 4084]].concat(), "203.0.113.9:56324", "10.0.0.1:443"),
    ] {
        let header = v2(0x21, family, &rest);
        let addresses = Some((from.to_string(), to.to_string()));
        assert_eq!(shown(&header), (header.len(), addresses), "{family:#x}");
    }
}

#[test]
fn header_of_version_2_without_an_address_of_ip_names_nobody() {
    for (command, family, rest) in [
        (0x20, 0x00, vec![]),
        // What a local command carries is to be ignored.
        (0x20, 0x11, IPV4.to_vec()),
        (0x20, 0xff, vec![1]),
        (0x21, 0x00, vec![]),
        (0x21, 0x00, vec![1, 2, 3]),
        (0x21, 0x31, vec![b'a'; 216]),
    ] {
        let header = v2(command, family, &rest);
        assert_eq!(shown(&header), (header.len(), None), "{command:#x} {family:#x}");
    }
}

#[test]
fn malformed_header_of_version_2_is_refused() {
    for (command, family, rest, fault) in [
        (0x11, 0x11, &IPV4[..], Fault::Version(1)),
        (0x31, 0x11, &IPV4, Fault::Version(3)),
        (0x22, 0x11, &IPV4, Fault::Command(2)),
        (0x21, 0x41, &IPV4, Fault::Family(0x41)),
        (0x21, 0x13, &IPV4, Fault::Family(0x13)),
        (0x21, 0x11, &IPV4[..11], Fault::TooShort),
        (0x21, 0x21, &IPV4, Fault::TooShort),
        (0x21, 0x11, &[0; 4097], Fault::TooLong(4113)),
    ] {
        assert_eq!(parse_all(&v2(command, family, rest)), Err(fault), "{fault}");
    }
}

#[test]
fn connection_that_begins_otherwise_is_refused_at_once() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"PROXYTCP4 ",
        b"PRI * HTTP/2",
        b"\r\n\r\n\0\r\nQUIT\r",
        b"\r\nGET /",
        b"\x16\x03\x01",
        b"proxy TCP4 ",
        b"\0",
    ] {
        assert_eq!(parse(bytes), Err(Fault::Missing), "{bytes:?}");
    }
    assert_eq!(parse(b""), Ok(Parsed::Partial(MIN_LEN)));
}
