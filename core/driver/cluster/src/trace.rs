//! `tracing`, if the feature is on, and nothing otherwise.
//!
//! Fields never hold a password, a message, or the name of a room.

#[cfg(feature = "tracing")]
macro_rules! trace {
    ($level:ident, $($field:tt)*) => { tracing::event!(target: "enginewire", tracing::Level::$level, $($field)*) };
}

#[cfg(not(feature = "tracing"))]
macro_rules! trace {
    ($level:ident, $($name:ident = $(%)? $value:expr,)* $message:literal) => {{ $(let _ = &$value;)* }};
}

pub(crate) use trace;
