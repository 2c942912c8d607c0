use alloc::vec;

use super::*;

fn options() -> HttpCompression {
    HttpCompression::default()
}

fn accepted(fields: &[&str]) -> Option<Coding> {
    Coding::accepted(Some(&options()), fields.iter().map(|field| field.as_bytes()))
}

fn of_body(fields: &[&str]) -> Result<Option<Coding>, UnknownCoding> {
    Coding::of_body(Some(&options()), fields.iter().map(|field| field.as_bytes()))
}

#[test]
fn response_is_in_the_coding_that_the_client_likes_best() {
    use Coding::{Deflate, Gzip};
    for (fields, coding) in [
        // Browsers, Node, curl.
        (&["gzip, deflate, br, zstd"][..], Some(Gzip)),
        (&["gzip, deflate"], Some(Gzip)),
        (&["deflate, gzip"], Some(Gzip)),
        (&["deflate"], Some(Deflate)),
        (&["br", "GZIP"], Some(Gzip)),
        (&["x-gzip"], Some(Gzip)),
        (&["*"], Some(Gzip)),
        (&["*;q=0, deflate;q=0.001"], Some(Deflate)),
        (&["gzip;q=0.5, deflate;q=0.8"], Some(Deflate)),
        (&["gzip;q=0.5 , deflate ; q=0.5"], Some(Gzip)),
        (&["gzip;q=0, *"], Some(Deflate)),
        (&["gzip;q=1.000"], Some(Gzip)),
        (&["identity;q=0.5, gzip;q=0.5"], Some(Gzip)),
        (&["identity;q=0, gzip;q=0.1"], Some(Gzip)),
        // The body as it is.
        (&[], None),
        (&[""], None),
        (&["identity"], None),
        (&["br, zstd"], None),
        (&["gzip;q=0, deflate;q=0.000"], None),
        (&["*;q=0"], None),
        (&["identity, gzip;q=0.9"], None),
        // Qualities that are none.
        (&["gzip;q=2"], None),
        (&["gzip;q=0.1234"], None),
        (&["gzip;q="], None),
        (&["gzip;level=9"], None),
        (&["gzip;q=-1, deflate;q=1."], Some(Deflate)),
    ] {
        assert_eq!(accepted(fields), coding, "{fields:?}");
    }
    assert_eq!(Coding::accepted(None, [&b"gzip"[..]].into_iter()), None);
}

#[test]
fn body_is_in_one_known_coding_or_refused() {
    for (fields, coding) in [
        (&[][..], Ok(None)),
        (&["identity"], Ok(None)),
        (&["", ", Identity ,"], Ok(None)),
        (&["gzip"], Ok(Some(Coding::Gzip))),
        (&["X-GZIP"], Ok(Some(Coding::Gzip))),
        (&["identity, Deflate"], Ok(Some(Coding::Deflate))),
        (&["gzip, gzip"], Err(UnknownCoding)),
        (&["gzip", "deflate"], Err(UnknownCoding)),
        (&["br"], Err(UnknownCoding)),
        (&["gzip;q=1"], Err(UnknownCoding)),
    ] {
        assert_eq!(of_body(fields), coding, "{fields:?}");
    }
    for (field, coding) in [("identity", Ok(None)), ("gzip", Err(UnknownCoding))] {
        assert_eq!(Coding::of_body(None, [field.as_bytes()].into_iter()), coding);
    }
}

#[test]
fn body_comes_back_as_it_was_at_its_exact_limit() {
    let mut codecs = Codecs::new();
    for coding in [Coding::Gzip, Coding::Deflate] {
        for len in [1024, 4096, 4097, 100_000] {
            let body: Vec<u8> = (0..len).map(|n| b"chat message "[n % 13]).collect();
            let encoded = coding.encode(&body, &options(), &mut codecs).unwrap();
            assert!(encoded.len() < len);
            assert_eq!(coding.decode(&encoded, len).unwrap(), body, "{coding:?} {len}");
            assert_eq!(coding.decode(&encoded, len - 1), Err(DecodeFailure::TooLarge));
            // Cut, with something behind it, and with another checksum.
            for cut in [0, 1, encoded.len() / 2, encoded.len() - 1] {
                let cut = coding.decode(&encoded[..cut], len);
                assert_eq!(cut, Err(DecodeFailure::Invalid));
            }
            let behind = [&encoded[..], b"x"].concat();
            assert_eq!(coding.decode(&behind, len), Err(DecodeFailure::Invalid));
            let mut wrong = encoded.to_vec();
            let at = encoded.len() - if coding == Coding::Gzip { 5 } else { 1 };
            wrong[at] ^= 1;
            assert_eq!(coding.decode(&wrong, len), Err(DecodeFailure::Invalid), "{coding:?}");
        }
    }
}

