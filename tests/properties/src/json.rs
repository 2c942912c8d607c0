//! JSON, read a second time: simple, slow, and all of it in memory.

use std::collections::BTreeSet;

use bytes::Bytes;
use enginewire_socketio::Value;

/// What a text is. Numbers stand as they are written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(String),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
    /// In the place of a placeholder.
    Binary(Bytes),
}

/// A text that was read, and what values have no form for.
pub(crate) struct Read {
    pub(crate) json: Json,
    /// A surrogate stands alone: U+FFFD here.
    pub(crate) has_lone: bool,
    pub(crate) depth: usize,
}

/// `Ok(None)` if it is nested too deeply for a reader that recurses.
pub(crate) fn read(text: &str) -> Result<Option<Read>, ()> {
    let mut reader = Reader { rest: text, has_lone: false, depth: 0, deepest: 0 };
    let json = match reader.value() {
        Ok(json) => json,
        Err(Fault::Deep) => return Ok(None),
        Err(Fault::Syntax) => return Err(()),
    };
    reader.space();
    let Reader { rest, has_lone, deepest: depth, .. } = reader;
    if rest.is_empty() { Ok(Some(Read { json, has_lone, depth })) } else { Err(()) }
}

struct Reader<'a> {
    rest: &'a str,
    has_lone: bool,
    depth: usize,
    deepest: usize,
}

enum Fault {
    Syntax,
    Deep,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn value(&mut self) -> Result<Json, Fault> {
        self.space();
        for (word, json) in
            [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))]
        {
            if self.take(word) {
                return Ok(json);
            }
        }
        match self.rest.chars().next() {
            Some('"') => self.string().map(Json::String),
            Some('[') => self.nested(|reader| {
                let mut elements = Vec::new();
                reader.list("]", |reader| {
                    elements.push(reader.value()?);
                    Ok(())
                })?;
                Ok(Json::Array(elements))
            }),
            Some('{') => self.nested(|reader| {
                let mut members = Vec::new();
                reader.list("}", |reader| {
                    reader.space();
                    let name = reader.string()?;
                    reader.space();
                    if !reader.take(":") {
                        return Err(Fault::Syntax);
                    }
                    members.push((name, reader.value()?));
                    Ok(())
                })?;
                Ok(Json::Object(members))
            }),
            _ => self.number().map(Json::Number),
        }
    }

    fn nested(
        &mut self,
        content: impl FnOnce(&mut Self) -> Result<Json, Fault>,
    ) -> Result<Json, Fault> {
        self.rest = &self.rest[1..];
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        if self.depth > MAX_DEPTH {
            return Err(Fault::Deep);
        }
        let json = content(self)?;
        self.depth -= 1;
        Ok(json)
    }

    fn list(
        &mut self,
        end: &str,
        mut one: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.space();
        if self.take(end) {
            return Ok(());
        }
        loop {
            one(self)?;
            self.space();
            if self.take(end) {
                return Ok(());
            }
            if !self.take(",") {
                return Err(Fault::Syntax);
            }
        }
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let rest = self.rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let some = rest.len() < self.rest.len();
        self.rest = rest;
        if some { Ok(()) } else { Err(Fault::Syntax) }
    }

    fn number(&mut self) -> Result<String, Fault> {
        let whole = self.rest;
        self.take("-");
        if !self.take("0") {
            self.digits()?;
        }
        if self.take(".") {
            self.digits()?;
        }
        if self.take("e") || self.take("E") {
            let _ = self.take("+") || self.take("-");
            self.digits()?;
        }
        Ok(whole[..whole.len() - self.rest.len()].to_owned())
    }

    fn string(&mut self) -> Result<String, Fault> {
        if !self.take("\"") {
            return Err(Fault::Syntax);
        }
        // Of UTF-16, as in JavaScript.
        let mut units = Vec::new();
        loop {
            let mut characters = self.rest.chars();
            let character = characters.next().ok_or(Fault::Syntax)?;
            self.rest = characters.as_str();
            match character {
                '"' => break,
                '\0'..' ' => return Err(Fault::Syntax),
                '\\' => {
                    let mut characters = self.rest.chars();
                    let escape = characters.next().ok_or(Fault::Syntax)?;
                    self.rest = characters.as_str();
                    units.push(match escape {
                        '"' | '\\' | '/' => escape as u16,
                        'b' => 8,
                        'f' => 12,
                        'n' => 10,
                        'r' => 13,
                        't' => 9,
                        'u' => {
                            let digits = self.rest.get(..4).ok_or(Fault::Syntax)?;
                            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                                return Err(Fault::Syntax);
                            }
                            self.rest = &self.rest[4..];
                            u16::from_str_radix(digits, 16).map_err(|_| Fault::Syntax)?
                        }
                        _ => return Err(Fault::Syntax),
                    });
                }
                other => units.extend_from_slice(other.encode_utf16(&mut [0; 2])),
            }
        }
        let text = String::from_utf16(&units);
        self.has_lone |= text.is_err();
        Ok(text.unwrap_or_else(|_| String::from_utf16_lossy(&units)))
    }
}

