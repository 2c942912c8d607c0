use super::*;

fn options() -> PerMessageDeflate {
    let mut options = PerMessageDeflate::default();
    options.server_context_takeover = true;
    options.client_context_takeover = true;
    options
}

fn limited(server: u8, client: u8) -> PerMessageDeflate {
    let mut options = options();
    options.server_max_window_bits = server;
    options.client_max_window_bits = client;
    options
}

/// The response to one field, and what was agreed on: whether contexts are kept and the windows, server first.
fn accept(options: &PerMessageDeflate, field: &str) -> Option<(String, [(bool, u8); 2])> {
    let (agreed, value) = DeflateParameters::accept(options, [field.as_bytes()].into_iter())?;
    Some((value, [agreed.ours, agreed.theirs].map(|way| (way.takeover, way.bits))))
}

/// Parameters that a client takes from a response, the server's first.
fn check(options: &PerMessageDeflate, field: &str) -> Result<Option<[(bool, u8); 2]>, NotOffered> {
    let agreed = DeflateParameters::check(options, [field.as_bytes()].into_iter())?;
    let ways = |agreed: DeflateParameters| [agreed.theirs, agreed.ours];
    Ok(agreed.map(|agreed| ways(agreed).map(|way| (way.takeover, way.bits))))
}

#[test]
fn server_accepts_the_offers_of_known_clients() {
    let plain = PerMessageDeflate::default();
    for (offer, answer) in [
        // Chromium, Firefox and `ws`.
        (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        // Safari.
        (
            "permessage-deflate",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        // Python `websockets`.
        (
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=12; client_max_window_bits=12",
        ),
        // `uWebSockets` as a client, with an extension that nobody else knows.
        (
            "x-webkit-deflate-frame, permessage-deflate; client_max_window_bits=\"10\"",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             client_max_window_bits=10",
        ),
    ] {
        assert_eq!(accept(&plain, offer).unwrap().0, answer, "{offer}");
    }
}

#[test]
fn server_keeps_a_context_only_if_both_sides_want_it() {
    for (offer, contexts) in [
        ("permessage-deflate", [true, true]),
        ("permessage-deflate; server_no_context_takeover", [false, true]),
        ("permessage-deflate; client_no_context_takeover", [true, false]),
    ] {
        let (_, agreed) = accept(&options(), offer).unwrap();
        assert_eq!(agreed.map(|(takeover, _)| takeover), contexts, "{offer}");
        let (_, agreed) = accept(&PerMessageDeflate::default(), offer).unwrap();
        assert_eq!(agreed.map(|(takeover, _)| takeover), [false, false], "{offer}");
    }
}

#[test]
fn server_takes_the_lesser_window_of_both_sides() {
    let name = "permessage-deflate";
    for (options, offer, answer, windows) in [
        (limited(15, 15), "", "", Some([15, 15])),
        (
            limited(15, 15),
            "; server_max_window_bits=8",
            "; server_max_window_bits=8",
            Some([8, 15]),
        ),
        (
            limited(15, 15),
            "; server_max_window_bits=15",
            "; server_max_window_bits=15",
            Some([15, 15]),
        ),
        (
            limited(11, 15),
            "; server_max_window_bits=12",
            "; server_max_window_bits=11",
            Some([11, 15]),
        ),
        (
            limited(12, 15),
            "; server_max_window_bits=11",
            "; server_max_window_bits=11",
            Some([11, 15]),
        ),
        (limited(11, 15), "", "; server_max_window_bits=11", Some([11, 15])),
        (
            limited(15, 11),
            "; client_max_window_bits",
            "; client_max_window_bits=11",
            Some([15, 11]),
        ),
        (
            limited(15, 11),
            "; client_max_window_bits=9",
            "; client_max_window_bits=9",
            Some([15, 9]),
        ),
        (
            limited(15, 11),
            "; client_max_window_bits=15",
            "; client_max_window_bits=11",
            Some([15, 11]),
        ),
        (
            limited(15, 15),
            "; client_max_window_bits=8",
            "; client_max_window_bits=8",
            Some([15, 8]),
        ),
        // The client does not know the parameter.
        (limited(15, 11), "", "", None),
        // Options out of range count as the nearest.
        (limited(0, 99), "", "; server_max_window_bits=9", Some([9, 15])),
    ] {
        let accepted = accept(&options, &[name, offer].concat());
        let expected = windows.map(|windows| ([name, answer].concat(), windows));
        let seen = accepted.map(|(value, agreed)| (value, agreed.map(|(_, bits)| bits)));
        assert_eq!(seen, expected, "{offer}");
    }
}

#[test]
fn server_declines_an_offer_that_is_not_in_order_and_takes_the_next() {
    for offer in [
        "permessage-deflate; unknown",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=true",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; server_max_window_bits=+9",
        "permessage-deflate; client_max_window_bits=0",
        "permessage-deflate; client_max_window_bits=100",
        "permessage-deflate; Client_max_window_bits=10",
        "Permessage-deflate",
        "permessage-deflat",
        "permessage-deflates",
    ] {
        assert_eq!(accept(&options(), offer), None, "{offer}");
        let (value, _) = accept(&options(), &format!("{offer}, permessage-deflate")).unwrap();
        assert_eq!(value, "permessage-deflate", "{offer}");
    }
}

#[test]
fn server_goes_on_without_compression_after_a_field_of_another_form() {
    for field in [
        "permessage-deflate;",
        "permessage-deflate; =1",
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate; server_max_window_bits=\"10",
        "permessage-deflate; server_max_window_bits=\" 10\"",
        "permessage-deflate; server_max_window_bits=1 0",
        "permessage deflate",
        "permessage-deflate, x=y",
        "\"permessage-deflate\"",
        "permessage-deflate\u{e9}",
        "",
        " , ,",
    ] {
        assert_eq!(accept(&options(), field), None, "{field}");
    }
    let fields = [&b"permessage-deflate"[..], b"\xff"];
    assert_eq!(DeflateParameters::accept(&options(), fields.into_iter()), None);
    assert_eq!(DeflateParameters::accept(&options(), [].into_iter()), None);
}

#[test]
fn server_finds_an_offer_in_any_field_and_between_white_space() {
    let fields = [&b"foo; a=\"b\""[..], b" ,\tpermessage-deflate ;\tserver_max_window_bits = 10 ,"];
    let (agreed, _) = DeflateParameters::accept(&options(), fields.into_iter()).unwrap();
    assert_eq!(agreed.ours.bits, 10);
}

#[test]
fn client_offers_what_its_options_say() {
    assert_eq!(
        DeflateParameters::offer(&PerMessageDeflate::default()),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
         client_max_window_bits"
    );
    assert_eq!(DeflateParameters::offer(&options()), "permessage-deflate; client_max_window_bits");
    assert_eq!(
        DeflateParameters::offer(&limited(9, 14)),
        "permessage-deflate; server_max_window_bits=9; client_max_window_bits=14"
    );
}

#[test]
fn client_takes_only_what_it_has_offered() {
    let name = "permessage-deflate";
    for (options, answer, agreed) in [
        (options(), "", Ok([(true, 15), (true, 15)])),
        (options(), "; server_no_context_takeover", Ok([(false, 15), (true, 15)])),
        (options(), "; client_no_context_takeover", Ok([(true, 15), (false, 15)])),
        (options(), "; server_max_window_bits=8", Ok([(true, 8), (true, 15)])),
        (options(), "; client_max_window_bits=8", Ok([(true, 15), (true, 8)])),
        (limited(10, 11), "; server_max_window_bits=9", Ok([(true, 9), (true, 11)])),
        (
            limited(10, 11),
            "; server_max_window_bits=10; client_max_window_bits=10",
            Ok([(true, 10), (true, 10)]),
        ),
        (limited(10, 15), "", Err(NotOffered)),
        (limited(10, 15), "; server_max_window_bits=11", Err(NotOffered)),
        (limited(15, 10), "; client_max_window_bits=11", Err(NotOffered)),
        (options(), "; client_max_window_bits", Err(NotOffered)),
        (options(), "; server_max_window_bits", Err(NotOffered)),
        (options(), "; server_max_window_bits=16", Err(NotOffered)),
        (options(), "; unknown", Err(NotOffered)),
        (options(), "; server_no_context_takeover; server_no_context_takeover", Err(NotOffered)),
        (options(), ", permessage-deflate", Err(NotOffered)),
        (options(), ", x", Err(NotOffered)),
        (options(), ";", Err(NotOffered)),
        (PerMessageDeflate::default(), "", Err(NotOffered)),
        (
            PerMessageDeflate::default(),
            "; server_no_context_takeover",
            Ok([(false, 15), (false, 15)]),
        ),
    ] {
        let checked = check(&options, &[name, answer].concat());
        assert_eq!(checked, agreed.map(Some), "{answer}");
    }
    assert_eq!(check(&options(), "x"), Err(NotOffered));
    assert_eq!(check(&options(), ""), Ok(None));
    assert_eq!(DeflateParameters::check(&options(), [].into_iter()), Ok(None));
}

#[test]
fn both_of_our_sides_agree_on_the_same() {
    for server in [PerMessageDeflate::default(), options(), limited(9, 15), limited(12, 10)] {
        for client in [PerMessageDeflate::default(), options(), limited(9, 15), limited(12, 10)] {
            let offer = DeflateParameters::offer(&client);
            let (agreed, answer) =
                DeflateParameters::accept(&server, [offer.as_bytes()].into_iter()).unwrap();
            let checked = DeflateParameters::check(&client, [answer.as_bytes()].into_iter());
            let checked = checked.unwrap().unwrap();
            assert_eq!((agreed.ours, agreed.theirs), (checked.theirs, checked.ours), "{answer}");
        }
    }
}
