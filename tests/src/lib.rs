//! What the tests, benchmarks and test programs share.

pub mod echo;
pub mod program;
pub mod script;
