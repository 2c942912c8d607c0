//! Clients of Socket.IO that mostly do as they should, and members of a namespace that come and go.

use enginewire_properties::{sio_adapter, sio_cluster, sio_connection, sio_hub};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    assert_worth, config,
    letters::{Script, line, operation, options, text},
    share,
};

/// One operation after the other, mostly behind a namespace that is connected.
fn connections() -> impl Strategy<Value = Script> {
    let start = select(vec![BOTH, BOTH, BOTH, "m0/a,\nEY0m0\nEy0", ""]);
    (options(OPTIONS), start, vec(op(), 0..60)).prop_map(|(letters, start, ops)| {
        // Those of revision 3 are asked for `/` without a packet.
        let is_third = letters.contains('3') && !start.is_empty();
        let start = if is_third { "Ey0m0/a?token=1,\nEy0" } else { start };
        Script([letters.as_bytes(), b":", start.as_bytes(), &ops.concat()].concat())
    })
}

fn op() -> BoxedStrategy<Vec<u8>> {
    let number = || b'0'..b'3';
    let said = |packet: String| {
        let mut script = vec![b'm'];
        line(&mut script, packet.as_bytes());
        script
    };
    prop_oneof![
        8 => packet().prop_map(said),
        2 => (text(), 0_u8..3, 0_u8..20).prop_map(|(text, number, roll)| attachments(&text, number, roll == 19)),
        3 => select(vec!["Ey0", "EY0", "Ey1", "Ex0", "E", "e"]).prop_map(|letters| letters.into()),
        6 => (select(b"sssvvrrrrRRRdl".to_vec()), number()).prop_map(|(letter, n)| vec![letter, n]),
        2 => (number(), any::<u8>()).prop_map(|(n, millis)| vec![b'q', n, millis]),
        1 => (number(), b'0'..b'3').prop_map(|(n, back)| vec![b'g', n, back]),
        1 => select(vec!["f0", "f1", "w", "w", "i", "!", "T"]).prop_map(|letters| letters.into()),
        1 => any::<u8>().prop_map(|millis| vec![b'+', millis]),
        1 => operation(CONNECTION),
    ]
    .boxed()
}

/// What a client says: to connect, an event, an acknowledgement, that it leaves; seldom what it must not.
fn packet() -> impl Strategy<Value = String> {
    let namespace = || select(vec!["", "", "", "/a,"]);
    let head = move |kind: &'static str| {
        let id = select(vec!["", "", "0", "3", "17"]);
        (namespace(), id).prop_map(move |(namespace, id)| format!("{kind}{namespace}{id}"))
    };
    prop_oneof![
        20 => (head("2"), text()).prop_map(|(head, text)| format!("{head}{}", serde_json::json!(["n", text]))),
        8 => (namespace(), 0_u8..40).prop_map(|(namespace, id)| format!("3{namespace}{id}[1]")),
        4 => select(vec!["0/b,\nEy0m1/b,", "0/b,", "0/c,{\"token\":1}", "0/c,\nm1/c,", "0/d,\nm0/d,\nE"]).prop_map(str::to_owned),
        1 => head("2"),
        1 => select(vec!["0", "1", "1/a,", "1/b,", "2/c,[\"n\"]", "2[]", "2[\"connect\"]", "4{}", "9", "", "51-[\"a\"]"]).prop_map(str::to_owned),
    ]
}

fn attachments(text: &str, number: u8, too_few: bool) -> Vec<u8> {
    let count = number + 1;
    let placeholder = serde_json::json!({ "_placeholder": true, "num": number });
    let json = serde_json::json!(["n", placeholder, text]);
    let mut script = vec![b'm'];
    line(&mut script, format!("5{count}-{json}").as_bytes());
    for byte in 0..count - u8::from(too_few && number > 1) {
        script.push(b'b');
        line(&mut script, &[b'a' + byte]);
    }
    script
}

/// Members with few names and few rooms.
fn namespaces() -> impl Strategy<Value = Script> {
    let name = || b'0'..b'8';
    let names = move || {
        vec(name(), 0..3).prop_map(|names| {
            let count = u8::try_from(names.len()).unwrap();
            [&[b'0' + count][..], &names].concat()
        })
    };
    let target = move || (names(), names()).prop_map(|(to, except)| [to, except].concat());
    let with = |letters: &'static [u8]| select(letters.to_vec());
    let op = prop_oneof![
        3 => name().prop_map(|name| vec![b'i', name]),
        1 => name().prop_map(|member| vec![b'o', member]),
        5 => (with(b"jjjl"), name(), name()).prop_map(|(letter, member, room)| vec![letter, member, room]),
        1 => (with(b"JL"), target(), name()).prop_map(|(letter, target, room)| [&[letter][..], &target, &[room]].concat()),
        5 => target().prop_map(|target| [&b"s"[..], &target].concat()),
        2 => (with(b"pu"), any::<u8>()).prop_map(|(letter, cost)| vec![letter, cost]),
        2 => with(b"ddrp").prop_map(|letter| vec![letter, 1]),
    ];
    vec(op, 5..80).prop_map(|ops| Script(ops.concat()))
}

/// A node that asks few others, most of which respond.
fn nodes() -> impl Strategy<Value = Script> {
    let few = || b'0'..b'4';
    let node = || select(b"0012".to_vec());
    let op = prop_oneof![
        1 => (select(b"iio".to_vec()), few()).prop_map(|(letter, node)| vec![letter, node]),
        3 => (few(), any::<u8>()).prop_map(|(kind, patience)| vec![b'q', kind, patience]),
        20 => (node(), few(), few(), few()).prop_map(|(a, b, c, d)| vec![b'r', a, b, c, d]),
        1 => (select(b"ct".to_vec()), few()).prop_map(|(letter, n)| vec![letter, n]),
        1 => Just(vec![b'p']),
        1 => (few(), any::<u8>()).prop_map(|(kind, n)| vec![b'd', b'q', kind, n, b'd']),
    ];
    vec(op, 20..100).prop_map(|ops| Script([&b"i0"[..], &ops.concat()].concat()))
}

