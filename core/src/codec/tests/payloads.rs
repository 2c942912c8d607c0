//! Decoding polling bodies, rule by rule.

use super::*;

mod payloads_of_revision_4 {
    use super::*;

    const FORM: PayloadForm = PayloadForm::V4;

    #[test]
    fn packets_stand_between_separators() {
        assert_eq!(all(FORM, "6"), [Packet::Noop]);
        assert_eq!(all(FORM, "4"), [text("")]);
        assert_eq!(
            all(FORM, "4a\x1e4\x1eb\x1e6"),
            [text("a"), text(""), binary(&[]), Packet::Noop]
        );
    }

    #[test]
    fn an_empty_packet_is_an_error() {
        for (body, packets, at) in
            [("", 0, 0), ("\x1e", 0, 0), ("6\x1e", 1, 2), ("6\x1e\x1e6", 1, 2), ("\x1e6", 0, 0)]
        {
            let expected = (vec![Packet::Noop; packets], at, DecodeErrorKind::Empty);
            assert_eq!(faulty(FORM, body), expected, "{body:?}");
        }
    }

    #[test]
    fn packets_before_a_fault_come_out_and_none_after_it() {
        let mut decoder = PayloadDecoder::new(FORM, Bytes::from_static(b"4a\x1e7\x1e4b"), 10);
        assert_eq!(decoder.next(), Some(Ok(text("a"))));
        let error = decoder.next().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "packet 1, byte 3: '7' is not a packet type");
        assert_eq!(decoder.next(), None);
        assert_eq!(decoder.next(), None);
    }

    #[test]
    fn offsets_in_base64_are_offsets_in_the_payload() {
        let expected = (vec![Packet::Noop], 5, DecodeErrorKind::InvalidBase64(b'_'));
        assert_eq!(faulty(FORM, "6\x1ebAQ_D"), expected);
    }

    #[test]
    fn packets_that_end_before_invalid_utf8_come_out() {
        for (body, packets, at) in [
            (&b"\xff"[..], 0, 0),
            (b"6\xff", 0, 1),
            (b"6\x1e\xff", 1, 2),
            (b"6\x1e4\xe2\x82", 1, 3),
            (b"6\x1e6\x1e4\xe2\x82\x1e6", 2, 5),
            (b"6\x1ebAQID\xed\xa0\x80\x1e6", 1, 7),
        ] {
            let expected = (vec![Packet::Noop; packets], at, DecodeErrorKind::InvalidUtf8);
            assert_eq!(faulty(FORM, body), expected, "{body:?}");
        }
    }

    #[test]
    fn messages_are_slices_of_the_body() {
        let body = Bytes::from_static("4a\x1e4€".as_bytes());
        let mut decoder = PayloadDecoder::new(FORM, body.clone(), 10);
        decoder.next();
        let Some(Ok(Packet::Message(message))) = decoder.next() else { panic!("a message") };
        assert_eq!(message.payload().as_ptr(), body[4..].as_ptr());
    }
}

mod text_payloads_of_revision_3 {
    use super::*;

    const FORM: PayloadForm = PayloadForm::V3Text;

    #[test]
    fn every_packet_has_its_length_before_it() {
        assert_eq!(all(FORM, "1:6"), [Packet::Noop]);
        assert_eq!(all(FORM, "1:61:1"), [Packet::Noop, Packet::Close]);
        assert_eq!(all(FORM, "3:4::2:2:1:6"), [text("::"), Packet::Ping(":".into()), Packet::Noop]);
        assert_eq!(all(FORM, "001:6"), [Packet::Noop]);
    }

