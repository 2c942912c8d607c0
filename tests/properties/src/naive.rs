//! Where requests or answers begin and end, found a second time in a stream that is there as a whole.
//! Used only on what was accepted: what is not in order is a panic.

/// A stream, taken from the front.
pub(crate) struct Naive<'a> {
    rest: &'a [u8],
}

#[derive(Debug)]
pub(crate) struct Head<'a> {
    /// Up to and with the empty line.
    pub(crate) length: usize,
    pub(crate) method: &'a [u8],
    pub(crate) target: &'a [u8],
    pub(crate) fields: Vec<(&'a [u8], &'a [u8])>,
}

#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) length: usize,
    pub(crate) status: u16,
    pub(crate) fields: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Naive<'a> {
    pub(crate) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether nothing but empty lines is left.
    pub(crate) fn is_idle(&mut self) -> bool {
        while let Some(rest) = self.rest.strip_prefix(b"\r\n") {
            self.rest = rest;
        }
        self.rest.is_empty()
    }

    pub(crate) fn head(&mut self) -> Head<'a> {
        assert!(!self.is_idle(), "there is a request");
        let before = self.rest.len();
        let line = self.line();
        let parts: Vec<_> = line.split(|&byte| byte == b' ').collect();
        let [method, target, b"HTTP/1.0" | b"HTTP/1.1"] = parts[..] else {
            panic!("{} is no request line", line.escape_ascii());
        };
        let fields = self.fields();
        Head { length: before - self.rest.len(), method, target, fields }
    }

    /// The head of the next answer that is not interim, unless it is 101.
    pub(crate) fn answer(&mut self) -> Answer<'a> {
        loop {
            let before = self.rest.len();
            let line = self.line();
            let (b"HTTP/1.0" | b"HTTP/1.1", [b' ', code @ ..]) = line.split_at(8) else {
                panic!("{} is no status line", line.escape_ascii());
            };
            let code = code.split(|&byte| byte == b' ').next().expect("there is a first");
            let code = std::str::from_utf8(code).expect("a status is ASCII");
            let status = code.parse().expect("a status is a number");
            let fields = self.fields();
            if !(100..200).contains(&status) || status == 101 {
                return Answer { length: before - self.rest.len(), status, fields };
            }
        }
    }

    pub(crate) fn sized(&mut self, length: u64) -> &'a [u8] {
        let body = self.skip(length);
        assert_eq!(body.len() as u64, length, "all of it has come");
        body
    }

    pub(crate) fn chunked(&mut self) -> Vec<u8> {
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
    pub(crate) fn skip(&mut self, n: u64) -> &'a [u8] {
        let n = usize::try_from(n).unwrap_or(usize::MAX).min(self.rest.len());
        let (taken, rest) = self.rest.split_at(n);
        self.rest = rest;
        taken
    }

    /// Up to an empty line.
    fn fields(&mut self) -> Vec<(&'a [u8], &'a [u8])> {
        let mut fields = Vec::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                return fields;
            }
            let colon = line.iter().position(|&byte| byte == b':').expect("a field has a colon");
            fields.push((&line[..colon], trim(&line[colon + 1..])));
        }
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