#[test]
fn body_that_does_not_become_shorter_stays_as_it_is() {
    // The cubes modulo a prime: no two windows are alike.
    let random: Vec<u8> = (1..1000u64)
        .map(|n| (n * n * n * 2_654_435_761 % 4_294_967_291).to_be_bytes()[6])
        .collect();
    for coding in [Coding::Gzip, Coding::Deflate] {
        assert_eq!(coding.encode(&random, &options(), &mut Codecs::new()), None);
    }
}

#[test]
fn deflate_is_taken_without_its_head_too() {
    let mut codecs = Codecs::new();
    let setting = Setting { bits: MAX_BITS, level: 6 };
    let body = vec![b'a'; 3000];
    let raw = codecs.deflate(setting, [&[], &body], End::Stream).to_vec();
    assert_eq!(Coding::Deflate.decode(&raw, 3000).unwrap(), body);
    assert_eq!(Coding::Gzip.decode(&raw, 3000), Err(DecodeFailure::Invalid));
}

#[test]
fn bomb_costs_no_more_than_the_limit() {
    let mut codecs = Codecs::new();
    let bomb = Coding::Gzip.encode(&vec![0; 10 << 20], &options(), &mut codecs).unwrap();
    assert!(bomb.len() < 20_000, "{}", bomb.len());
    for max in [0, 1, 4095, 4096, 100_000] {
        assert_eq!(Coding::Gzip.decode(&bomb, max), Err(DecodeFailure::TooLarge), "{max}");
    }
    assert_eq!(Coding::Gzip.decode(&bomb, 10 << 20).unwrap().len(), 10 << 20);
}

/// Members of gzip with a text each, empty ones among them, and all of the text.
fn members(count: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut body, mut text) = (Vec::new(), Vec::new());
    for at in 0..count {
        let member = [b"a", b"b", b"c"][at % 3].repeat(100 * (at % 3));
        // Those without a text do not become shorter.
        let encoded = match Coding::Gzip.encode(&member, &options(), &mut Codecs::new()) {
            Some(encoded) => encoded.to_vec(),
            None => [GZIP_HEAD, &[3, 0], &[0; 8]].concat(),
        };
        body.extend(encoded);
        text.extend(member);
    }
    (body, text)
}

#[test]
fn members_of_a_body_are_joined_up_to_their_number_and_the_limit() {
    for count in [1, 2, 5, MAX_MEMBERS] {
        let (body, text) = members(count);
        let decoded = Coding::Gzip.decode(&body, text.len());
        assert_eq!(decoded.as_deref(), Ok(&text[..]), "{count}");
        if let Some(max) = text.len().checked_sub(1) {
            assert_eq!(Coding::Gzip.decode(&body, max), Err(DecodeFailure::TooLarge), "{count}");
        }
    }
    let (body, _) = members(MAX_MEMBERS + 1);
    assert_eq!(Coding::Gzip.decode(&body, usize::MAX), Err(DecodeFailure::Invalid));
}

#[test]
fn body_that_ends_in_a_member_or_has_other_bytes_behind_one_is_invalid() {
    let (body, text) = members(3);
    let ends: Vec<_> = (1..=3).map(|count| members(count).0.len()).collect();
    for end in 1..body.len() {
        let decoded = Coding::Gzip.decode(&body[..end], text.len());
        assert_eq!(decoded.is_ok(), ends.contains(&end), "{end}");
    }
    for behind in [&b"\0"[..], b"{}", &GZIP_HEAD[..2]] {
        let body = [&body, behind].concat();
        assert_eq!(Coding::Gzip.decode(&body, text.len()), Err(DecodeFailure::Invalid));
    }
    // RFC 1950 knows of no second stream.
    let stream = Coding::Deflate.encode(&[b'a'; 100], &options(), &mut Codecs::new()).unwrap();
    let twice = [&stream[..], &stream[..]].concat();
    assert_eq!(Coding::Deflate.decode(&twice, 1000), Err(DecodeFailure::Invalid));
}
