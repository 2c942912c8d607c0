//! Deserializer over JSON that was validated when it was received, with attachments in it.
//!
//! It does what serde_json's does, without checking the text again, and turns placeholders into bytes. Text that is
//! not JSON gives an error or nonsense, but no panic.

mod access;
mod deserializer;
mod key;

use alloc::{format, string::String, vec::Vec};

use bytes::Bytes;
use serde::de::{Error, Expected, Unexpected, Visitor};

use self::access::{Map, Seq};
pub(super) use self::{
    access::BinarySeq,
    key::{Key, UnitOnly, number},
};
use super::{
    error::DecodeError,
    scan::{self, Placeholder},
    string,
    value::{MAX_DEPTH, Number, Value},
};

/// Place in a JSON text.
pub(super) struct Reader<'de, 'p> {
    text: &'de str,
    at: usize,
    /// Where columns are counted from.
    origin: usize,
    /// Levels that may still be opened.
    depth: usize,
    scratch: String,
    /// Placeholders that are not behind us.
    placeholders: &'p [Placeholder],
    attachments: &'de [Bytes],
}

type Result<T> = core::result::Result<T, DecodeError>;

impl<'de, 'p> Reader<'de, 'p> {
    /// A place at the start of `text`, whose placeholders were found by [`scan::placeholders`].
    pub(super) fn new(
        text: &'de str,
        placeholders: &'p [Placeholder],
        attachments: &'de [Bytes],
    ) -> Self {
        let scratch = String::new();
        Self { text, at: 0, origin: 0, depth: MAX_DEPTH, scratch, placeholders, attachments }
    }

    /// Enters an array, to be read with [`Reader::next_element`].
    pub(super) fn enter_array(&mut self) -> Result<()> {
        match self.peek()? {
            b'[' => {
                self.at += 1;
                Ok(())
            }
            _ => Err(self.syntax()),
        }
    }

    /// Moves to the next element; `false` behind the last.
    pub(super) fn next_element(&mut self, is_first: bool) -> Result<bool> {
        match self.peek()? {
            b']' => Ok(false),
            b',' if !is_first => {
                self.at += 1;
                self.peek().map(|_| true)
            }
            _ if is_first => Ok(true),
            _ => Err(self.syntax()),
        }
    }

    /// Counts columns from here.
    pub(super) fn set_origin(&mut self) {
        self.origin = self.at;
    }

    /// Moves to the byte `at`, behind a value that is known to end there.
    pub(super) fn skip_to(&mut self, at: usize) {
        self.at = at;
    }

    /// Moves behind the next value.
    pub(super) fn skip_value(&mut self) {
        let text = self.text.as_bytes();
        self.at = scan::value_end(text, scan::skip_space(text, self.at));
    }

    /// The next value as a tree. Binary data share the storage of the attachments.
    pub(super) fn value(&mut self) -> Result<Value> {
        let value = match self.peek()? {
            b'[' => {
                self.enter()?;
                let mut elements = Vec::new();
                while self.next_element(elements.is_empty())? {
                    elements.push(self.value()?);
                }
                self.leave();
                Value::Array(elements)
            }
            b'{' => {
                if let Some((_, bytes)) = self.placeholder()? {
                    return Ok(Value::Binary(bytes.clone()));
                }
                self.enter()?;
                let mut members = Vec::new();
                while self.next_member(members.is_empty())? {
                    let key = String::from(self.string()?.as_str());
                    self.colon()?;
                    members.push((key, self.value()?));
                }
                self.leave();
                Value::Object(members)
            }
            b'"' => Value::String(self.string()?.as_str().into()),
            b'n' => self.word("null").map(|()| Value::Null)?,
            b't' => self.word("true").map(|()| Value::Bool(true))?,
            b'f' => self.word("false").map(|()| Value::Bool(false))?,
            _ => Value::Number(self.number()?),
        };
        Ok(value)
    }

    /// The byte at which the next value begins, or what stands in its stead.
    fn peek(&mut self) -> Result<u8> {
        let text = self.text.as_bytes();
        self.at = scan::skip_space(text, self.at);
        text.get(self.at).copied().ok_or_else(|| self.syntax())
    }

    /// One level deeper, behind a bracket.
    fn enter(&mut self) -> Result<()> {
        self.depth = match self.depth.checked_sub(1) {
            Some(depth) => depth,
            None => {
                let message = format!("nested more than {MAX_DEPTH} levels deep");
                return Err(self.fault(&message));
            }
        };
        self.at += 1;
        Ok(())
    }

    /// One level up, over a bracket.
    fn leave(&mut self) {
        self.depth += 1;
        self.at += 1;
    }

    fn next_member(&mut self, is_first: bool) -> Result<bool> {
        match self.peek()? {
            b'}' => return Ok(false),
            b',' if !is_first => self.at += 1,
            b'"' if is_first => {}
            _ => return Err(self.syntax()),
        }
        match self.peek()? {
            b'"' => Ok(true),
            _ => Err(self.syntax()),
        }
    }

