//! How the fuzzer's bytes are read.

/// The fuzzer's bytes, taken from the front.
#[derive(Clone, Copy)]
pub(crate) struct Script<'a> {
    rest: &'a [u8],
}

impl<'a> Script<'a> {
    pub(crate) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte; 0 at the end.
    pub(crate) fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// The next two bytes as a number.
    pub(crate) fn number(&mut self) -> usize {
        usize::from(self.byte()) << 8 | usize::from(self.byte())
    }

    /// The next `n` bytes, or as many as there are.
    pub(crate) fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(n.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Everything up to `end`, which is taken too, or up to the end.
    pub(crate) fn until(&mut self, end: u8) -> &'a [u8] {
        let found = self.rest.iter().position(|&byte| byte == end);
        let taken = self.take(found.unwrap_or(self.rest.len()));
        self.byte();
        taken
    }

    /// Everything that is left.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.rest
    }
}

/// How a stream is cut into reads: four sizes, over and over, of which 0 is all that is left. The
/// sizes are in bytes, or for a long stream in so many bytes that there are not much more than a
/// thousand reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reads([u8; 4]);

impl Reads {
    /// All in one.
    pub(crate) const WHOLE: Self = Self([0; 4]);
    /// Byte by byte.
    pub(crate) const SINGLE: Self = Self([1; 4]);

    /// Four bytes of the script.
    pub(crate) fn read(script: &mut Script<'_>) -> Self {
        Self([(); 4].map(|()| script.byte()))
    }

    pub(crate) fn cut(self, stream: &[u8]) -> impl Iterator<Item = &[u8]> {
        let mut script = Script::new(stream);
        let unit = 1 + stream.len() / 1024;
        let mut sizes = self.0.into_iter().cycle();
        core::iter::from_fn(move || {
            let size = match sizes.next()? {
                0 => usize::MAX,
                size => usize::from(size) * unit,
            };
            (!script.is_empty()).then(|| script.take(size))
        })
    }
}
