//! Rooms, and the order in which broadcasts reach their members.

use super::*;
use crate::{
    Spread,
    parser::{EnumEvent, NamedEvent},
};

#[test]
fn broadcast_reaches_each_member_once() {
    let mut world = World::new();
    let peers: Vec<_> = (0..3).map(|_| world.connect("/")).collect();
    let [a, b, c] = [0, 1, 2].map(|index| peers[index]);
    assert!(world.hub.join(a.key, "x") && world.hub.join(a.key, "y") && world.hub.join(b.key, "y"));
    assert!(!world.hub.join(a.key, "x"));
    let (x, y) = (Target::all().to("x"), Target::all().to("x").to("y"));
    assert_eq!(world.hub.sockets("/", &x), [a.key]);

    let delivered = world.hub.broadcast("/", &y, "both", &()).unwrap();
    assert_eq!(delivered, Delivered { sockets: 2, ..Delivered::default() });
    let id = world.hub.id(a.key).unwrap().clone();
    world.hub.broadcast("/", &y.except(&id), "others", &()).unwrap();
    world.hub.broadcast("/", &Target::all().to(&id), "one", &()).unwrap();
    let delivered = world.hub.broadcast("/", &Target::all().to("none"), "none", &()).unwrap();
    assert_eq!(delivered, Delivered::default());
    assert_eq!(world.messages(a.on), [r#"2["both"]"#, r#"2["one"]"#]);
    assert_eq!(world.messages(b.on), [r#"2["both"]"#, r#"2["others"]"#]);
    assert_eq!(world.messages(c.on), [""; 0]);
    world.end();
}

#[test]
fn left_room_is_not_reached_and_rooms_are_told_at_the_end() {
    let mut world = World::new();
    let peer = world.connect("/");
    world.hub.join(peer.key, "a");
    world.hub.join(peer.key, "b");
    assert!(world.hub.leave(peer.key, "a"));
    assert!(!world.hub.leave(peer.key, "a"));
    assert_eq!(world.hub.rooms(peer.key).map(Room::as_str).collect::<Vec<_>>(), ["b"]);
    world.hub.broadcast("/", &Target::all().to("a"), "a", &()).unwrap();
    world.hub.broadcast("/", &Target::all().to("b"), "b", &()).unwrap();
    assert_eq!(world.take(peer.on), r#"2["b"]"#);
    world.lose(peer.on);
    assert_eq!(world.seen(), [r##"#1 left ["b"]: transport error"##]);
    assert!(!world.hub.join(peer.key, "a"), "its key is stale");
    world.end();
}

#[test]
fn rooms_of_a_namespace_are_listed_with_their_sizes() {
    let mut world = World::new();
    let peers: Vec<_> = (0..2).map(|_| world.connect("/")).collect();
    let chat = world.connect_on(peers[0].on, "/chat");
    for (key, room) in [(peers[0].key, "b"), (peers[1].key, "b"), (peers[0].key, "a"), (chat, "c")]
    {
        assert!(world.hub.join(key, room));
    }
    let listed = |world: &World, namespace: &str| -> Vec<(String, usize)> {
        let rooms = world.hub.rooms_of(namespace);
        rooms.map(|(room, len)| (room.as_str().into(), len)).collect()
    };
    assert_eq!(listed(&world, "/"), [("b".into(), 2), ("a".into(), 1)]);
    assert_eq!(listed(&world, "/chat"), [("c".into(), 1)]);
    assert_eq!(listed(&world, "/none"), []);
    assert_eq!(
        [("/", "b"), ("/", "c"), ("/none", "b")].map(|(of, room)| world.hub.room_len(of, room)),
        [2, 0, 0]
    );
    let id = world.hub.id(peers[0].key).unwrap().clone();
    assert_eq!(world.hub.room_len("/", &id), 1, "its own room, which is not listed");
    world.says(peers[0].on, "1");
    assert_eq!(listed(&world, "/"), [("b".into(), 1)]);
    world.end();
}

#[test]
fn all_sockets_get_broadcasts_and_events_in_the_order_of_the_calls() {
    let mut world = World::new();
    let (a, b) = (world.connect("/"), world.connect("/"));
    for n in 0..3 {
        world.hub.broadcast("/", &Target::all(), "n", &n).unwrap();
        world.hub.emit(a.key, "mine", &n).unwrap();
    }
    let both: Vec<_> =
        (0..3).flat_map(|n| [format!(r#"2["n",{n}]"#), format!(r#"2["mine",{n}]"#)]).collect();
    assert_eq!(world.messages(a.on), both);
    assert_eq!(world.messages(b.on), [0, 1, 2].map(|n| format!(r#"2["n",{n}]"#)));
    world.end();
}

#[test]
fn event_is_forwarded_as_it_came_with_its_attachments() {
    let mut world = World::new();
    let (a, b) = (world.connect("/"), world.connect("/chat"));
    world.says(a.on, r#"51-["photo",{"of":{"_placeholder":true,"num":0}}]"#);
    world.says_binary(a.on, b"png");
    let (from, event) = world.events.pop().unwrap();
    assert_eq!(from, a.key);
    world.hub.forward_to("/chat", &Target::all(), &event).unwrap();
    world.hub.forward(a.key, &event).unwrap();
    let text = r#"["photo",{"of":{"_placeholder":true,"num":0}}]"#;
    assert_eq!(world.messages(b.on), [format!("51-/chat,{text}"), "<png>".into()]);
    assert_eq!(world.messages(a.on), [format!("51-{text}"), "<png>".into()]);
    world.end();
}

#[test]
fn events_of_all_kinds_are_encoded() {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "kebab-case")]
    enum Move {
        Jump,
        Walk(u8, u8),
        Rename { name: &'static str },
        Photo(crate::Attachment),
    }

    let mut world = World::new();
    let peer = world.connect("/");
    world.hub.emit_event(peer.key, &Move::Jump).unwrap();
    world.hub.emit_event(peer.key, &Move::Walk(1, 2)).unwrap();
    world.hub.emit_event(peer.key, &Move::Rename { name: "b" }).unwrap();
    let photo = Move::Photo(crate::Attachment::new(0));
    world.hub.send(peer.key, &EnumEvent::new(&photo).attach(&b"png"[..])).unwrap();
    let photo = crate::Attachment::new(0);
    let named = NamedEvent::new("photo", &photo).attach(&b"gif"[..]);
    world.hub.publish("/", &Target::all(), &named).unwrap();
    world.hub.emit(peer.key, "list", &Spread(&[1, 2])).unwrap();
    assert!(world.hub.emit(peer.key, "connect", &()).is_err(), "the name is reserved");
    assert!(world.hub.broadcast("/", &Target::all(), "connect", &()).is_err());
    let placeholder = r#"{"_placeholder":true,"num":0}"#;
    assert_eq!(
        world.messages(peer.on),
        [
            r#"2["jump"]"#.into(),
            r#"2["walk",1,2]"#.into(),
            r#"2["rename",{"name":"b"}]"#.into(),
            format!(r#"51-["photo",{placeholder}]"#),
            "<png>".into(),
            format!(r#"51-["photo",{placeholder}]"#),
            "<gif>".into(),
            r#"2["list",1,2]"#.into(),
        ]
    );
    world.end();
}

#[test]
fn event_with_more_attachments_than_clients_take_is_refused_before_it_is_sent() {
    let mut world = World::new();
    let peer = world.connect("/");
    let parts = [const { bytes::Bytes::from_static(b"x") }; 11];
    assert!(matches!(world.hub.emit(peer.key, "n", &parts[..]), Err(EmitError::Encode(_))));
    assert!(world.hub.broadcast("/", &Target::all(), "n", &parts[..]).is_err());
    world.says(peer.on, r#"27["ask"]"#);
    let refused = world.hub.acknowledge(peer.key, crate::AckId(7), &parts[..]);
    assert!(matches!(refused, Err(EmitError::Encode(_))));
    world.hub.emit(peer.key, "n", &parts[1..]).unwrap();
    assert_eq!(world.messages(peer.on).len(), 11, "ten are as many as a client takes");
    // One that sends to other clients may allow more.
    let mut world = World::with(|config| config.connection.limits.max_attachments = 11);
    let peer = world.connect("/");
    world.hub.emit(peer.key, "n", &parts[..]).unwrap();
    assert_eq!(world.messages(peer.on).len(), 12);
    world.end();
}