    fn colon(&mut self) -> Result<()> {
        match self.peek()? {
            b':' => {
                self.at += 1;
                Ok(())
            }
            _ => Err(self.syntax()),
        }
    }

    fn word(&mut self, word: &str) -> Result<()> {
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.syntax())
        }
    }

    /// The text of the number here, and moves behind it.
    fn digits(&mut self) -> &'de str {
        let start = self.at;
        self.at = scan::scalar_end(self.text.as_bytes(), start);
        &self.text[start..self.at]
    }

    fn number(&mut self) -> Result<Number> {
        let digits = self.digits();
        number(digits).ok_or_else(|| self.fault("number out of range"))
    }

    /// The string whose quote is here, and moves behind it.
    fn string(&mut self) -> Result<Key<'de, '_>> {
        let start = self.at + 1;
        let (end, has_escapes) = scan::string_end(self.text.as_bytes(), start);
        let raw = self.text.get(start..end).unwrap_or_default();
        self.at = self.text.len().min(end + 1);
        if !has_escapes {
            return Ok(Key::Borrowed(raw));
        }
        self.scratch.clear();
        match string::unescape(raw, &mut self.scratch) {
            Ok(()) => Ok(Key::Copied(&self.scratch)),
            Err(_) => Err(self.fault("a surrogate stands alone in a string")),
        }
    }

    /// The attachment for which the object here stands, and moves behind the object.
    fn placeholder(&mut self) -> Result<Option<(usize, &'de Bytes)>> {
        while let Some((first, rest)) = self.placeholders.split_first() {
            if first.start > self.at {
                break;
            }
            self.placeholders = rest;
            if first.start == self.at {
                let Some(bytes) = self.attachments.get(first.number) else {
                    return Err(self.fault("a placeholder stands for no attachment"));
                };
                self.at = first.end;
                return Ok(Some((first.number, bytes)));
            }
        }
        Ok(None)
    }

    fn sequence<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        self.enter()?;
        let value = visitor.visit_seq(Seq::new(self))?;
        match self.peek()? {
            b']' => self.leave(),
            _ => return Err(self.fault("more elements than expected")),
        }
        Ok(value)
    }

    fn map<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        self.enter()?;
        let value = visitor.visit_map(Map::new(self))?;
        match self.peek()? {
            b'}' => self.leave(),
            _ => return Err(self.fault("more members than expected")),
        }
        Ok(value)
    }

    fn any<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.peek()? {
            b'[' => self.sequence(visitor),
            b'{' => match self.placeholder()? {
                Some((_, bytes)) => visitor.visit_borrowed_bytes(bytes),
                None => self.map(visitor),
            },
            b'"' => self.string()?.visit(visitor),
            b'n' => self.word("null").and_then(|()| visitor.visit_unit()),
            b't' => self.word("true").and_then(|()| visitor.visit_bool(true)),
            b'f' => self.word("false").and_then(|()| visitor.visit_bool(false)),
            _ => self.number()?.visit(visitor),
        }
    }

    /// Reads with `read` if the value begins with one of `first`; any other value is an error.
    fn only<V: Visitor<'de>>(
        &mut self,
        first: &[u8],
        visitor: V,
        read: impl FnOnce(&mut Self, V) -> Result<V::Value>,
    ) -> Result<V::Value> {
        let result = match self.peek() {
            Ok(byte) if first.contains(&byte) => read(self, visitor),
            Ok(_) => Err(self.invalid_type(&visitor)),
            Err(error) => Err(error),
        };
        self.locate(result)
    }

    fn invalid_type(&mut self, expected: &dyn Expected) -> DecodeError {
        let start = self.at;
        let error = match self.text.as_bytes().get(start) {
            Some(b'[') => Error::invalid_type(Unexpected::Seq, expected),
            Some(b'{') => match self.placeholder() {
                Ok(Some((_, bytes))) => Error::invalid_type(Unexpected::Bytes(bytes), expected),
                Ok(None) => Error::invalid_type(Unexpected::Map, expected),
                Err(error) => error,
            },
            Some(b'"') => match self.string() {
                Ok(text) => Error::invalid_type(Unexpected::Str(text.as_str()), expected),
                Err(error) => error,
            },
            Some(b'n') => Error::invalid_type(Unexpected::Unit, expected),
            Some(b't') => Error::invalid_type(Unexpected::Bool(true), expected),
            Some(b'f') => Error::invalid_type(Unexpected::Bool(false), expected),
            _ => match self.number() {
                Ok(number) => Error::invalid_type(number.unexpected(), expected),
                Err(error) => error,
            },
        };
        self.at = start;
        error
    }

    fn locate<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| error.at_column(self.column()))
    }

    fn column(&self) -> usize {
        self.at.saturating_sub(self.origin) + 1
    }

    fn fault(&self, message: &str) -> DecodeError {
        DecodeError::new(message).at_column(self.column())
    }

    /// For text that was not valid, or not what the caller has looked at.
    fn syntax(&self) -> DecodeError {
        self.fault("invalid JSON")
    }
}

/// The name by which serde_json's `RawValue` asks for the text of a value.
pub(super) const RAW_VALUE: &str = "$serde_json::private::RawValue";
