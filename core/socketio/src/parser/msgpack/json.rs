//! Payloads that are JSON as values, so that they can be written in another format.

use alloc::{borrow::Cow, string::String, vec::Vec};
use core::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::payload::{Attachments, Number, Payload, Repr, Value};

/// The value of a payload, its attachments put into their places.
pub(super) fn tree(payload: &Payload) -> Cow<'_, Value> {
    match &payload.0 {
        Repr::Value(value) => Cow::Borrowed(value),
        Repr::Json { message, start, attachments } => {
            // Valid JSON, by the invariant of the payload. Were it not, nothing would stand for it.
            let parsed = message.get(*start..).and_then(|json| serde_json::from_str(json).ok());
            let Tree(mut value) = parsed.unwrap_or(Tree(Value::Null));
            attach(&mut value, attachments);
            Cow::Owned(value)
        }
    }
}

/// Replaces placeholders by what they stand for.
fn attach(value: &mut Value, attachments: &Attachments) {
    let attachments = match attachments {
        Attachments::None => return,
        Attachments::One(bytes) => core::slice::from_ref(bytes),
        Attachments::Many(all) => all,
    };
    place(value, attachments);
}

fn place(value: &mut Value, attachments: &[bytes::Bytes]) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| place(value, attachments)),
        Value::Object(members) => match placeholder(members) {
            Some(number) => {
                let bytes = usize::try_from(number).ok().and_then(|at| attachments.get(at));
                *value = bytes.map_or(Value::Null, |bytes| Value::Binary(bytes.clone()));
            }
            None => members.iter_mut().for_each(|(_, value)| place(value, attachments)),
        },
        _ => {}
    }
}

/// The number in `{"_placeholder":true,"num":0}`.
fn placeholder(members: &[(String, Value)]) -> Option<u64> {
    let member =
        |name| members.iter().rev().find(|member| member.0 == name).map(|(_, value)| value);
    match (member("_placeholder"), member("num")) {
        (Some(Value::Bool(true)), Some(Value::Number(Number::Unsigned(number)))) => Some(*number),
        _ => None,
    }
}

struct Tree(Value);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor).map(Self)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(Number::Unsigned(number)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(Number::Negative(number)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(Number::Float(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Tree(value)) = values.next_element()? {
            all.push(value);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some((name, Tree(value))) = members.next_entry()? {
            all.push((name, value));
        }
        Ok(Value::Object(all))
    }
}
