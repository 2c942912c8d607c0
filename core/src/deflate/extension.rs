//! permessage-deflate on one WebSocket (RFC 7692 section 7.2).

use alloc::boxed::Box;

use bytes::Bytes;
use zlib_rs::Inflate;

use super::{
    Deflated, NotDeflated,
    codecs::{CHUNK, Codecs, Deflater, End, Setting, Step},
    options::MIN_BITS,
    parameters::{DeflateParameters, Direction},
    shared::{Form, SharedForm},
};

/// Compression of one WebSocket. It keeps a context only if its parameters say so, or while a message is incomplete.
pub(crate) struct Extension {
    parameters: DeflateParameters,
    /// The context of our messages.
    deflater: Option<Deflater>,
    /// That of the peer's.
    inflater: Option<Inflate>,
    /// Bytes that the frames of the message so far have announced.
    announced: u64,
    /// The bytes that have come are no stream.
    failed: bool,
    /// The last byte that has come was the end of a stream.
    ended: bool,
}

impl Extension {
    pub(crate) fn new(parameters: DeflateParameters) -> Box<Self> {
        Box::new(Self {
            parameters,
            deflater: None,
            inflater: None,
            announced: 0,
            failed: false,
            ended: false,
        })
    }

    /// Returns whether a message of that length is worth compressing.
    ///
    /// None is if the peer takes only a window that zlib does not have.
    pub(crate) fn compresses(&self, len: usize) -> bool {
        len >= self.parameters.threshold && self.parameters.ours.bits >= MIN_BITS
    }

    /// Compresses a message of two pieces. `None` if it would not become shorter.
    ///
    /// Without a context, a message for many peers is compressed once.
    pub(crate) fn deflate<'a>(
        &mut self,
        pieces: [&[u8]; 2],
        shared: Option<&SharedForm>,
        codecs: &'a mut Codecs,
    ) -> Option<Deflated<'a>> {
        let DeflateParameters { level, is_usual, ours: Direction { takeover, bits }, .. } =
            self.parameters;
        let setting = Setting { bits, level };
        if takeover {
            let deflater = self.deflater.get_or_insert_with(|| Deflater::new(setting));
            // It belongs to the context of the next message, however long it is.
            return Some(Deflated::Own(deflater.message(pieces, &mut codecs.buffer)));
        }
        let len = pieces[0].len() + pieces[1].len();
        let form = Form { bits, prefix: pieces[0].first().copied(), len };
        // The form is that of most peers: one that has asked for less must not take its place.
        let made = shared.filter(|_| is_usual).and_then(|shared| {
            shared.form(form, || {
                let deflated = codecs.deflate(setting, pieces, End::Message);
                (deflated.len() < len).then(|| Bytes::copy_from_slice(deflated))
            })
        });
        if let Some(made) = made {
            return made.map(Deflated::Shared);
        }
        let deflated = codecs.deflate(setting, pieces, End::Message);
        (deflated.len() < len).then_some(Deflated::Own(deflated))
    }

    /// Counts the bytes of a frame. Returns those of the message so far.
    pub(crate) const fn announce(&mut self, len: u64) -> u64 {
        self.announced = self.announced.saturating_add(len);
        self.announced
    }

    /// Inflates a part of a message: at most `room` bytes, and none once all of `input` has been used.
    ///
    /// Behind a block that ends a stream another begins (section 7.2.3.4).
    ///
    /// # Errors
    ///
    /// The bytes are not compressed data.
    pub(crate) fn inflate<'a>(
        &mut self,
        input: &mut &[u8],
        room: usize,
        codecs: &'a mut Codecs,
    ) -> Result<&'a [u8], NotDeflated> {
        if self.failed {
            return Err(NotDeflated);
        }
        self.ended &= input.is_empty();
        if input.is_empty() && self.inflater.is_none() {
            // A fragment without data needs none, and would keep it for as long as its peer likes.
            return Ok(&[]);
        }
        let bits = self.parameters.theirs.bits;
        let inflater = match &mut self.inflater {
            Some(inflater) => inflater,
            None if self.parameters.theirs.takeover => {
                self.inflater.insert(Inflate::new(false, bits))
            }
            None => self.inflater.insert(codecs.take_inflater()),
        };
        let buffer = &mut codecs.buffer;
        let mut given = 0;
        loop {
            let before = input.len();
            let (bytes, step) = buffer.inflate_behind(given, inflater, input, room);
            given += bytes;
            match step {
                Step::Invalid => {
                    self.failed = true;
                    break;
                }
                Step::End => {
                    inflater.reset(false);
                    if input.is_empty() {
                        self.ended = true;
                        break;
                    }
                }
                Step::More if given >= room.min(CHUNK) => break,
                Step::More if bytes == 0 && input.len() == before => break,
                Step::More => {}
            }
        }
        if given == 0 && self.failed {
            return Err(NotDeflated);
        }
        Ok(buffer.first(given))
    }

    /// Returns whether the message lacks the [`TAIL`](super::TAIL) that its sender has cut off.
    ///
    /// Not if nothing has come, nor if a stream has ended with its last byte. Some senders leave out the empty block
    /// behind that (section 7.2.3.4), and the tail alone would be the start of another block.
    pub(crate) const fn lacks_tail(&self) -> bool {
        self.announced > 0 && !self.ended
    }

    /// The message is complete. Returns its inflater to the others if no context is kept.
    pub(crate) fn end_message(&mut self, codecs: &mut Codecs) {
        self.announced = 0;
        self.ended = false;
        if !self.parameters.theirs.takeover
            && let Some(inflater) = self.inflater.take()
        {
            codecs.keep_inflater(inflater);
        }
    }

    /// Whether contexts are kept of our messages and of the peer's.
    #[cfg(test)]
    pub(crate) const fn contexts(&self) -> [bool; 2] {
        [self.deflater.is_some(), self.inflater.is_some()]
    }
}
