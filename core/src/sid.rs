//! Session ids.

use core::fmt;

use crate::{entropy::Entropy, node::NodeName};

/// The secret name of a session: whoever has it owns the session.
///
/// 120 random bits, written as 20 characters of the URL-safe base64 alphabet; or the name of a node and 102 random
/// bits. `Debug` does not show it; ask for [`Sid::as_str`] where the wire needs it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid([u8; Sid::LEN]);

impl Sid {
    /// Length in characters.
    pub const LEN: usize = 20;

    /// Draws a fresh id.
    pub fn random(entropy: &mut dyn Entropy) -> Self {
        let mut bytes = [0; Self::LEN];
        entropy.fill(&mut bytes[..15]);
        // From the back, so that the twenty characters can take the place of the fifteen bytes.
        for group in (0..5).rev() {
            let [a, b, c] = [0, 1, 2].map(|i| usize::from(bytes[group * 3 + i]));
            let sextets = [a >> 2, (a & 3) << 4 | b >> 4, (b & 15) << 2 | c >> 6, c & 63];
            for (i, sextet) in sextets.into_iter().enumerate() {
                bytes[group * 4 + i] = ALPHABET[sextet];
            }
        }
        Self(bytes)
    }

    /// Draws a fresh id that begins with the name of a node.
    ///
    /// The other 17 characters are random.
    pub fn of_node(node: NodeName, entropy: &mut dyn Entropy) -> Self {
        let mut sid = Self::random(entropy);
        sid.0[..NodeName::LEN].copy_from_slice(&node.padded());
        sid
    }

    /// Returns the node that the id begins with.
    ///
    /// An id without a name begins with anything, and so perhaps with what looks like one.
    pub fn node(&self) -> Option<NodeName> {
        let [a, b, c, ..] = self.0;
        NodeName::from_padded([a, b, c])
    }

    /// Reads an id out of a request. `None` if no session can have this id.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = <[u8; Self::LEN]>::try_from(text.as_bytes()).ok()?;
        bytes.iter().all(|&byte| IS_OURS[usize::from(byte)]).then_some(Self(bytes))
    }

    /// The id as it stands on the wire.
    pub fn as_str(&self) -> &str {
        // Both constructors let only ASCII in.
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The URL-safe one of RFC 4648 section 5.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Which bytes are in it.
const IS_OURS: [bool; 256] = {
    let mut is_ours = [false; 256];
    let mut at = 0;
    while at < ALPHABET.len() {
        is_ours[ALPHABET[at] as usize] = true;
        at += 1;
    }
    is_ours
};

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sid(..)")
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn is_the_url_safe_base64_of_fifteen_random_bytes() {
        let mut entropy = |buffer: &mut [u8]| {
            for (byte, i) in buffer.iter_mut().zip(0u8..) {
                *byte = i.wrapping_mul(37) ^ 0xfb;
            }
        };
        let mut raw = [0; 15];
        entropy.fill(&mut raw);
        let sid = Sid::random(&mut entropy);
        use base64::Engine as _;
        assert_eq!(sid.as_str(), base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(raw));
        assert_eq!(Sid::parse(sid.as_str()), Some(sid));
    }

    #[test]
    fn id_of_a_node_begins_with_its_name_and_keeps_102_random_bits() {
        let mut entropy = |buffer: &mut [u8]| buffer.fill(0xa7);
        let random = Sid::random(&mut entropy);
        for name in ["a", "b2", "xyz"] {
            let node: NodeName = name.parse().unwrap();
            let sid = Sid::of_node(node, &mut entropy);
            assert_eq!((sid.node(), &sid.0[3..]), (Some(node), &random.0[3..]));
            assert!(sid.as_str().starts_with(name));
            assert_eq!(Sid::parse(sid.as_str()), Some(sid));
        }
        assert_eq!(Sid::parse("-bcdefghijklmnopqrst").unwrap().node(), None);
    }

    #[test]
    fn what_cannot_be_an_id_is_none() {
        for text in
            ["", "short", "aaaaaaaaaaaaaaaaaaa=", "aaaaaaaaaaaaaaaaaaaaa", "äaaaaaaaaaaaaaaaaaa"]
        {
            assert_eq!(Sid::parse(text), None, "{text}");
        }
    }

    #[test]
    fn debug_keeps_the_secret() {
        let sid = Sid::parse("abcdefghijklmnopqrst").unwrap();
        assert!(!format!("{sid:?}").contains("abc"));
    }
}
