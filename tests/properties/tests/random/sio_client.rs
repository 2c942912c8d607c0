//! Sockets of a client whose server mostly does as it should, over several sessions.

use enginewire_properties::{sio_client_hub, sio_manager};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    assert_worth, config,
    letters::{Script, line, operation, options},
};

/// One operation after the other, mostly behind a socket or two that are connected.
fn managers() -> impl Strategy<Value = Script> {
    let start = select(vec![BOTH, BOTH, BOTH, "o00c0O", "o00s0c0", ""]);
    (options(OPTIONS), start, vec(op(), 0..80)).prop_map(|(letters, start, ops)| {
        Script([letters.as_bytes(), b":", start.as_bytes(), &ops.concat()].concat())
    })
}

fn op() -> BoxedStrategy<Vec<u8>> {
    let n = || b'0'..b'4';
    let few = || b'0'..b'3';
    let with = |letters: &'static [u8]| select(letters.to_vec());
    let wild = word().prop_map(|word| {
        let mut script = vec![b'm'];
        line(&mut script, word.as_bytes());
        script
    });
    prop_oneof![
        8 => (with(b"sssvaaRt"), n()).prop_map(|(letter, on)| vec![letter, on]),
        4 => (with(b"cccdlufg"), n()).prop_map(|(letter, on)| vec![letter, on]),
        2 => (few(), with(b"00012 3")).prop_map(|(namespace, auth)| vec![b'o', namespace, auth]),
        4 => (n(), any::<u8>()).prop_map(|(on, millis)| vec![b'q', on, millis]),
        4 => (n(), few()).prop_map(|(on, times)| vec![b'r', on, times]),
        8 => (with(b"yyyyYxeeeEEz"), few()).prop_map(|(letter, namespace)| vec![letter, namespace]),
        4 => (few(), few()).prop_map(|(namespace, back)| vec![b'k', namespace, back]),
        6 => select(vec!["e0R0", "E0R0a0", "e1R1", "y0e0R0"]).prop_map(|letters| letters.into()),
        4 => select(vec!["O", "Oy0y1", "X0", "X2", "T", "T", "TOy0y1"]).prop_map(|letters| letters.into()),
        3 => select(vec!["w0", "w1", "W", "W", "i", "p", "!", "P", "P"]).prop_map(|letters| letters.into()),
        2 => (with(b"++*"), any::<u8>()).prop_map(|(letter, k)| vec![letter, k, b'!']),
        1 => operation(OPERATIONS),
        1 => wild,
    ]
    .boxed()
}

/// What a server says that does not do as it should, or not at this moment.
fn word() -> impl Strategy<Value = String> {
    let words = vec![
        "0",
        "0{\"sid\":\"a\"}",
        "0/a,{\"sid\":\"a\"}",
        "0/a,{\"sid\":1}",
        "1",
        "1/a,",
        "2[\"e\",1]",
        "2/b,[\"e\",1]",
        "30[1]",
        "31[1]",
        "3/a,0[1]",
        "4",
        "4{\"message\":\"no\"}",
        "4/a,\"no\"",
        "51-[\"e\",{\"_placeholder\":true,\"num\":0}]",
        "2[]",
        "9",
        "",
    ];
    select(words).prop_map(str::to_owned)
}

/// A client whose server mostly speaks over one WebSocket, and now and then over another.
fn hubs() -> impl Strategy<Value = Script> {
    let start = select(vec![OVER_WEBSOCKET, OVER_WEBSOCKET, OVER_WEBSOCKET, OVER_POLLING, "N00s0"]);
    (options(HUB_OPTIONS), any::<[u8; 4]>(), start, vec(hub_op(), 0..60)).prop_map(
        |(letters, reads, start, ops)| {
            // The first request of the others is that of a WebSocket as well.
            let kind = if start == OVER_POLLING { "p" } else { "w" };
            let parts = [letters.as_bytes(), kind.as_bytes(), b":", &reads, start.as_bytes()];
            Script([&parts.concat()[..], &ops.concat()].concat())
        },
    )
}