impl Json {
    /// With attachments in the place of their placeholders, `None` if one is not there.
    pub(crate) fn with(self, attachments: &[Bytes]) -> Option<Self> {
        Some(match self {
            Self::Array(elements) => Self::Array(
                elements
                    .into_iter()
                    .map(|element| element.with(attachments))
                    .collect::<Option<_>>()?,
            ),
            Self::Object(members) => {
                let json = Self::Object(members);
                if json.get("_placeholder") == Some(&Self::Bool(true)) {
                    let Some(Self::Number(number)) = json.get("num") else { return None };
                    let number: f64 = number.parse().ok()?;
                    let bytes = (0_u32..).zip(attachments);
                    let mut bytes = bytes.filter(|(index, _)| f64::from(*index) == number);
                    return Some(Self::Binary(bytes.next()?.1.clone()));
                }
                let Self::Object(members) = json else { return None };
                let members =
                    members.into_iter().map(|(name, value)| Some((name, value.with(attachments)?)));
                Self::Object(members.collect::<Option<_>>()?)
            }
            other => other,
        })
    }

    /// The last member with this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().rev().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// Whether a number is beyond what a float holds.
    pub(crate) fn has_infinite(&self) -> bool {
        match self {
            Self::Number(number) => number.parse::<f64>().is_ok_and(f64::is_infinite),
            Self::Array(elements) => elements.iter().any(Self::has_infinite),
            Self::Object(members) => members.iter().any(|(_, value)| value.has_infinite()),
            _ => false,
        }
    }

    /// Whether an object has the form of a placeholder.
    pub(crate) fn has_placeholder(&self) -> bool {
        match self {
            Self::Array(elements) => elements.iter().any(Self::has_placeholder),
            Self::Object(members) => {
                self.get("_placeholder") == Some(&Self::Bool(true))
                    || members.iter().any(|(_, value)| value.has_placeholder())
            }
            _ => false,
        }
    }

    /// Whether it is this value.
    pub(crate) fn is(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(one), Value::Bool(other)) => one == other,
            (Self::Number(text), Value::Number(number)) => {
                let (theirs, ours) = (text.parse::<f64>().unwrap(), number.as_f64());
                // JavaScript has no other numbers; an integer of ours may be more exact.
                (theirs - ours).abs() <= theirs.abs() * 1e-15
            }
            (Self::String(one), Value::String(other)) => one == other,
            (Self::Binary(one), Value::Binary(other)) => one == other,
            (Self::Array(one), Value::Array(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.is(other))
            }
            (Self::Object(members), Value::Object(others)) => {
                // Each once: what is compared twice at each level is never done with.
                let names: BTreeSet<_> = members.iter().map(|(name, _)| name).collect();
                let is_there = |name: &String| {
                    let other = value.get(name);
                    self.get(name).is_some_and(|one| other.is_some_and(|other| one.is(other)))
                };
                others.iter().all(|(name, _)| names.contains(name))
                    && names.into_iter().all(is_there)
            }
            _ => false,
        }
    }
}

/// What the stack of a test bears.
const MAX_DEPTH: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_json_and_nothing_else() {
        for text in ["0", "-0.5e+7", " [ ] ", r#"{"a":[null,true],"":"\u00e9\n"}"#, r#""\ud800""#] {
            let read = read(text).unwrap().unwrap();
            assert_eq!(read.has_lone, text.contains("\\ud8"), "{text}");
        }
        for text in
            ["", "01", "1.", ".5", "[1,]", "{\"a\"}", "'a'", "\"\t\"", "1 2", "\"\\x\"", "+1"]
        {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(&"[".repeat(1000)).unwrap().is_none());
    }
}
