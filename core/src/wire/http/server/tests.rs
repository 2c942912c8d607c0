//! The server against a peer made of bytes.