/// Several clients of a hub, mostly connected to a few namespaces and in a few rooms.
fn hubs() -> impl Strategy<Value = Script> {
    let start = select(vec![MEMBERS, MEMBERS, MEMBERS, "oc00y0", "Oy0", ""]);
    (options(HUB_OPTIONS), start, vec(hub_op(), 0..60)).prop_map(|(letters, start, ops)| {
        Script([letters.as_bytes(), b":", start.as_bytes(), &ops.concat()].concat())
    })
}

fn hub_op() -> BoxedStrategy<Vec<u8>> {
    let n = || b'0'..b'5';
    let few = || b'0'..b'3';
    // None of the rooms as often as one of them.
    let room = || b'0'..b'6';
    let with = |letters: &'static [u8]| select(letters.to_vec());
    let wild = (n(), packet()).prop_map(|(on, packet)| {
        let mut script = vec![b'm', on];
        line(&mut script, packet.as_bytes());
        script
    });
    prop_oneof![
        2 => with(b"oooO").prop_map(|letter| vec![letter]),
        3 => (n(), few()).prop_map(|(on, namespace)| vec![b'c', on, namespace, b'y', b'0']),
        8 => (with(b"iiI"), n(), b'0'..b'2').prop_map(|(letter, on, namespace)| vec![letter, on, namespace]),
        4 => (with(b"ccLf"), n(), few()).prop_map(|(letter, on, namespace)| vec![letter, on, namespace]),
        4 => (with(b"jjJ"), n(), few()).prop_map(|(letter, on, room)| vec![letter, on, room]),
        9 => (with(b"sssvaaAAyx"), n()).prop_map(|(letter, on)| vec![letter, on]),
        8 => (with(b"BBV"), few(), room(), room()).prop_map(|(letter, namespace, to, except)| vec![letter, namespace, to, except]),
        3 => (n(), any::<u8>()).prop_map(|(on, millis)| vec![b'q', on, millis]),
        2 => (few(), room(), room(), any::<u8>()).prop_map(|(namespace, to, except, millis)| vec![b'Q', namespace, to, except, millis]),
        5 => (with(b"lkkkWWWpPPPPge"), n()).prop_map(|(letter, on)| vec![letter, on]),
        3 => (n(), 0..80_u8).prop_map(|(on, room)| vec![b'w', on, room]),
        2 => with(b"1EE").prop_map(|letter| vec![letter]),
        2 => (with(b"++*"), any::<u8>()).prop_map(|(letter, k)| vec![letter, k]),
        1 => wild,
        1 => operation(HUB),
    ]
    .boxed()
}

proptest! {
    #![proptest_config(config(4000))]

    #[test]
    fn connection_does_what_its_model_says(script in connections()) {
        sio_connection::run(&script.0);
    }

    #[test]
    fn cluster_does_what_its_model_says(script in nodes()) {
        sio_cluster::run(&script.0);
    }

    #[test]
    fn adapter_does_what_its_model_says(script in namespaces()) {
        sio_adapter::run(&script.0);
    }
}

proptest! {
    #![proptest_config(config(2000))]

    #[test]
    fn hub_does_what_its_model_says(script in hubs()) {
        sio_hub::run(&script.0);
    }
}

#[test]
fn most_scripts_exchange_over_a_hub() {
    assert_worth(hubs(), sio_hub::run, [75, 40, 55, 0]);
}

#[test]
fn most_scripts_connect_and_exchange() {
    assert_worth(connections(), sio_connection::run, [72, 55, 48, 0]);
}

#[test]
fn most_scripts_select_members() {
    let found = share(namespaces(), |script| sio_adapter::run(script) > 0);
    assert!(found > 65, "{found}");
}

#[test]
fn most_scripts_have_requests_answered() {
    let found = share(nodes(), |script| sio_cluster::run(script) > 0);
    assert!(found > 50, "{found}");
}

/// The client is connected to `/` and `/a`.
const BOTH: &str = "m0\nEy0m0/a,\nEy0";

const OPTIONS: &[(char, u8)] = &[('3', 6), ('n', 5), ('k', 5), ('a', 20), ('s', 40)];

/// Three clients are connected, two of them to two namespaces, and in rooms.
const MEMBERS: &str = "ooOc00c01c10c11y0y0y0y0y0j00j10j11j21";

const HUB_OPTIONS: &[(char, u8)] = &[
    ('r', 2),
    ('A', 2),
    ('3', 2),
    ('u', 4),
    ('S', 4),
    ('Q', 4),
    ('t', 5),
    ('z', 6),
    ('M', 8),
    ('N', 8),
    ('R', 8),
    ('K', 8),
];

const HUB: &[(&str, &str)] = &[
    ("oO1ECX", ""),
    ("AelWkyxsvgadDpP", "n"),
    ("cLiIjJf", "nn"),
    ("wq", "nk"),
    ("BV", "nnn"),
    ("Q", "nnnk"),
    ("mb", "nt"),
    ("+*", "k"),
];

const CONNECTION: &[(&str, &str)] =
    &[("eEw!iT", ""), ("yYxsvrRdlf", "n"), ("qg", "nk"), ("mb", "t"), ("+*", "k"), ("cCAz", "")];
