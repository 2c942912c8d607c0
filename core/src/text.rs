//! Shared text that was validated once.
#![expect(unsafe_code, reason = "as_str, see the note on it")]

use alloc::string::String;
use core::{
    fmt,
    ops::{Deref, Range},
};

use bytes::Bytes;

/// A cheaply cloned, immutable UTF-8 string: [`Bytes`] known to be valid.
///
/// Cloning shares the storage, which may be a part of a larger one (a polling payload).
///
/// [`Bytes`]: https://docs.rs/bytes/1/bytes/struct.Bytes.html
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Bytes);

impl Text {
    /// A text without characters.
    pub const EMPTY: Self = Self(Bytes::new());

    /// A text that lives as long as the program; copies nothing.
    pub const fn from_static(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// Takes `bytes` if they are valid UTF-8, in one pass and without a copy.
    ///
    /// # Errors
    ///
    /// Gives the bytes back if they are not.
    pub fn from_utf8(bytes: Bytes) -> Result<Self, Bytes> {
        match simdutf8::basic::from_utf8(&bytes) {
            Ok(_) => Ok(Self(bytes)),
            Err(_) => Err(bytes),
        }
    }

    /// For callers inside the crate that have just validated exactly these bytes.
    pub(crate) fn from_validated(bytes: Bytes) -> Self {
        debug_assert!(simdutf8::basic::from_utf8(&bytes).is_ok());
        Self(bytes)
    }

    /// The text from byte `start` on, sharing the storage.
    ///
    /// # Panics
    ///
    /// If `start` is past the end or not at the start of a character.
    pub fn slice_from(&self, start: usize) -> Self {
        assert!(self.as_str().is_char_boundary(start), "{start} is not a character boundary");
        Self(self.0.slice(start..))
    }

    /// The text in `range` of its bytes, sharing the storage.
    ///
    /// # Panics
    ///
    /// If the range is not inside of the text, or an end of it not at the start of a character.
    pub fn slice(&self, range: Range<usize>) -> Self {
        assert!(self.as_str().get(range.clone()).is_some(), "{range:?} is no part of the text");
        Self(self.0.slice(range))
    }

    /// The text as a string slice.
    pub fn as_str(&self) -> &str {
        // Checking again would cost 12 us per 16 KiB of mixed script at each look.
        // SAFETY: both constructors and `from_validated`'s callers have validated exactly these
        // bytes, `slice_from` and `slice` cut at character boundaries, and `Bytes` cannot be changed.
        unsafe { core::str::from_utf8_unchecked(&self.0) }
    }

    /// The UTF-8 bytes, sharing the storage.
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The UTF-8 bytes, giving up that they are known to be valid.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_valid_bytes_and_gives_others_back() {
        let text = Text::from_utf8(Bytes::from_static("4€😀".as_bytes())).unwrap();
        assert_eq!(text, "4€😀");
        assert_eq!(text.slice_from(1), "€😀");
        assert_eq!(text.slice(1..4), "€");
        let bad = Bytes::from_static(b"\xe2\x82");
        assert_eq!(Text::from_utf8(bad.clone()), Err(bad));
    }

    #[test]
    #[should_panic(expected = "2 is not a character boundary")]
    fn a_slice_never_cuts_a_character() {
        let _ = Text::from_static("€uro").slice_from(2);
    }

    #[test]
    #[should_panic(expected = "0..2 is no part of the text")]
    fn a_range_never_cuts_a_character() {
        let _ = Text::from_static("€uro").slice(0..2);
    }
}