fn hub_op() -> BoxedStrategy<Vec<u8>> {
    let few = || b'0'..b'3';
    let with = |letters: &'static [u8]| select(letters.to_vec());
    let says = |word: String| {
        let mut script = b"t0".to_vec();
        line(&mut script, word.as_bytes());
        script
    };
    prop_oneof![
        1 => word().prop_map(move |word| says(format!("4{word}"))),
        12 => select(vec![r#"42["e",1]"#, r#"421["e",1]"#, r#"42/a,["e",1]"#, "430[1]", "43/a,0[1]", "2", "1"])
            .prop_map(move |word| says(word.to_owned())),
        10 => (with(b"sssvCDLApPg"), few()).prop_map(|(letter, on)| vec![letter, on]),
        4 => (with(b"qR"), few(), any::<u8>()).prop_map(|(letter, on, k)| vec![letter, on, k]),
        2 => (few(), few()).prop_map(|(namespace, auth)| vec![b'N', namespace, auth]),
        4 => select(vec![AGAIN, AGAIN, AGAIN, "x0TT", "e0", "r0", "k0", "Z"]).prop_map(|script| script.into()),
        3 => select(vec!["T", "T", "w0\u{5}", "W0", "a06\n", "a0ok\n"]).prop_map(|script| script.into()),
        2 => (with(b"++*"), any::<u8>()).prop_map(|(letter, k)| vec![letter, k]),
        1 => operation(HUB_OPERATIONS),
    ]
    .boxed()
}

proptest! {
    #![proptest_config(config(3000))]

    #[test]
    fn manager_does_what_its_model_says(script in managers()) {
        sio_manager::run(&script.0);
    }
}

proptest! {
    #![proptest_config(config(800))]

    #[test]
    fn hub_does_the_same_however_the_bytes_are_cut(script in hubs()) {
        sio_client_hub::run(&script.0);
    }
}

#[test]
fn most_scripts_connect_and_exchange_over_a_hub() {
    assert_worth(hubs(), sio_client_hub::run, [60, 18, 75, 0]);
}

#[test]
fn most_scripts_connect_and_exchange() {
    assert_worth(managers(), sio_manager::run, [80, 40, 60, 0]);
}

/// Two sockets are connected.
const BOTH: &str = "o00o10c0c1Oy0y1";

const OPTIONS: &[(char, u8)] =
    &[('3', 8), ('F', 8), ('D', 8), ('Q', 4), ('K', 5), ('n', 12), ('N', 6), ('j', 6), ('u', 6)];

const OPERATIONS: &[(&str, &str)] = &[
    ("OWip!TPAC", ""),
    ("cdlufsvgatRyYxeEzwX", "n"),
    ("okr", "nn"),
    ("q", "nk"),
    ("mb", "t"),
    ("+*", "k"),
];

/// Two sockets are connected.
const OVER_WEBSOCKET: &str = "N00N10c0u0o0t040{\"sid\":\"x\"}\nt040/a,{\"sid\":\"y\"}\n";

/// One is, and the next answer is awaited.
const OVER_POLLING: &str = "N00c0o0c0c1a1ok\na040{\"sid\":\"x\"}\nc0c1";

/// The connection is lost, and the next session opens.
const AGAIN: &str = "x0TTc0u0o0t040{\"sid\":\"z\"}\n";

const HUB_OPTIONS: &[(char, u8)] = &[
    ('3', 12),
    ('G', 8),
    ('D', 8),
    ('Y', 6),
    ('i', 12),
    ('I', 6),
    ('t', 10),
    ('z', 12),
    ('Q', 6),
    ('R', 6),
    ('K', 10),
];

const HUB_OPERATIONS: &[(&str, &str)] =
    &[("TXZ", ""), ("crxeuUoOkWCDLsvgApP", "n"), ("tba", "nt"), ("NhwqR", "nk"), ("+*", "k")];
