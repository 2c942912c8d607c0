//! The body of a response, in pieces as they come.

use bytes::Bytes;

use super::{
    body::{Body, Progress},
    fault::ResponseFault,
    response_head::ResponseHead,
};

/// Decodes one body without gathering it.
#[derive(Debug)]
pub(crate) struct Pieces {
    /// Until the body is complete.
    body: Option<Body>,
}

impl Pieces {
    /// Begins the body of a response to GET or POST. `None` if it announces more than can be counted.
    pub(crate) fn of(head: &ResponseHead) -> Option<Self> {
        let body = match head.body_length() {
            Some(length) => Body::new(length, usize::MAX)?,
            None => Body::until_close(),
        };
        Some(Self { body: (body.left() != Some(0)).then_some(body) })
    }

    /// Returns how many bytes are still to come, if that is known.
    pub(crate) fn left(&self) -> Option<u64> {
        self.body.as_ref().map_or(Some(0), Body::left)
    }

    /// Takes the next bytes, and returns the data in them. Bytes behind the end are dropped.
    ///
    /// Extensions of chunks and trailers may have `max_overhead` bytes.
    ///
    /// # Errors
    ///
    /// A fault of the chunks, or a chunk of more than can be counted.
    pub(crate) fn receive(
        &mut self,
        input: &[u8],
        max_overhead: usize,
    ) -> Result<Bytes, ResponseFault> {
        let Some(body) = &mut self.body else { return Ok(Bytes::new()) };
        Ok(match body.receive(input, usize::MAX, max_overhead)? {
            Progress::More => body.take_received(),
            Progress::Done { body, .. } => {
                self.body = None;
                body
            }
            // Of more than can be counted.
            Progress::TooLarge => return Err(ResponseFault::BodyTooLarge { max: usize::MAX }),
        })
    }

    /// Returns whether the whole body has come.
    pub(crate) const fn is_complete(&self) -> bool {
        self.body.is_none()
    }

    /// Ends the input. Returns whether the whole body has come.
    pub(crate) fn end(self) -> bool {
        self.body.is_none_or(|body| body.end().is_some())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn pieces(fields: &str) -> Pieces {
        let head = alloc::format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        Pieces::of(&ResponseHead::parse(head.as_bytes(), 10).unwrap()).unwrap()
    }

    /// The data of `input` in steps, with what is still to come behind it.
    fn decode(fields: &str, input: &[u8], step: usize) -> (Vec<u8>, Pieces) {
        let mut pieces = pieces(fields);
        let mut data = Vec::new();
        for bytes in input.chunks(step) {
            data.extend(pieces.receive(bytes, 100).unwrap());
        }
        (data, pieces)
    }

    const SIZED: &str = "Content-Length: 10\r\n";
    const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
    const CHUNKS: &[u8] = b"3;a=b\r\n012\r\n7\r\n3456789\r\n0\r\nTrailer: x\r\n\r\n";

    #[test]
    fn body_is_the_same_at_any_split_and_ends_where_it_ends() {
        for (fields, input) in [(SIZED, &b"0123456789"[..]), (CHUNKED, CHUNKS)] {
            for step in 1..=input.len() {
                let (data, pieces) = decode(fields, input, step);
                assert_eq!(data, b"0123456789", "in steps of {step}");
                assert!(pieces.is_complete() && pieces.end());
                let (data, _) = decode(fields, &[input, b"HTTP/1.1"].concat(), step);
                assert_eq!(data, b"0123456789", "in steps of {step}, with more behind it");
                let (_, cut) = decode(fields, &input[..input.len() - 1], step);
                assert!(!cut.is_complete() && !cut.end());
            }
        }
    }

    #[test]
    fn pieces_come_as_their_bytes_do() {
        let mut sized = pieces(SIZED);
        assert_eq!(sized.left(), Some(10));
        assert_eq!(sized.receive(b"0123", 0).unwrap(), "0123");
        assert_eq!(sized.left(), Some(6));
        assert_eq!(sized.receive(b"", 0).unwrap(), "");
        assert_eq!(sized.receive(b"456789", 0).unwrap(), "456789");
        assert_eq!((sized.left(), sized.is_complete()), (Some(0), true));
        let mut chunked = pieces(CHUNKED);
        assert_eq!(chunked.receive(b"a\r\n01", 0).unwrap(), "01");
        assert_eq!((chunked.left(), chunked.is_complete()), (None, false));
    }

    #[test]
    fn body_without_a_length_ends_with_its_connection() {
        let (data, pieces) = decode("", b"0123456789", 3);
        assert_eq!(data, b"0123456789");
        assert!(!pieces.is_complete() && pieces.end());
    }

    #[test]
    fn empty_body_is_complete_from_the_beginning() {
        let empty = pieces("Content-Length: 0\r\n");
        assert!(empty.is_complete() && empty.left() == Some(0) && empty.end());
    }

    #[test]
    fn chunks_that_are_none_and_too_much_around_them_are_faults() {
        assert!(pieces(CHUNKED).receive(b"x\r\n", 100).is_err());
        assert!(pieces(CHUNKED).receive(CHUNKS, 3).is_err());
    }
}
