//! How clients come into namespaces: at once, late, never.

use super::*;

#[test]
fn accepted_client_has_its_id_before_anything_that_is_emitted() {
    let mut world = World::new();
    world.accepts = false;
    let on = world.open();
    world.says(on, r#"0{"token":1}"#);
    assert_eq!(world.seen(), [r#"#1 asks / {"token":1}"#]);
    let key = world.asking[0];
    assert_eq!((world.hub.id(key), world.hub.is_connected(key)), (None, false));
    assert!(world.hub.emit(key, "early", &()).is_err());

    assert!(world.hub.accept(world.now, key));
    world.hub.emit(key, "hello", &(1, "é")).unwrap();
    let id = world.hub.id(key).unwrap().to_string();
    assert_eq!(world.messages(on), [format!(r#"0{{"sid":"{id}"}}"#), r#"2["hello",1,"é"]"#.into()]);
    assert!(world.hub.is_connected(key));
    assert_eq!(world.hub.namespace(key), Some("/"));
    assert_eq!(world.hub.auth(key).and_then(Payload::as_json), Some(r#"{"token":1}"#));
    assert_eq!(world.hub.handshake(key).map(|head| head.path()), Some("/socket.io/"));
    assert!(!world.hub.accept(world.now, key), "only the first response counts");
    assert!(!world.hub.refuse(world.now, key, &"no".into()));
    world.end();
}

#[test]
fn hub_shows_its_numbers_and_no_secret() {
    let mut world = World::new();
    let peer = world.connect("/");
    let shown = format!("{:?}", world.hub);
    assert!(shown.starts_with("Hub { engine: "), "{shown}");
    assert!(shown.ends_with("sockets: 1, namespaces: 1, .. }"), "{shown}");
    let sid = world.hub.session(peer.key).unwrap().sid();
    assert!(!shown.contains(sid.as_str()), "{shown}");
    world.end();
}

#[test]
fn refused_client_is_told_why_and_leaves_nothing() {
    let mut world = World::new();
    world.accepts = false;
    let on = world.open();
    world.says(on, "0/secret,");
    let error = ConnectError::new("not authorized").with_data(&1);
    assert!(world.hub.refuse(world.now, world.asking[0], &error));
    assert_eq!(world.take(on), r#"4/secret,{"message":"not authorized","data":1}"#);
    assert!(!world.hub.refuse(world.now, world.asking[0], &error));
    assert!(!world.hub.accept(world.now, world.asking[0]));
    assert_eq!((world.hub.len(), world.hub.namespaces().count()), (0, 0));

    // It may ask again.
    world.says(on, "0/secret,");
    assert!(world.hub.accept(world.now, world.asking[1]));
    assert!(world.take(on).starts_with("0/secret,{"));
    world.end();
}

#[test]
fn response_that_comes_late_reaches_a_client_that_waits() {
    let mut world = World::new();
    world.accepts = false;
    let on = world.open();
    world.says(on, "0");
    world.pass(10 * SECOND);
    assert_eq!(world.messages(on), [""; 0]);
    assert!(world.hub.accept(world.now, world.asking[0]));
    assert!(world.take(on).starts_with("0{"));
    world.end();
}

#[test]
fn client_that_no_longer_waits_is_cancelled() {
    let mut world = World::new();
    world.accepts = false;
    let (left, lost) = (world.open(), world.open());
    world.says(left, "0");
    world.says(lost, "0");
    world.seen();
    world.says(left, "1");
    world.lose(lost);
    assert_eq!(world.seen(), ["#1 cancelled", "#2 cancelled"]);
    assert!(world.asking.iter().all(|&key| !world.hub.accept(world.now, key)));
    assert_eq!((world.hub.len(), world.hub.namespaces().count()), (0, 0));
    world.end();
}

#[test]
fn client_that_asks_nothing_is_closed_at_its_deadline() {
    let mut world = World::with(|config| config.connection.connect_timeout = SECOND);
    let on = world.open();
    world.pass(SECOND);
    assert_eq!(world.messages(on).last().unwrap(), "88");
    world.end();
}

#[test]
fn two_namespaces_share_a_session_and_nothing_else() {
    let mut world = World::new();
    let main = world.connect("/");
    let chat = world.connect_on(main.on, "/chat");
    assert_ne!(world.hub.id(main.key), world.hub.id(chat));
    assert_eq!(world.hub.namespaces().collect::<Vec<_>>(), ["/", "/chat"]);
    world.hub.join(main.key, "room");

    world.hub.broadcast("/chat", &Target::all(), "a", &()).unwrap();
    world.hub.broadcast("/chat", &Target::all().to("room"), "b", &()).unwrap();
    world.hub.broadcast("/", &Target::all().to("room"), "c", &()).unwrap();
    world.hub.broadcast("/other", &Target::all(), "d", &()).unwrap();
    assert_eq!(world.messages(main.on), [r#"2/chat,["a"]"#, r#"2["c"]"#]);

    world.says(main.on, r#"2/chat,["x"]"#);
    world.says(main.on, r#"2["y"]"#);
    assert_eq!(world.seen(), [r#"#2 ["x"]"#, r#"#1 ["y"]"#]);
    world.says(main.on, "1/chat,");
    assert_eq!(world.seen(), ["#2 left []: client namespace disconnect"]);
    assert_eq!(world.hub.namespaces().collect::<Vec<_>>(), ["/"]);
    assert!(world.hub.is_connected(main.key));
    world.end();
}

#[test]
fn client_of_socket_io_2_is_asked_for_without_a_packet() {
    let mut world = World::with(|config| config.engine.protocol.allow_eio3 = true);
    let on = world.open_with("EIO=3");
    assert_eq!(world.seen(), ["#1 asks /"]);
    let key = world.hub.sockets.last().unwrap();
    let sid = world.hub.session(key).unwrap().sid();
    assert_eq!(world.hub.id(key).unwrap(), sid.as_str());
    // The packet that opens the session stands before it.
    world.says(on, r#"2["hello"]"#);
    assert_eq!(world.seen(), [r#"#1 ["hello"]"#]);
    world.says(on, "0/chat?token=1,");
    assert_eq!(world.seen(), [r##"#2 asks /chat {"token":"1"}"##]);
    let chat = world.hub.sockets.last().unwrap();
    assert_eq!(world.hub.id(chat).unwrap().as_str(), format!("/chat#{}", sid.as_str()));
    world.end();
}

#[test]
fn client_that_is_refused_while_another_namespace_waits_goes_on() {
    let mut world = World::new();
    world.accepts = false;
    let on = world.open();
    world.says(on, "0/a,");
    world.says(on, "0/b,");
    assert!(world.hub.refuse(world.now, world.asking[0], &"no".into()));
    assert!(world.hub.accept(world.now, world.asking[1]));
    let messages = world.messages(on);
    assert_eq!(messages[0], r#"4/a,{"message":"no"}"#);
    assert!(messages[1].starts_with("0/b,{"));
    world.end();
}
