//! Channels that a node listens to, and those of its messages.

use super::{super::Subscription, broker::matches, *};

fn names(commands: &[Command]) -> Vec<String> {
    commands
        .iter()
        .map(|command| match command {
            Command::Subscribe(subscription) => format!("+{}", subscription.name()),
            Command::Unsubscribe(subscription) => format!("-{}", subscription.name()),
            Command::Publish { channel, .. } => format!("!{channel}"),
            Command::Append { stream, .. } => format!(">{stream}"),
            Command::Count { channel, .. } => format!("?{channel}"),
            Command::Fetch { channel, .. } => format!("<{channel}"),
            log => format!("{log:?}"),
        })
        .collect()
}

/// The commands of a node that is connected, behind `inputs`.
fn behind(config: WireConfig, inputs: impl FnOnce(&mut Wire)) -> Vec<String> {
    let mut wire = Wire::new(config, 1);
    wire.handle_connected(at(0), true);
    inputs(&mut wire);
    names(&commands(&mut wire))
}

fn exists(wire: &mut Wire, name: &str, exists: bool) {
    wire.handle_namespace(at(0), &namespace(name), exists);
}

#[test]
fn namespace_has_the_channels_of_its_format() {
    let uid = super::super::ids::Ids::new(1).uid("/a", 0);
    let expected = |config| behind(config, |wire| exists(wire, "/a", true));
    assert_eq!(
        expected(classic()),
        [
            "+socket.io-request#/a#",
            "+socket.io-response#/a#",
            &format!("+socket.io-response#/a#{uid}#"),
            "+socket.io#/a#*",
        ]
    );
    let own = format!("+socket.io#/a#{uid}#");
    assert_eq!(expected(sharded(SubscriptionMode::Static)), ["+socket.io#/a#", &own]);
    assert_eq!(expected(streams()), ["+socket.io#/a#", &own, "+socket.io"]);
    assert_eq!(expected(heartbeats()), ["+socket.io#/a", "!socket.io#/a"]);
}

#[test]
fn nothing_is_subscribed_to_before_the_broker_is_connected_and_all_behind_it() {
    for config in configs() {
        let mut wire = Wire::new(config.clone(), 1);
        exists(&mut wire, "/a", true);
        assert_eq!(commands(&mut wire), []);
        wire.handle_connected(at(0), true);
        let first = names(&commands(&mut wire));
        wire.handle_connected(at(1), false);
        exists(&mut wire, "/b", true);
        exists(&mut wire, "/b", false);
        assert_eq!(commands(&mut wire), []);
        wire.handle_connected(at(2), true);
        assert_eq!(names(&commands(&mut wire)), first);
        assert!(first.len() >= 2, "{first:?}");
        exists(&mut wire, "/a", false);
        let ends =
            names(&commands(&mut wire)).into_iter().filter(|name| name.starts_with('-')).count();
        assert_eq!(ends, first.iter().filter(|name| name.starts_with('+')).count());
    }
}

#[test]
fn namespace_that_is_told_twice_is_subscribed_to_once() {
    for config in configs() {
        let once = behind(config.clone(), |wire| exists(wire, "/a", true));
        let twice = behind(config, |wire| {
            exists(wire, "/a", true);
            exists(wire, "/a", true);
        });
        assert_eq!(once, twice);
    }
}

#[test]
fn globs_in_names_are_escaped() {
    let name = r"/a*b?c[d]e\f";
    let config = WireConfig { prefix: "p[1]".into(), ..classic() };
    let Subscription::Pattern(glob) = config.pattern(name) else { panic!() };
    assert!(matches(glob.as_bytes(), format!("p[1]#{name}#room#").as_bytes()));
    for other in [
        "p1#/a*b?c[d]e\\f#",
        "p[1]#/axb?c[d]e\\f#",
        "p[1]#/a*bxc[d]e\\f#",
        "p[1]#/a*b?cde\\f#",
        "p[1]#/a*b?c[d]ef#",
    ] {
        assert!(!matches(glob.as_bytes(), other.as_bytes()), "{other}");
    }
}

#[test]
fn pattern_that_another_one_covers_is_not_subscribed_to() {
    let patterns = |names: Vec<String>| {
        names.into_iter().filter(|name| name.ends_with('*')).collect::<Vec<_>>()
    };
    let commands = behind(classic(), |wire| {
        exists(wire, "/a#b", true);
        exists(wire, "/a#b#c", true);
        exists(wire, "/ab", true);
        exists(wire, "/a", true);
        exists(wire, "/a#b", false);
        exists(wire, "/a", false);
    });
    assert_eq!(
        patterns(commands),
        [
            "+socket.io#/a#b#*",
            "+socket.io#/ab#*",
            "+socket.io#/a#*",
            "-socket.io#/a#b#*",
            "+socket.io#/a#b#c#*",
            "-socket.io#/a#*",
        ]
    );
}

