//! Rooms without number, and acknowledgements of any number.

use enginewire_driver::socketio::Io;
use enginewire_tests::{client::soon, random::Random};

use crate::{Abused, Host, SOCKET, connect, connect_all, kept};

on_every_runtime!(
    ten_thousand_rooms_of_a_client_cost_what_their_names_do,
    numbers_of_acknowledgements_may_be_of_any_size,
    questions_that_are_never_answered_leave_nothing,
);

fn ten_thousand_rooms_of_a_client_cost_what_their_names_do<R: Host>() {
    const ROOMS: usize = 10_000;
    /// The entries of a room and of a membership, in lists that grow by doubling, and the name.
    const ROOM: usize = 400;
    let mut abused = Abused::start::<R>(Io::new(), |builder| builder);
    let mut client = connect(&abused.server);
    let before = abused.heap.live();
    for round in 0..2 {
        client.send(&format!(r#"421["join",0,{ROOMS}]"#));
        abused.still_serves();
        assert_eq!(client.text(), "431[0]");
        let each = abused.heap.live().saturating_sub(before) / ROOMS;
        assert!(each <= ROOM, "{each} bytes for a room");
        // A broadcast to all of them comes once.
        let rooms: Vec<_> = (0..ROOMS).map(|n| format!("room {n:06}")).collect();
        let all = soon("a broadcast", abused.io.to(&rooms).emit("all", &round)).unwrap();
        assert_eq!(all.sockets, 1);
        let one = soon("a broadcast", abused.io.to("room 009999").emit("one", &round)).unwrap();
        assert_eq!(one.sockets, 1);
        assert_eq!(client.text(), format!(r#"42["all",{round}]"#));
        assert_eq!(client.text(), format!(r#"42["one",{round}]"#));
        drop(rooms);
        if round == 0 {
            client.send(&format!(r#"422["leave",0,{ROOMS}]"#));
            assert_eq!(client.text(), "432[0]");
            let left = abused.heap.live().saturating_sub(before);
            assert!(left <= kept(2), "{left} bytes are left of rooms that nobody is in");
        }
    }
    // It goes as it is.
    drop(client);
    abused.end(2);
}

fn numbers_of_acknowledgements_may_be_of_any_size<R: Host>() {
    let mut abused = Abused::start::<R>(Io::new(), |builder| builder);
    let mut client = connect(&abused.server);
    // The server waits for its number 0 all the while.
    client.send(r#"42["ask",1,3600000]"#);
    assert_eq!(client.text(), r#"420["question",0]"#);
    let mut other = connect(&abused.server);
    let mut power = String::from("1");
    while power.len() <= 21 {
        for id in [power.clone(), "9".repeat(power.len())] {
            other.send(&format!(r#"42{id}["say",1]"#));
            let text = other.text();
            let back = text.strip_prefix("43").and_then(|text| text.strip_suffix("[1]")).unwrap();
            // As clients of JavaScript compare them.
            let [back, id] = [back, &id].map(|id| id.parse::<f64>().unwrap());
            assert_eq!(back.to_bits(), id.to_bits(), "{text}");
            // Nobody waits for these.
            other.send(&format!("43{id:.0}[1]"));
            client.send(&format!("43{}[]", id + 1.0));
        }
        power.push('0');
    }
    let mut random = Random::new(3);
    for n in 0..10_000 {
        let id = random.below(usize::MAX).max(1);
        other.send(&format!("43{id}{:06}[{n}]", random.below(1_000_000)));
        if n % 1000 == 0 {
            abused.still_serves();
        }
    }
    other.send(r#"427["say",1]"#);
    assert_eq!(other.text(), "437[1]");
    abused.heap.assert_peak(3 * SOCKET + kept(3));
    // The question is still there.
    client.send("430[5]");
    client.send(r#"428["say",1]"#);
    assert_eq!(client.text(), "438[1]");
    drop((client, other));
    abused.end(3);
}

fn questions_that_are_never_answered_leave_nothing<R: Host>() {
    const QUESTIONS: u32 = 50;
    const CLIENTS: usize = 20;
    let mut abused = Abused::start::<R>(Io::new(), |builder| builder);
    let mut clients = connect_all(&abused.server, CLIENTS);
    let mut held = Vec::new();
    for _ in 0..4 {
        for client in &mut clients {
            client.send(&format!(r#"421["ask",{QUESTIONS},1]"#));
        }
        for client in &mut clients {
            for _ in 0..QUESTIONS {
                assert!(client.text().contains(r#"["question","#));
            }
            assert_eq!(client.text(), format!("431[{QUESTIONS}]"));
        }
        abused.still_serves();
        held.push(abused.heap.live());
    }
    // Questions that have expired are not among what is held: it does not grow.
    let [first, .., last] = held[..] else { panic!("{held:?}") };
    assert!(last <= first + kept(CLIENTS), "{held:?}");
    abused.heap.assert_peak((CLIENTS + 1) * (SOCKET + 1000) + kept(CLIENTS));
    drop(clients);
    abused.end(CLIENTS);
}
