//! Packets of no sense, and clients and namespaces without number.

use enginewire_driver::{Limits, socketio::Io};
use enginewire_tests::{
    client::{Client, soon, until},
    profile::allow_open_files,
    random::Random,
};
use std::{io::Write as _, thread};

use crate::{Abused, BINARY, FILES, Host, SOCKET, TEXT, connect_all, kept, try_write};

on_every_runtime!(
    random_packets_harm_nobody_else,
    client_that_asks_for_ten_thousand_namespaces_gets_those_it_may_have,
    client_that_asks_without_reading_is_closed,
    namespaces_of_a_pattern_are_limited_for_all_clients_together,
    thousand_clients_that_vanish_while_they_connect_leave_nothing,
    thousand_sockets_that_vanish_leave_nothing,
);

/// Packets of a client, each as the messages that it is made of. Bytes stand for attachments.
const PACKETS: [&[&str]; 19] = [
    &["40"],
    &["40/a,"],
    &[r#"40/n/1,{"token":"x"}"#],
    &["41"],
    &["41/a,"],
    &[r#"42["say",1]"#],
    &[r#"4212["say",{"a":[1,2,"é"]}]"#],
    &[r#"42/a,["join",0,9]"#],
    &[r#"42/n/1,3["leave",0,9]"#],
    &[r#"420["decode",[[[]]]]"#],
    &["430[1]"],
    &["43/a,18446744073709551615[1,null]"],
    &[r#"44{"message":"x"}"#],
    &[r#"451-["say",{"_placeholder":true,"num":0}]"#, "\u{1}\u{2}"],
    &[r#"452-/a,7["say",{"num":1,"_placeholder":true}]"#, "", "\u{3}"],
    &[r#"461-0[{"_placeholder":true,"num":0}]"#, "x"],
    &["3"],
    &["6"],
    &["1"],
];

/// Cuts, doubles, swaps and changes bytes.
fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..random.below(3) {
        bytes.push(b'0');
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, b"-,/0159[]{}\"\\ \xff"[random.below(15)]),
            4 => {
                let piece = bytes[at..].to_vec();
                bytes.extend(piece);
            }
            _ => drop(bytes.remove(at)),
        }
    }
}

fn random_packets_harm_nobody_else<R: Host>() {
    const AT_ONCE: usize = 20;
    const EACH: usize = 8;
    let mut abused = Abused::start::<R>(Io::new(), |builder| builder);
    let mut random = Random::new(1);
    for _ in 0..30 {
        let clients: Vec<_> =
            (0..AT_ONCE).map(|_| Client::open_websocket(abused.server.local_addr())).collect();
        for _ in 0..EACH {
            for client in &clients {
                let packet = PACKETS[random.below(PACKETS.len())];
                for (i, message) in packet.iter().enumerate() {
                    let mut bytes = message.as_bytes().to_vec();
                    mutate(&mut random, &mut bytes);
                    let is_text = (i == 0) != (random.below(20) == 0);
                    try_write(
                        client,
                        &Client::frame_of(if is_text { TEXT } else { BINARY }, &bytes),
                    );
                }
            }
            abused.still_serves();
        }
        for client in clients {
            if random.below(3) == 0 {
                client.pull_the_plug();
            }
        }
    }
    // Each may be in three namespaces, and has sent this much at most.
    let sent = EACH * 3 * 256;
    abused.heap.assert_peak(AT_ONCE * (4 * SOCKET + 16 * sent) + kept(AT_ONCE));
    abused.end(AT_ONCE);
}

fn client_that_asks_for_ten_thousand_namespaces_gets_those_it_may_have<R: Host>() {
    const ASKED: usize = 10_000;
    const ALLOWED: usize = 64;
    let mut abused = Abused::start::<R>(Io::new(), |builder| builder);
    let mut client = Client::open_websocket(abused.server.local_addr());
    let mut stream = client.stream();
    let asks = thread::spawn(move || {
        for n in 0..ASKED {
            stream.write_all(&Client::frame(&format!("40/n/{n},"))).unwrap();
        }
    });
    let (mut connected, mut refused) = (0, 0);
    for n in 0..ASKED {
        let text = client.text();
        match text.starts_with("40/n/") {
            true => connected += 1,
            false => {
                assert!(text.ends_with(r#",{"message":"too many namespaces"}"#), "{text}");
                refused += 1;
            }
        }
        if n % 1000 == 0 {
            abused.still_serves();
        }
    }
    asks.join().unwrap();
    assert_eq!((connected, refused), (ALLOWED, ASKED - ALLOWED));
    // Requests that are unread, and responses that are queued, with what each counts for.
    let limits = Limits::default();
    abused.heap.assert_peak(ALLOWED * SOCKET + limits.max_unread + limits.max_queued + kept(2));
    // Those that it has work.
    client.send(r#"42/n/7,["say",1]"#);
    assert_eq!(client.text(), r#"42/n/7,["say",1]"#);
    drop(client);
    until("the end of the namespaces", || {
        (0..ALLOWED).all(|n| abused.io.find(&format!("/n/{n}")).is_none())
    });
    abused.end(2);
}

fn client_that_asks_without_reading_is_closed<R: Host>() {
    let limits = Limits::default();
    let mut abused = Abused::start::<R>(Io::new(), |builder| builder);
    let client = Client::open_websocket(abused.server.local_addr());
    let asks: Vec<_> = (0..1000).flat_map(|n| Client::frame(&format!("40/nobody/{n},"))).collect();
    let mut stream = client.stream();
    // More than the queue has room for, by what a message counts for alone.
    for _ in 0..2 * limits.max_queued / Limits::MESSAGE_OVERHEAD / 1000 {
        if stream.write_all(&asks).is_err() {
            break;
        }
        abused.still_serves();
    }
    until("the end of its session", || abused.server.sessions() == 1);
    abused.heap.assert_peak(2 * (limits.max_unread + limits.max_queued) + kept(2));
    drop((client, stream));
    abused.end(2);
}

fn namespaces_of_a_pattern_are_limited_for_all_clients_together<R: Host>() {
    const CLIENTS: usize = 20;
    const EACH: usize = 64;
    const ALLOWED: usize = 1000;
    let io = Io::builder().max_children(ALLOWED).build();
    let mut abused = Abused::start::<R>(io, |builder| builder);
    let mut clients: Vec<_> =
        (0..CLIENTS).map(|_| Client::open_websocket(abused.server.local_addr())).collect();
    let mut connected = 0;
    for (c, client) in clients.iter_mut().enumerate() {
        let asks = (0..EACH).flat_map(|n| Client::frame(&format!("40/n/{c}-{n},")));
        client.write(asks.collect::<Vec<_>>());
    }
    for client in &mut clients {
        for _ in 0..EACH {
            let text = client.text();
            match text.starts_with("40/n/") {
                true => connected += 1,
                false => assert!(text.ends_with(r#",{"message":"Invalid namespace"}"#), "{text}"),
            }
        }
        abused.still_serves();
    }
    assert_eq!(connected, ALLOWED);
    // As much again for the namespace of each.
    abused.heap.assert_peak(ALLOWED * 2 * SOCKET + kept(CLIENTS));
    drop(clients);
    until("the end of the namespaces", || {
        let mut names = (0..CLIENTS).flat_map(|c| (0..EACH).map(move |n| format!("/n/{c}-{n}")));
        names.all(|name| abused.io.find(&name).is_none())
    });
    // There is room for others.
    let mut client = Client::open_websocket(abused.server.local_addr());
    client.send("40/n/new,");
    assert!(client.text().starts_with("40/n/new,{"));
    drop(client);
    abused.end(CLIENTS);
}

fn thousand_clients_that_vanish_while_they_connect_leave_nothing<R: Host>() {
    const CLIENTS: usize = 1000;
    allow_open_files(FILES);
    let mut abused = Abused::start::<R>(Io::new(), |builder| builder);
    let mut opening = Client::upgrade("").into_bytes();
    for text in ["40", "40/a,", "40/n/1,", "40/nobody,", r#"42["join",0,5]"#] {
        opening.extend(Client::frame(text));
    }
    let mut random = Random::new(2);
    let mut clients = Vec::new();
    for n in 0..CLIENTS {
        let client = Client::connect(abused.server.local_addr());
        // Any part of it, most of them all.
        let sent = opening.len().min(random.below(2 * opening.len()));
        try_write(&client, &opening[..sent]);
        if random.below(2) == 0 {
            client.pull_the_plug();
        }
        clients.push(client);
        if n % 100 == 99 {
            abused.still_serves();
        }
        // Some go at once, the others all together.
        if random.below(2) == 0 {
            drop(clients.swap_remove(random.below(clients.len())));
        }
    }
    abused.heap.assert_peak(CLIENTS * 4 * SOCKET + kept(CLIENTS));
    drop(clients);
    abused.end(CLIENTS);
}

fn thousand_sockets_that_vanish_leave_nothing<R: Host>() {
    const CLIENTS: usize = 1000;
    allow_open_files(FILES);
    let mut abused = Abused::start::<R>(Io::new(), |builder| builder);
    for round in 0..2 {
        let mut clients = connect_all(&abused.server, CLIENTS);
        for (n, client) in clients.iter_mut().enumerate() {
            client.send(&format!(r#"421["join",{n},{}]"#, n + 3));
            // Asked for, and never acknowledged.
            client.send(r#"42["ask",1,3600000]"#);
        }
        for client in &mut clients {
            let text = client.text();
            assert!(text.starts_with("431["), "{text}");
        }
        abused.still_serves();
        assert_eq!(abused.io.namespace("/").len(), CLIENTS + 1);
        assert_eq!(
            soon("a broadcast", abused.io.to("room 000500").emit("n", &())).unwrap().sockets,
            3
        );
        for client in clients {
            if round == 0 {
                client.pull_the_plug();
            }
        }
        until("one member", || abused.io.namespace("/").len() == 1);
    }
    // Its rooms, and an acknowledgement that it owes.
    abused.heap.assert_peak(CLIENTS * (SOCKET + 3 * 300 + 1000) + kept(CLIENTS));
    abused.end(CLIENTS);
}
