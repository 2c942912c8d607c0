//! What the tests, benchmarks and contract programs share.
