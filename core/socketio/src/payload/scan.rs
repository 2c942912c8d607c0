//! Scanner of JSON that is known to be valid: where values begin and end.
//!
//! Nothing here recurses, and each byte is looked at once. Text that is not JSON gives nonsense, but no panic.

use alloc::{borrow::Cow, string::String, vec::Vec};

use serde::de::IgnoredAny;

use super::string;

/// Kind of a JSON text, by its outermost value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `[..]`
    Array,
    /// `{..}`
    Object,
    /// `".."`
    String,
    /// `null`, a boolean or a number.
    Other,
}

/// Checks that `text` is one JSON value, in one pass and without recursion.
///
/// Surrogates that stand alone in escapes are accepted here, as the reference does. Reading them into a string fails.
///
/// # Errors
///
/// If it is not valid JSON. The error does not show the text.
pub fn validate_json(text: &str) -> Result<Shape, serde_json::Error> {
    serde_json::from_str::<IgnoredAny>(text)?;
    let bytes = text.as_bytes();
    Ok(match bytes.get(skip_space(bytes, 0)) {
        Some(b'[') => Shape::Array,
        Some(b'{') => Shape::Object,
        Some(b'"') => Shape::String,
        _ => Shape::Other,
    })
}

/// Checks that every placeholder in valid JSON stands for one of so many attachments.
///
/// A placeholder is an object whose `_placeholder` is `true`, with members in any order, as in the reference. Its `num`
/// must be an integer below `attachments`; a fraction is `undefined` in the reference, and refused here.
pub fn check_placeholders(json: &str, attachments: usize) -> bool {
    placeholders(json, attachments).is_some()
}

/// Object that stands for an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placeholder {
    pub(super) start: usize,
    /// Behind the closing brace.
    pub(super) end: usize,
    pub(super) number: usize,
}

/// The placeholders in the order of the text, or `None` if one stands for no attachment.
pub(super) fn placeholders(json: &str, attachments: usize) -> Option<Vec<Placeholder>> {
    let text = json.as_bytes();
    let mut found: Vec<Placeholder> = Vec::new();
    // Objects that are open. An array is a number in the object around it, which bounds the
    // memory by the size of the text.
    let mut open: Vec<Object> = Vec::new();
    // That around `at`. At the top there is one that nobody asks about.
    let mut object = Object::default();
    let mut is_inside = false;
    let mut at = skip_space(text, 0);
    while let Some(&byte) = text.get(at) {
        let start = at;
        match byte {
            b'{' => {
                object.member(Member::Other);
                let inner = Object { start, found: found.len(), ..Object::default() };
                let outer = core::mem::replace(&mut object, inner);
                // Most are not inside of another, and need no memory.
                if core::mem::replace(&mut is_inside, true) {
                    open.push(outer);
                }
                at += 1;
            }
            b'}' => {
                at += 1;
                if object.is_placeholder {
                    // The reference puts the attachment in its place, with all that was inside.
                    found.truncate(object.found);
                    let number = object.number as usize;
                    found.push(Placeholder { start: object.start, end: at, number });
                }
                let outer = open.pop();
                is_inside = outer.is_some();
                object = outer.unwrap_or_default();
            }
            b'[' => {
                object.member(Member::Other);
                object.arrays += 1;
                at += 1;
            }
            b']' => {
                object.arrays = object.arrays.saturating_sub(1);
                at += 1;
            }
            b'"' => {
                let (end, has_escapes) = string_end(text, at + 1);
                at = skip_space(text, end + 1);
                if text.get(at) == Some(&b':') {
                    object.key = Key::of(&json[start + 1..end], has_escapes);
                    at += 1;
                } else {
                    object.member(Member::Other);
                }
            }
            b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' => at += 1,
            _ => {
                at = scalar_end(text, at);
                object.member(Member::Scalar(&json[start..at]));
            }
        }
    }
    found.iter().all(|placeholder| placeholder.number < attachments).then_some(found)
}

/// Kept small: six bytes of a message can open one.
struct Object {
    start: usize,
    /// Placeholders found before it.
    found: usize,
    /// Arrays that are open inside it.
    arrays: usize,
    key: Key,
    is_placeholder: bool,
    /// [`NO_NUMBER`] if it has none that is an index.
    number: u32,
}

impl Default for Object {
    fn default() -> Self {
        let key = Key::default();
        Self { start: 0, found: 0, arrays: 0, key, is_placeholder: false, number: NO_NUMBER }
    }
}

#[derive(Default)]
enum Key {
    Placeholder,
    Number,
    #[default]
    Other,
}

enum Member<'a> {
    /// A number or a word.
    Scalar(&'a str),
    Other,
}

impl Object {
    /// Of two members with the same key the last counts.
    fn member(&mut self, value: Member<'_>) {
        if self.arrays > 0 {
            return;
        }
        match self.key {
            Key::Placeholder => self.is_placeholder = matches!(value, Member::Scalar("true")),
            Key::Number => {
                self.number = match value {
                    Member::Scalar(text) => index(text),
                    Member::Other => NO_NUMBER,
                }
            }
            Key::Other => {}
        }
        self.key = Key::Other;
    }
}