#[test]
fn message_of_a_namespace_is_heard_while_one_around_it_comes_and_goes() {
    let mut wire = node(classic(), 1);
    let mut patterns = Vec::new();
    for (step, (name, now)) in
        [("/a#b", true), ("/a", true), ("/a", false), ("/a#b", false)].into_iter().enumerate()
    {
        exists(&mut wire, name, now);
        for command in commands(&mut wire) {
            match command {
                Command::Subscribe(Subscription::Pattern(glob)) => patterns.push(glob),
                Command::Unsubscribe(Subscription::Pattern(glob)) => {
                    patterns.retain(|pattern| *pattern != glob);
                }
                _ => {}
            }
            let is_heard =
                patterns.iter().any(|glob| matches(glob.as_bytes(), b"socket.io#/a#b#room#"));
            assert!(is_heard || !(1..=2).contains(&step), "{patterns:?}");
        }
    }
    assert_eq!(patterns.len(), 0);
}

#[test]
fn message_of_a_namespace_within_the_channel_of_another_is_not_taken_for_one_of_that() {
    for config in [classic(), sharded(SubscriptionMode::Dynamic), streams()] {
        let mut other = Wire::new(config.clone(), 9);
        other.handle_connected(at(0), true);
        exists(&mut other, "/a#b", true);
        let mut wire = Wire::new(config, 1);
        exists(&mut wire, "/a", true);
        for operation in [hi(), fetch(1)] {
            other.send(at(0), Message { namespace: namespace("/a#b"), ..message(operation) });
        }
        let mut published = 0;
        for command in commands(&mut other) {
            match command {
                Command::Publish { channel, message, .. } => {
                    wire.handle_published(at(0), &channel, message);
                }
                Command::Append { stream, fields, .. } => {
                    let fields: Vec<_> =
                        fields.iter().map(|(name, value)| (*name, &**value)).collect();
                    wire.handle_entry(at(0), &stream, "1-0", &fields);
                }
                _ => continue,
            }
            published += 1;
        }
        assert_eq!((published, events(&mut wire).len()), (2, 0));
    }
}

#[test]
fn message_of_a_namespace_within_the_channel_of_another_is_heard_once() {
    let mut sender = Wire::new(classic(), 9);
    for (name, room) in [("/a#b", None), ("/a", Some("b"))] {
        let target = room.map_or(Target::all(), |room| Target::all().to(room));
        let operation = Operation::Broadcast(emit(target, Args::event("hi", &1).unwrap()));
        sender.send(at(0), Message { namespace: namespace(name), ..message(operation) });
        let Some(Command::Publish { channel, message, .. }) = commands(&mut sender).pop() else {
            panic!()
        };
        assert_eq!(&*channel, "socket.io#/a#b#");
        let mut wire = node(classic(), 1);
        exists(&mut wire, "/a", true);
        exists(&mut wire, "/a#b", true);
        wire.handle_published(at(0), &channel, message);
        let all = events(&mut wire);
        let [WireEvent::Message { namespace, .. }] = &*all else { panic!("{all:?}") };
        assert_eq!(&**namespace, name);
    }
}

#[test]
fn room_has_a_channel_by_the_rule_of_the_publisher() {
    use SubscriptionMode::{Dynamic, DynamicPrivate, Static};
    let twenty = "abcdefghijklmnopqrst";
    // In UTF-16 it has twenty units.
    let wide = "\u{1f600}".repeat(10);
    for (mode, room, has) in [
        (Static, "r1", false),
        (Dynamic, "r1", true),
        (DynamicPrivate, "r1", true),
        (Dynamic, twenty, false),
        (DynamicPrivate, twenty, true),
        (Dynamic, &wide, false),
        (Dynamic, "/chat#abcdefghijklmnopqrst", true),
        (Dynamic, "", true),
    ] {
        let channel = format!("socket.io#/#{room}#");
        let mut wire = node(sharded(mode), 1);
        let (on, _) = published(
            &mut wire,
            Operation::Broadcast(emit(Target::all().to(room), Args::event("x", &1).unwrap())),
        );
        assert_eq!(&*on, if has { &channel } else { "socket.io#/#" }, "{mode:?} {room}");
        wire.handle_room(at(0), "/", &room.into(), true);
        wire.handle_room(at(0), "/", &room.into(), true);
        wire.handle_room(at(0), "/", &room.into(), false);
        let expected =
            if has { vec![format!("+{channel}"), format!("-{channel}")] } else { vec![] };
        assert_eq!(names(&commands(&mut wire)), expected, "{mode:?} {room}");
    }
}

#[test]
fn only_broadcasts_to_one_room_without_acknowledgements_go_to_its_channel() {
    let event = || Args::event("x", &1).unwrap();
    let one = Target::all().to("r1");
    let asking = Broadcast { request: Some(RequestId(1)), ..emit(one.clone(), event()) };
    for (operation, is_alone) in [
        (Operation::Broadcast(emit(one.clone().except("r2"), event())), true),
        (Operation::Broadcast(emit(one.clone().to("r2"), event())), false),
        (Operation::Broadcast(asking), false),
        (Operation::Join { target: one.clone(), rooms: vec![] }, false),
        (Operation::Disconnect { target: one, close: false }, false),
    ] {
        let (channel, _) = published(&mut node(sharded(SubscriptionMode::Dynamic), 1), operation);
        assert_eq!(&*channel == "socket.io#/#r1#", is_alone);
    }
}

