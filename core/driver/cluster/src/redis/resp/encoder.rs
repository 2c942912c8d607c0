//! Commands to bytes.

use std::io::Write as _;

/// Appends a command, an array of bulk strings, to `out`.
pub(crate) fn encode(out: &mut Vec<u8>, arguments: &[&[u8]]) {
    let text = arguments.iter().map(|argument| argument.len() + OVERHEAD).sum::<usize>();
    out.reserve(text + OVERHEAD);
    header(out, b'*', arguments.len());
    for argument in arguments {
        header(out, b'$', argument.len());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
}

fn header(out: &mut Vec<u8>, kind: u8, length: usize) {
    out.push(kind);
    // Writing to a vector cannot fail.
    let _ = write!(out, "{length}\r\n");
}

/// Bytes around an argument: its kind, a length of up to 20 digits, and two ends of line.
const OVERHEAD: usize = 25;
