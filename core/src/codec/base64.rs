//! Base64 as Engine.IO uses it: the standard alphabet, padded when written.

use alloc::vec::Vec;

use base64::{
    DecodeError, Engine,
    engine::{DecodePaddingMode, GeneralPurposeConfig},
};

use crate::codec::{DecodeErrorKind, error::Fault};

/// Accepts what real clients send and nothing more. Padding may be missing. The bits behind the
/// last whole byte may be anything, because every decoder in the field ignores them. Garbage is
/// refused.
const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

/// 64 KiB take 7 us with SIMD and 27 us without; the instruction set is looked up once.
#[cfg(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn engine() -> &'static impl Engine {
    use std::sync::LazyLock;

    use base64::engine::Simd;

    static ENGINE: LazyLock<Simd> = LazyLock::new(|| Simd::standard(CONFIG));
    &*ENGINE
}

#[cfg(not(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn engine() -> &'static impl Engine {
    use base64::{alphabet::STANDARD, engine::GeneralPurpose};

    static ENGINE: GeneralPurpose = GeneralPurpose::new(&STANDARD, CONFIG);
    &ENGINE
}

/// Length of the padded base64 of `n` bytes.
pub(crate) const fn encoded_len(n: usize) -> usize {
    // `n` is the length of a slice, at most `isize::MAX`, so this is below `usize::MAX`.
    n.div_ceil(3) * 4
}

/// Appends the base64 of `bytes`, [`encoded_len`] bytes.
pub(crate) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + encoded_len(bytes.len()), 0);
    let written = engine().encode_slice(bytes, &mut out[start..]);
    debug_assert_eq!(written, Ok(out.len() - start), "the place is exactly as large as needed");
}

/// The bytes that `text` stands for. `at` is where `text` begins, for the error.
pub(super) fn decode(text: &[u8], at: usize) -> Result<Vec<u8>, Fault> {
    engine().decode(text).map_err(|error| match error {
        DecodeError::InvalidByte(offset, byte) => {
            Fault { at: at + offset, kind: DecodeErrorKind::InvalidBase64(byte) }
        }
        // Only the first of these is about bits that are missing: canonical form is not asked for.
        DecodeError::InvalidLength(_)
        | DecodeError::InvalidLastSymbol { .. }
        | DecodeError::InvalidPadding => {
            Fault { at: at + text.len(), kind: DecodeErrorKind::TruncatedBase64 }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_and_trailing_bits_are_optional() {
        for text in ["AQIDBA==", "AQIDBA=", "AQIDBA", "AQIDBP==", "AQIDBP"] {
            assert_eq!(decode(text.as_bytes(), 0).unwrap(), [1, 2, 3, 4], "{text}");
        }
        assert!(decode(b"", 0).unwrap().is_empty());
    }

    #[test]
    fn anything_outside_the_alphabet_is_an_error_at_its_place() {
        for (text, offset) in [
            ("AQ DBA==", 2),
            ("-QIDBA==", 0),
            ("AQID_A==", 4),
            ("AQIDBA==\n", 8),
            ("AQ==BA==", 2),
            ("AQIDBA===", 8),
            ("=", 0),
        ] {
            let fault = decode(text.as_bytes(), 10).unwrap_err();
            let found = text.as_bytes()[fault.at - 10];
            assert_eq!(fault.kind, DecodeErrorKind::InvalidBase64(found), "{text}");
            // For misplaced padding any of the signs in a row will do.
            assert!(fault.at == 10 + offset || found == b'=', "{text}: {fault:?}");
        }
    }

    #[test]
    fn a_single_leftover_symbol_is_no_byte() {
        for text in ["A", "AQIDB"] {
            let fault = decode(text.as_bytes(), 10).unwrap_err();
            let kind = DecodeErrorKind::TruncatedBase64;
            assert_eq!(fault, Fault { at: 10 + text.len(), kind });
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn long_input_goes_the_same_way_as_short_input() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for n in 0..bytes.len() {
            let mut text = Vec::from(*b"kept");
            encode(&bytes[..n], &mut text);
            assert_eq!(text.len(), 4 + encoded_len(n));
            assert_eq!(&text[..4], b"kept");
            assert_eq!(decode(&text[4..], 0).unwrap(), &bytes[..n]);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn a_fault_in_long_input_is_found_at_its_place() {
        let mut text = Vec::new();
        encode(&[0xa5; 600], &mut text);
        for at in 0..text.len() {
            let mut text = text.clone();
            text[at] = b'*';
            let kind = DecodeErrorKind::InvalidBase64(b'*');
            assert_eq!(decode(&text, 0).unwrap_err(), Fault { at, kind });
        }
    }
}
