//! The request line, checked as it arrives.

use super::fault::Fault;
use crate::exchange::is_token;

/// How much of a request line has come (RFC 9112 section 3).
///
/// The parser takes a head as a whole. Bytes that can never become one are refused before: a client
/// that speaks TLS or another protocol waits for an answer and sends no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestLine {
    /// The start of the line, or the carriage return of an empty line.
    Start {
        cr: bool,
    },
    Method,
    Target {
        begun: bool,
    },
    /// So many characters of the version, and whether it is one that is spoken here.
    Version {
        len: u8,
        known: bool,
    },
    /// A carriage return behind a complete line, or not.
    Cr {
        complete: bool,
        known: bool,
    },
    End,
}

impl RequestLine {
    pub(super) const START: Self = Self::Start { cr: false };

    /// Checks the next bytes, the first of which has the offset `at` in the head. The result is the same
    /// in whatever pieces the bytes come.
    ///
    /// # Errors
    ///
    /// The fault of the first byte that cannot stand where it does.
    pub(super) fn check(mut self, bytes: &[u8], at: usize) -> Result<Self, Fault> {
        for (&byte, at) in bytes.iter().zip(at..) {
            if self == Self::End {
                break;
            }
            self = self.next(byte, at)?;
        }
        Ok(self)
    }

    fn next(self, byte: u8, at: usize) -> Result<Self, Fault> {
        Ok(match (self, byte) {
            (Self::Start { cr: true }, b'\n') => Self::START,
            (Self::Cr { complete: true, known: true }, b'\n') => Self::End,
            (Self::Cr { complete: true, .. }, b'\n') => return Err(Fault::Version),
            (Self::Cr { .. }, b'\n') => return Err(Fault::RequestLine),
            (Self::Start { cr: true } | Self::Cr { .. }, _) => {
                return Err(Fault::BareCarriageReturn { at: at - 1 });
            }
            (Self::Start { .. }, b'\r') => Self::Start { cr: true },
            (Self::Version { len, known }, b'\r') => {
                Self::Cr { complete: usize::from(len) == VERSION.len(), known }
            }
            (Self::Method | Self::Target { .. }, b'\r') => {
                Self::Cr { complete: false, known: false }
            }
            (Self::Method, b' ') => Self::Target { begun: false },
            (Self::Start { .. } | Self::Method, byte) if is_token(byte) => Self::Method,
            (Self::Target { begun: true }, b' ') => Self::Version { len: 0, known: true },
            (Self::Target { .. }, b'!'..=b'~') => Self::Target { begun: true },
            (Self::Target { .. }, 0x80..) => return Err(Fault::Target),
            (Self::Version { len, known }, byte) => {
                let expected = VERSION.get(usize::from(len)).copied();
                let fits = match expected {
                    Some(b'1') => byte.is_ascii_digit(),
                    Some(expected) => byte == expected,
                    None => false,
                };
                if !fits {
                    return Err(impossible(byte, at));
                }
                let known = known && (expected == Some(byte) || (byte, len) == (b'0', MINOR));
                Self::Version { len: len + 1, known }
            }
            (_, byte) => return Err(impossible(byte, at)),
        })
    }
}

const fn impossible(byte: u8, at: usize) -> Fault {
    match byte {
        0 => Fault::Nul { at },
        b'\n' => Fault::BareLineFeed { at },
        _ => Fault::RequestLine,
    }
}

/// The newer of the two versions that are spoken.
const VERSION: &[u8] = b"HTTP/1.1";

/// Where the other one differs.
const MINOR: u8 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    /// The fault, and how many bytes it took to find it.
    fn refused(bytes: &[u8]) -> Option<(Fault, usize)> {
        let mut line = RequestLine::START;
        let found = (0..bytes.len()).find_map(|at| match line.check(&bytes[at..=at], at) {
            Ok(next) => {
                line = next;
                None
            }
            Err(fault) => Some((fault, at + 1)),
        });
        let whole = RequestLine::START.check(bytes, 0).err();
        assert_eq!(whole, found.map(|(fault, _)| fault), "in one piece: {bytes:?}");
        found
    }

    #[test]
    fn first_byte_that_cannot_begin_a_request_is_refused() {
        let client_hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
        assert_eq!(refused(client_hello), Some((Fault::RequestLine, 1)));
        assert_eq!(refused(b"\0\0\0"), Some((Fault::Nul { at: 0 }, 1)));
        for bytes in [&b" GET / HTTP/1.1\r\n"[..], b"\x80", b"\x05\x01\x00", b"{\"json\"", b"<xml"]
        {
            assert_eq!(refused(bytes), Some((Fault::RequestLine, 1)), "{bytes:?}");
        }
    }

    #[test]
    fn first_impossible_byte_of_a_line_is_refused() {
        for (bytes, fault, at) in [
            (&b"SSH-2.0-OpenSSH_9.6\r\n"[..], Fault::RequestLine, 21),
            (b"GET@/ HTTP/1.1", Fault::RequestLine, 4),
            (b"GET  /", Fault::RequestLine, 5),
            (b"GET /\r\n", Fault::RequestLine, 7),
            (b"GET /\rx", Fault::BareCarriageReturn { at: 5 }, 7),
            (b"GET /\0", Fault::Nul { at: 5 }, 6),
            (b"GET /\xc3\xa9", Fault::Target, 6),
            (b"GET / FTP/1.1", Fault::RequestLine, 7),
            (b"GET / HTTP/1.1 \r\n", Fault::RequestLine, 15),
            (b"GET / HTTP/1.10", Fault::RequestLine, 15),
            (b"GET / HTTP/1\r\n", Fault::RequestLine, 14),
            (b"GET / HTTP/1.1\rx", Fault::BareCarriageReturn { at: 14 }, 16),
            (b"\rGET", Fault::BareCarriageReturn { at: 0 }, 2),
        ] {
            assert_eq!(refused(bytes), Some((fault, at)), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn other_versions_are_refused_at_the_end_of_the_line() {
        for line in
            ["PRI * HTTP/2.0\r\n", "GET / HTTP/0.9\r\n", "GET / HTTP/1.2\r\n", "G / HTTP/0.1\r\n"]
        {
            assert_eq!(refused(line.as_bytes()), Some((Fault::Version, line.len())), "{line:?}");
        }
    }

    #[test]
    fn request_lines_pass_and_what_follows_is_not_looked_at() {
        for line in [
            "GET / HTTP/1.1\r\n\0\n",
            "OPTIONS * HTTP/1.0\r\n",
            "M-SEARCH http://a/?b=%20#c HTTP/1.1\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\n",
        ] {
            assert_eq!(refused(line.as_bytes()), None, "{line:?}");
        }
    }
}