impl Key {
    fn of(raw: &str, has_escapes: bool) -> Self {
        let key = if has_escapes {
            let mut unescaped = String::new();
            if string::unescape(raw, &mut unescaped).is_err() {
                return Self::Other;
            }
            Cow::Owned(unescaped)
        } else {
            Cow::Borrowed(raw)
        };
        match &*key {
            "_placeholder" => Self::Placeholder,
            "num" => Self::Number,
            _ => Self::Other,
        }
    }
}

/// The number as an index, as `buffers[num]` takes it in JavaScript: `1.0`, `1e0` and `-0` are integers.
fn index(text: &str) -> u32 {
    if let [digit @ b'0'..=b'9'] = text.as_bytes() {
        return u32::from(digit - b'0');
    }
    let Ok(number) = text.parse::<f64>() else { return NO_NUMBER };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked behind it"
    )]
    let index = number as u32;
    if f64::from(index) == number { index } else { NO_NUMBER }
}

/// More than there are attachments: each takes more than a byte of memory.
const NO_NUMBER: u32 = u32::MAX;

/// Elements of a JSON array, as they are written.
#[derive(Clone, Debug)]
pub(crate) struct Elements<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Elements<'a> {
    /// The elements of `text`; none if it is no array.
    pub(crate) fn new(text: &'a str) -> Self {
        let start = skip_space(text.as_bytes(), 0);
        let is_array = text.as_bytes().get(start) == Some(&b'[');
        Self { text, at: if is_array { start + 1 } else { text.len() } }
    }
}

impl Elements<'_> {
    /// Returns whether none is left.
    pub(super) fn is_empty(&self) -> bool {
        let text = self.text.as_bytes();
        matches!(text.get(skip_space(text, self.at)), None | Some(b']'))
    }
}

/// Members of a JSON object: the name without quotes, and the value, as they are written.
#[derive(Clone, Debug)]
pub(crate) struct Members<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Members<'a> {
    /// The members of `text`; none if it is no object.
    pub(crate) fn new(text: &'a str) -> Self {
        let start = skip_space(text.as_bytes(), 0);
        let is_object = text.as_bytes().get(start) == Some(&b'{');
        Self { text, at: if is_object { start + 1 } else { text.len() } }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        let text = self.text.as_bytes();
        let mut start = skip_space(text, self.at);
        if text.get(start) == Some(&b',') {
            start = skip_space(text, start + 1);
        }
        if text.get(start) != Some(&b'"') {
            return None;
        }
        let (end, _) = string_end(text, start + 1);
        let name = self.text.get(start + 1..end)?;
        let start = skip_space(text, end + 1);
        if text.get(start) != Some(&b':') {
            return None;
        }
        let start = skip_space(text, start + 1);
        self.at = value_end(text, start);
        self.text.get(start..self.at).map(|value| (name, value))
    }
}

/// The first element of an array, if it is a string that is written as most are: at once, without escapes.
pub(super) fn plain_name(json: &str) -> Option<&str> {
    let rest = json.strip_prefix("[\"")?;
    let end = string::plain_end(rest.as_bytes(), 0);
    if rest.as_bytes().get(end) == Some(&b'"') { rest.get(..end) } else { None }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.text.as_bytes();
        let mut start = skip_space(text, self.at);
        if text.get(start) == Some(&b',') {
            start = skip_space(text, start + 1);
        }
        let end = value_end(text, start);
        self.at = end;
        // Nothing is left but the closing bracket, at which no value begins.
        (end > start).then(|| &self.text[start..end])
    }
}

/// Behind the value that begins at `start`.
pub(super) fn value_end(text: &[u8], start: usize) -> usize {
    let mut at = start;
    let mut depth = 0_usize;
    while let Some(&byte) = text.get(at) {
        at = match byte {
            b'[' | b'{' => {
                depth += 1;
                at + 1
            }
            b']' | b'}' if depth == 0 => return at,
            b']' | b'}' => {
                depth -= 1;
                at + 1
            }
            b'"' => text.len().min(string_end(text, at + 1).0 + 1),
            b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' if depth == 0 => return at,
            b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' => {
                at += 1;
                continue;
            }
            _ => scalar_end(text, at),
        };
        if depth == 0 {
            break;
        }
    }
    at
}

/// The closing quote of the string whose content begins at `start`, and whether there are escapes.
pub(super) fn string_end(text: &[u8], start: usize) -> (usize, bool) {
    let (mut at, mut has_escapes) = (start, false);
    loop {
        at = string::plain_end(text, at);
        match text.get(at) {
            Some(b'"') => return (at, has_escapes),
            Some(b'\\') => {
                has_escapes = true;
                at += 2;
            }
            // A control character, which valid JSON does not have here.
            Some(_) => at += 1,
            None => return (text.len(), has_escapes),
        }
    }
}

/// Behind the number or word that begins at `start`, of at least one byte.
pub(super) fn scalar_end(text: &[u8], start: usize) -> usize {
    let rest = &text[start..];
    let length = rest.iter().position(|byte| {
        matches!(
            byte,
            b',' | b':' | b']' | b'}' | b'[' | b'{' | b'"' | b' ' | b'\n' | b'\r' | b'\t'
        )
    });
    start + length.unwrap_or(rest.len()).max(1)
}

pub(super) fn skip_space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}
