//! Where requests begin and end, found a second time in a stream that is there as a whole. Used only
//! on what the server has accepted: what is not in order is a panic.

/// A stream, taken from the front.
pub(super) struct Naive<'a> {
    rest: &'a [u8],
}

#[derive(Debug)]
pub(super) struct Head<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
    pub(super) fields: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Naive<'a> {
    pub(super) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether nothing but empty lines is left.
    pub(super) fn is_idle(&mut self) -> bool {
        while let Some(rest) = self.rest.strip_prefix(b"\r\n") {
            self.rest = rest;
        }
        self.rest.is_empty()
    }

    pub(super) fn head(&mut self) -> Head<'a> {
        assert!(!self.is_idle(), "there is a request");
        let line = self.line();
        let parts: Vec<_> = line.split(|&byte| byte == b' ').collect();
        let [method, target, b"HTTP/1.0" | b"HTTP/1.1"] = parts[..] else {
            panic!("{} is no request line", line.escape_ascii());
        };
        let mut fields = Vec::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                return Head { method, target, fields };
            }
            let colon = line.iter().position(|&byte| byte == b':').expect("a field has a colon");
            fields.push((&line[..colon], trim(&line[colon + 1..])));
        }
    }

    pub(super) fn sized(&mut self, length: u64) -> &'a [u8] {
        let body = self.skip(length);
        assert_eq!(body.len() as u64, length, "all of it has come");
        body
    }

    pub(super) fn chunked(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = self.line();
            let end = line.iter().position(|byte| b" \t;".contains(byte)).unwrap_or(line.len());
            let size = std::str::from_utf8(&line[..end]).expect("a size is ASCII");
            let size = u64::from_str_radix(size, 16).expect("a size is hexadecimal");
            if size == 0 {
                while !self.line().is_empty() {}
                return body;
            }
            body.extend_from_slice(self.sized(size));
            assert_eq!(self.line(), b"", "a chunk ends where its size says");
        }
    }

    /// The next `n` bytes, or as many as there are.
    pub(super) fn skip(&mut self, n: u64) -> &'a [u8] {
        let n = usize::try_from(n).unwrap_or(usize::MAX).min(self.rest.len());
        let (taken, rest) = self.rest.split_at(n);
        self.rest = rest;
        taken
    }

    /// Up to the next CRLF.
    fn line(&mut self) -> &'a [u8] {
        let end = self.rest.windows(2).position(|two| two == b"\r\n").expect("a line has an end");
        let line = &self.rest[..end];
        self.rest = &self.rest[end + 2..];
        line
    }
}

/// Without the optional white space of RFC 9110 section 5.6.3.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
