//! Query strings. All bytes are one, if they are UTF-8.

use std::fmt::Write as _;

use enginewire::query;

use crate::oracle;

/// Takes the string apart, and puts it together again: so many pairs.
pub fn run(data: &[u8]) -> usize {
    let Ok(text) = std::str::from_utf8(data) else { return 0 };
    let pairs: Vec<_> = query::pairs(text).collect();

    // Pieces between ampersands, the empty ones left out; cut at the first equals sign.
    let pieces: Vec<_> = text.split('&').filter(|piece| !piece.is_empty()).collect();
    assert_eq!(pairs.len(), pieces.len());
    for ((key, value), piece) in pairs.iter().zip(pieces) {
        let (name, rest) = piece.split_once('=').unwrap_or((piece, ""));
        assert_eq!((&**key, &**value), (&*decode(name), &*decode(rest)));
        assert!(key.len() + value.len() <= 3 * piece.len(), "only U+FFFD is longer than its cause");
    }

    // Some of them, for all would take time that grows with their square.
    for (key, _) in pairs.iter().take(8) {
        let last = pairs.iter().rfind(|(name, _)| name == key).map(|(_, value)| value);
        assert_eq!(query::value(text, key).as_ref(), last);
    }
    assert_eq!(query::value("", text), None);

    // Escaped once more, they are the same pairs.
    let mut escaped = String::new();
    for (key, value) in &pairs {
        escaped.push('&');
        escape(key, &mut escaped);
        escaped.push('=');
        escape(value, &mut escaped);
    }
    let again: Vec<_> = query::pairs(&escaped).collect();
    assert_eq!(again, pairs);
    pairs.len()
}

fn decode(text: &str) -> String {
    // An escape that is none stays as it is.
    let bytes = oracle::percent_decode(text.as_bytes()).unwrap_or_else(|as_it_is| as_it_is);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(byte.into()),
            _ => write!(out, "%{byte:02x}").expect("a String takes everything"),
        }
    }
}
