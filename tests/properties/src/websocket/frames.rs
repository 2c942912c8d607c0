//! Frames, from the picture in section 5.2 of RFC 6455 and not from the code under test.

/// The frame is the last of its message.
pub const FIN: u8 = 0x80;
/// Goes on with a message.
pub const CONTINUATION: u8 = 0;
/// Begins a text message.
pub const TEXT: u8 = 1;
/// Begins a binary message.
pub const BINARY: u8 = 2;
/// Ends the connection.
pub const CLOSE: u8 = 8;
/// Asks for a pong.
pub const PING: u8 = 9;
/// Answers a ping.
pub const PONG: u8 = 10;

/// One frame, its length in the shortest form. `first` is its first byte: one of the above, with [`FIN`] or
/// without.
pub fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut frame = vec![first];
    let bit = if mask.is_some() { 0x80 } else { 0 };
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(len), _) if len < 126 => frame.push(bit | len),
        (_, Ok(len)) => {
            frame.push(bit | 126);
            frame.extend(len.to_be_bytes());
        }
        _ => {
            frame.push(bit | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(mask.into_iter().flatten());
    let mask = mask.unwrap_or_default();
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// First byte and payload of each frame; all of them must be masked, or none.
pub(super) fn unframe(mut bytes: &[u8], masked: bool) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        assert_eq!(second & 0x80 != 0, masked);
        let (len, rest) = match second & 0x7f {
            126 => number(rest, 2),
            127 => number(rest, 8),
            len => (len.into(), rest),
        };
        let (mask, rest) = rest.split_at(if masked { 4 } else { 0 });
        let (payload, rest) = rest.split_at(len);
        let mask = mask.iter().chain(if masked { None } else { Some(&0) }).cycle();
        frames.push((*first, payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect()));
        bytes = rest;
    }
    assert!(bytes.is_empty(), "half a head was written");
    frames
}

fn number(bytes: &[u8], n: usize) -> (usize, &[u8]) {
    let (digits, rest) = bytes.split_at(n);
    (digits.iter().fold(0, |number, &digit| number << 8 | usize::from(digit)), rest)
}
