//! Floor 1: packets and payloads as bytes.
