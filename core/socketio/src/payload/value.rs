//! A payload of any shape.

use alloc::{string::String, vec::Vec};

use bytes::Bytes;

/// Value of any shape: what JSON has, and binary data.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    String(String),
    /// Binary data: a `Buffer`, an `ArrayBuffer` or a typed array in JavaScript.
    Binary(Bytes),
    /// Values in order.
    Array(Vec<Value>),
    /// Members in the order in which they were written. Of two with the same name the last counts.
    Object(Vec<(String, Value)>),
}

/// Number of a [`Value`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// An integer that is not negative.
    Unsigned(u64),
    /// A negative integer.
    Negative(i64),
    /// Any other number. JSON has no infinite ones and writes them as `null`.
    Float(f64),
}