#[test]
fn channel_of_a_room_stays_while_a_namespace_has_the_same() {
    let config = sharded(SubscriptionMode::Dynamic);
    let commands = behind(config, |wire| {
        exists(wire, "/a", true);
        exists(wire, "/a#b", true);
        wire.handle_room(at(0), "/a", &"b".into(), true);
        exists(wire, "/a#b", false);
        wire.handle_room(at(0), "/a", &"b".into(), false);
    });
    let same = commands.iter().filter(|name| name.ends_with("#/a#b#")).collect::<Vec<_>>();
    assert_eq!(same, ["+socket.io#/a#b#", "-socket.io#/a#b#"]);
    assert_eq!(commands.last(), Some(&"-socket.io#/a#b#".into()), "behind the last reason");
}

#[test]
fn stream_of_a_namespace_has_the_index_of_the_reference() {
    let config = StreamsConfig { streams: 4, ..StreamsConfig::default() };
    // By Node.js, with the function of the adapter.
    for (name, stream) in [
        ("/", "socket.io-3"),
        ("/admin", "socket.io-0"),
        ("/chat", "socket.io-3"),
        ("/notifications", "socket.io--3"),
        ("/dashboard", "socket.io--3"),
        ("/\u{1f600}", "socket.io-2"),
    ] {
        assert_eq!(&*config.stream(name), stream, "{name}");
    }
    let commands = behind(WireConfig::new(Format::Streams(config)), |wire| exists(wire, "/", true));
    let streams: Vec<_> =
        commands.iter().filter(|name| !name.contains('#')).map(|name| &**name).collect();
    assert_eq!(
        streams,
        [
            "+socket.io--3",
            "+socket.io--2",
            "+socket.io--1",
            "+socket.io-0",
            "+socket.io-1",
            "+socket.io-2",
            "+socket.io-3"
        ]
    );
}

#[test]
fn operations_go_to_the_stream_and_requests_to_the_channel() {
    for (operation, is_streamed) in [
        (hi(), true),
        (Operation::Join { target: Target::all(), rooms: vec!["r".into()] }, true),
        (Operation::Leave { target: Target::all(), rooms: vec!["r".into()] }, true),
        (Operation::Disconnect { target: Target::all(), close: true }, true),
        (fetch(1), false),
        (Operation::ServerSideEmit { event: Args::event("e", &1).unwrap(), request: None }, false),
    ] {
        let mut wire = node(streams(), 1);
        wire.send(at(0), message(operation));
        let first = names(&commands(&mut wire)).remove(0);
        assert_eq!(first, if is_streamed { ">socket.io" } else { "!socket.io#/#" });
    }
}

#[test]
fn namespace_with_too_long_a_channel_for_postgres_stays_on_the_node() {
    let mut wire = node(heartbeats(), 1);
    let longest = format!("/{}", "n".repeat(63 - "socket.io#/".len()));
    exists(&mut wire, &longest, true);
    assert_eq!(commands(&mut wire).len(), 2);
    let name = namespace(&format!("{longest}n"));
    wire.handle_namespace(at(0), &name, true);
    assert_eq!(commands(&mut wire), []);
    let error = fault(&mut wire);
    assert_eq!(error.blame, crate::cluster::wire::Blame::Application);
    assert!(
        format!("{error}")
            .ends_with("the name of the channel has 64 bytes, at most 63 are allowed"),
        "{error}"
    );
    wire.send(at(0), Message { namespace: Arc::clone(&name), ..message(fetch(7)) });
    assert_eq!(commands(&mut wire), []);
    let told = events(&mut wire);
    let [WireEvent::Faulty(_), WireEvent::Asked { request: RequestId(7), nodes: 0 }] = *told else {
        panic!("{told:?}");
    };
    // Nor is anything sent to it.
    wire.send(at(0), Message { namespace: name, ..message(hi()) });
    assert_eq!(commands(&mut wire), []);
    assert!(matches!(
        fault(&mut wire).fault,
        crate::cluster::wire::WireFault::Channel { size: 64, max: 63 }
    ));
}

#[test]
fn request_of_a_node_that_is_closed_waits_for_no_node() {
    for config in configs() {
        let mut wire = node(config, 1);
        wire.close(at(0));
        commands(&mut wire);
        events(&mut wire);
        wire.send(at(0), message(fetch(7)));
        let told = events(&mut wire);
        assert_eq!(commands(&mut wire), []);
        let [WireEvent::Asked { request: RequestId(7), nodes: 0 }] = *told else {
            panic!("{told:?}");
        };
    }
}

#[test]
fn debug_shows_neither_rooms_nor_contents() {
    let secret = "abcdefghijklmnopqrst";
    for config in configs() {
        let mut wire = node(config, 1);
        wire.handle_room(at(0), "/", &secret.into(), true);
        wire.send(
            at(0),
            message(Operation::Broadcast(emit(
                Target::all().to(secret),
                Args::event("e", secret).unwrap(),
            ))),
        );
        let shown = format!("{:?} {wire:?}", commands(&mut wire));
        assert!(!shown.contains(secret), "{shown}");
    }
}
