//! Clients that abuse the hub, beside one that is served all the while. At the end nothing is left.

use super::*;

/// The witness is served.
fn is_served(world: &mut World, witness: Peer) {
    world.events.clear();
    world.says(witness.on, r#"2["still",1]"#);
    assert_eq!(world.events.pop().map(|(key, _)| key), Some(witness.key));
    world.hub.emit(witness.key, "here", &2).unwrap();
    assert_eq!(world.messages(witness.on).last().unwrap(), r#"2["here",2]"#);
    world.seen.clear();
}

/// The same numbers each time (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 16) % n as u64).unwrap()
    }
}

#[test]
fn random_packets_harm_nobody_else() {
    let packets = [
        "0",
        "0/a,",
        r#"0/b,{"token":"x"}"#,
        "1",
        "1/a,",
        r#"2["say",1]"#,
        r#"212["say",{"a":[1,2]}]"#,
        r#"2/a,["say",[[[]]]]"#,
        "30[1]",
        "3/a,99999999999999999999[1,null]",
        r#"4{"message":"x"}"#,
        r#"51-["say",{"_placeholder":true,"num":0}]"#,
        r#"52-/a,7["say",{"num":1,"_placeholder":true}]"#,
        r#"61-0[{"_placeholder":true,"num":0}]"#,
    ];
    let mut world = World::new();
    let witness = world.connect("/");
    let mut random = Random(1);
    let mut on = world.open();
    for n in 0..5000 {
        let mut packet: Vec<_> = packets[random.below(packets.len())].bytes().collect();
        for _ in 0..random.below(3) {
            packet.extend(b"0");
            let at = random.below(packet.len());
            match random.below(3) {
                0 => packet[at] = b"-,/0159[]{}\"\\ "[random.below(14)],
                1 => packet.truncate(at),
                _ => packet.extend_from_within(at..),
            }
        }
        match random.below(5) {
            0 => world.says_binary(on, &packet),
            _ => world.says(on, core::str::from_utf8(&packet).unwrap()),
        }
        if world.wire(on).is_closed || random.below(20) == 0 {
            world.lose(on);
            on = world.open();
        }
        if n % 50 == 0 {
            is_served(&mut world, witness);
        }
    }
    world.end();
}

#[test]
fn flood_of_connects_gets_the_namespaces_that_are_allowed() {
    const ALLOWED: usize = 64;
    let mut world = World::new();
    let witness = world.connect("/");
    for client in 0..50 {
        let on = world.open();
        let answers: Vec<_> = (0..2 * ALLOWED)
            .map(|n| {
                world.says(on, &packet("0", &format!("/{client}/{n}"), ""));
                world.take(on)
            })
            .collect();
        assert!(answers[..ALLOWED].iter().all(|answer| answer.starts_with("0/")));
        assert!(
            answers[ALLOWED..].iter().all(|answer| answer.ends_with(r#""too many namespaces"}"#))
        );
        is_served(&mut world, witness);
    }
    assert_eq!(world.hub.len(), 50 * ALLOWED + 1);
    world.end();
}

#[test]
fn ten_thousand_rooms_of_one_socket_are_one_member() {
    let mut world = World::new();
    let (witness, peer) = (world.connect("/"), world.connect("/"));
    let rooms: Vec<_> = (0..10_000).map(|n| format!("room {n}")).collect();
    for room in &rooms {
        assert!(world.hub.join(peer.key, room));
    }
    let target = rooms.iter().fold(Target::all(), |target, room| target.to(&**room));
    let delivered = world.hub.broadcast("/", &target, "all", &()).unwrap();
    assert_eq!(delivered, Delivered { sockets: 1, ..Delivered::default() });
    assert_eq!(world.take(peer.on), r#"2["all"]"#);
    is_served(&mut world, witness);
    world.lose(peer.on);
    assert_eq!(world.hub.broadcast("/", &target, "all", &()).unwrap(), Delivered::default());
    world.end();
}

#[test]
fn thousand_sockets_that_stop_reading_are_disconnected_by_broadcasts() {
    const CLIENTS: usize = 1000;
    let mut world = World::with(|config| config.engine.protocol.limits.max_queued = 10_000);
    let witness = world.connect("/");
    let silent: Vec<_> = (0..CLIENTS).map(|_| world.connect("/")).collect();
    for peer in &silent {
        world.set_blocked(peer.on, true);
    }
    let text = "x".repeat(1000);
    let mut disconnected = 0;
    for n in 0..20 {
        disconnected +=
            world.hub.broadcast("/", &Target::all(), "n", &(n, &text)).unwrap().disconnected;
        assert!(world.take(witness.on).starts_with(&format!(r#"2["n",{n},"#)));
        is_served(&mut world, witness);
    }
    assert_eq!((disconnected, world.hub.len()), (CLIENTS, 1));
    world.end();
}