    #[test]
    fn a_packet_of_length_0_is_passed_over() {
        assert_eq!(all(FORM, "0:"), []);
        assert_eq!(all(FORM, "0:1:60:0:1:10:"), [Packet::Noop, Packet::Close]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn lengths_count_utf16_code_units() {
        for n in 0..100 {
            for (character, units) in [("a", 1), ("é", 1), ("€", 1), ("😀", 2)] {
                let first = format!("{}{}", "x".repeat(n % 7), character.repeat(n));
                let body = format!("{}:4{first}3:4😀", 1 + n % 7 + n * units);
                assert_eq!(all(FORM, body), [text(&first), text("😀")]);
            }
        }
    }

    #[test]
    fn a_length_that_cuts_a_character_is_an_error() {
        for n in [0, 1, 30, 31, 32, 33, 34, 35, 64, 100] {
            let body = format!("1:6{}:4{}😀1:6", n + 2, "x".repeat(n));
            let at = body.find('😀').unwrap();
            let kind = DecodeErrorKind::SplitCharacter { length: n as u64 + 2 };
            assert_eq!(faulty(FORM, body), (vec![Packet::Noop], at, kind));
        }
    }

    #[test]
    fn a_length_beyond_the_end_is_an_error() {
        for (packet, length, available) in
            [("", 1, 0), ("6", 2, 1), ("4😀", 4, 3), ("4€", u64::MAX / 2, 2)]
        {
            let head = format!("1:6{length}:");
            let kind = DecodeErrorKind::Truncated { length, available };
            let expected = (vec![Packet::Noop], head.len(), kind);
            assert_eq!(faulty(FORM, head + packet), expected);
        }
        let long = "x".repeat(1000);
        let kind = DecodeErrorKind::Truncated { length: 1001, available: 1000 };
        assert_eq!(faulty(FORM, format!("1001:{long}")), (vec![], 5, kind));
    }

    #[test]
    fn lengths_are_decimal_digits_and_a_colon() {
        for (length, at) in [
            (":", 3),
            ("x", 3),
            ("1", 4),
            ("1.0:", 4),
            ("0x1:", 4),
            (" 1:", 3),
            ("+1:", 3),
            ("-1:", 3),
            ("1e0:", 4),
            ("1 :", 4),
            ("٣:", 3),
            ("0000000000000000000", 22),
            ("00000000000000000001:", 22),
            ("99999999999999999999:", 22),
        ] {
            let expected = (vec![Packet::Noop], at, DecodeErrorKind::InvalidLength);
            assert_eq!(faulty(FORM, format!("1:6{length}")), expected, "{length:?}");
        }
        let body = "1:60000000000000000001:6";
        assert_eq!(all(FORM, body), [Packet::Noop, Packet::Noop], "19 digits are allowed");
    }

    #[test]
    fn an_empty_body_is_an_error() {
        assert_eq!(faulty(FORM, ""), (vec![], 0, DecodeErrorKind::Empty));
    }

    #[test]
    fn packets_that_end_before_invalid_utf8_come_out() {
        for (body, packets, at) in [
            (&b"\xff"[..], 0, 0),
            (b"1:6\xff", 1, 3),
            (b"1:62\xff:4x", 1, 4),
            (b"1:62:\xff", 1, 5),
            (b"1:63:4x\xff1:6", 1, 7),
            (b"1:61:6\xff", 2, 6),
        ] {
            let expected = (vec![Packet::Noop; packets], at, DecodeErrorKind::InvalidUtf8);
            assert_eq!(faulty(FORM, body), expected, "{body:?}");
        }
    }

    #[test]
    fn a_fault_in_a_packet_is_found_at_its_place() {
        let fault = |body| faulty(FORM, body);
        let noop = || vec![Packet::Noop];
        assert_eq!(fault("1:63:7xx"), (noop(), 5, DecodeErrorKind::UnknownType(b'7')));
        assert_eq!(fault("1:61:b"), (noop(), 6, DecodeErrorKind::Empty));
        assert_eq!(fault("1:66:b4AQ*D"), (noop(), 9, DecodeErrorKind::InvalidBase64(b'*')));
    }
}

mod binary_payloads_of_revision_3 {
    use super::*;

    const FORM: PayloadForm = PayloadForm::V3Binary;

    fn noop() -> Vec<Packet> {
        vec![Packet::Noop]
    }

    #[test]
    fn every_packet_has_its_kind_and_length_before_it() {
        assert_eq!(all(FORM, b"\x00\x01\xff6"), noop());
        assert_eq!(all(FORM, b"\x00\x00\x01\xff6"), noop());
        let body = b"\x00\x03\xff4\xff\xff";
        assert_eq!(faulty(FORM, body), (vec![], 4, DecodeErrorKind::InvalidUtf8));
        let body = [&b"\x01\x01\x00\xff\x04"[..], &[0xff; 9], b"\x00\x03\xffb4A"].concat();
        let at = body.len();
        let expected = (vec![binary(&[0xff; 9])], at, DecodeErrorKind::TruncatedBase64);
        assert_eq!(faulty(FORM, body), expected);
    }

    #[test]
    fn an_empty_body_has_no_packets() {
        assert_eq!(all(FORM, ""), []);
    }

    #[test]
    fn binary_packets_are_those_of_a_websocket() {
        assert_eq!(
            all(FORM, b"\x01\x06\xff\x02probe\x01\x01\xff\x06"),
            [Packet::Ping("probe".into()), Packet::Noop]
        );
        let ignored = b"\x01\x00\xff\x01\x01\xff\x07\x00\x01\xff6";
        assert_eq!(all(FORM, ignored), noop());
    }

    #[test]
    fn every_kind_but_0_is_binary() {
        assert_eq!(all(FORM, b"\x02\x01\xff\x06"), noop());
        assert_eq!(all(FORM, b"\xff\x03\xff\x04\x00\xff"), [binary(&[0, 0xff])]);
    }

    #[test]
    fn an_empty_string_packet_is_an_error() {
        let expected = (noop(), 7, DecodeErrorKind::Empty);
        assert_eq!(faulty(FORM, b"\x00\x01\xff6\x00\x00\xff"), expected);
    }

    #[test]
    fn lengths_are_digits_of_value_0_to_9_and_an_end_sign() {
        for (length, at) in [
            (&b""[..], 5),
            (b"\xff", 5),
            (b"\x01", 6),
            (b"1\xff6", 5),
            (b"\x0a\xff6", 5),
            (b"\x01\xfe6", 6),
            (&[0; 19], 24),
            (&[0; 20], 24),
        ] {
            let body = [b"\x00\x01\xff6\x00", length].concat();
            let expected = (noop(), at, DecodeErrorKind::InvalidLength);
            assert_eq!(faulty(FORM, body), expected, "{length:?}");
        }
    }

    #[test]
    fn a_length_beyond_the_end_is_an_error() {
        for kind in [0, 1] {
            let body = [&b"\x00\x01\xff6"[..], &[kind, 5, 0xff], b"4abc"].concat();
            let expected = DecodeErrorKind::Truncated { length: 5, available: 4 };
            assert_eq!(faulty(FORM, body), (noop(), 7, expected));
        }
        let body = [&[0][..], &[9; 19], &[0xff], b"4abc"].concat();
        let length = 9_999_999_999_999_999_999;
        let expected = DecodeErrorKind::Truncated { length, available: 4 };
        assert_eq!(faulty(FORM, body), (vec![], 21, expected));
    }

    #[test]
    fn a_fault_in_a_packet_is_found_at_its_place() {
        let body = b"\x00\x01\xff6\x00\x04\xff4a\xe2\x82\x00\x01\xff6";
        assert_eq!(faulty(FORM, body), (noop(), 9, DecodeErrorKind::InvalidUtf8));
        let body = b"\x00\x01\xff6\x00\x01\xff7";
        assert_eq!(faulty(FORM, body), (noop(), 7, DecodeErrorKind::UnknownType(b'7')));
    }
}
