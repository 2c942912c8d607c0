//! Requests to connect to namespaces, and the responses of servers.

use super::*;

#[test]
fn socket_is_connected_on_a_session_that_is_opened_for_it() {
    let mut world = World::new();
    let slot = world.manager.open("/", Auth::None).unwrap();
    assert!(world.events().is_empty() && !world.manager.is_active(slot));
    world.connect(slot);
    world.connect(slot);
    assert_eq!(world.events(), ["open"]);
    world.opened();
    assert_eq!(world.sent(), ["0"]);
    assert!(world.manager.is_active(slot) && !world.manager.is_connected(slot));
    world.server_sends(r#"0{"sid":"abc"}"#);
    assert_eq!(world.updates(slot), ["connected abc"]);
    assert_eq!(world.manager.id(slot).map(|id| id.as_str()), Some("abc"));
}

#[test]
fn namespaces_share_a_session_and_come_at_any_time() {
    let (mut world, root) = World::connected();
    let chat = world.socket("chat");
    assert_eq!((world.sent(), world.events()), (vec!["0/chat,".to_string()], vec![]));
    world.server_sends("2[\"a\"]");
    world.server_connects("/chat");
    world.server_sends("2/chat,[\"b\",1]");
    assert_eq!(world.updates(root), [r#"1:["a"]"#]);
    assert_eq!(world.updates(chat), ["connected id", r#"1:["b",1]"#]);
    assert!(world.manager.open("/chat", Auth::None).is_none(), "there is one");
}

#[test]
fn payload_is_sent_with_each_request() {
    let mut world = World::new();
    let auth = Payload::new(&serde_json::json!({"token": 1})).unwrap();
    let slot = world.manager.open("/a", Auth::Payload(auth)).unwrap();
    world.connect(slot);
    for _ in 0..2 {
        world.pass(SECOND);
        world.open();
        assert_eq!(world.sent(), [r#"0/a,{"token":1}"#]);
        world.lose(&lost(), 0);
    }
}

#[test]
fn application_is_asked_for_a_payload_each_time_and_may_take_its_time() {
    let mut world = World::new();
    let slot = world.manager.open("/", Auth::Ask).unwrap();
    world.connect(slot);
    for token in 1..3 {
        world.pass(SECOND);
        assert_eq!(world.events(), ["open"]);
        world.opened();
        assert_eq!((world.sent(), world.events()), (vec![], vec!["auth".to_string()]));
        world.pass(100 * SECOND);
        let auth = Payload::new(&token).unwrap();
        let World { manager, session, now, .. } = &mut world;
        assert!(manager.authorize(*now, slot, Some(auth.clone()), session));
        assert!(!manager.authorize(*now, slot, Some(auth), session), "it is not asked any more");
        assert_eq!(world.sent(), [format!("0{token}")]);
        world.lose(&lost(), 0);
    }
}

#[test]
fn refused_socket_is_told_and_goes_on_when_it_is_asked_to() {
    let mut world = World::new();
    let (refused, other) = (world.socket("/a"), world.socket("/b"));
    world.open();
    world.server_connects("/b");
    world.server_sends(r#"4/a,{"message":"no","data":{"code":7}}"#);
    assert_eq!(world.updates(refused), ["refused: no"]);
    let Some(EndReason::Refused(error)) = world.manager.end_reason(refused) else { panic!() };
    assert_eq!(error.data().unwrap().as_json(), Some(r#"{"code":7}"#));
    assert!(!world.manager.is_active(refused) && world.manager.is_connected(other));
    world.sent();
    world.connect(refused);
    assert_eq!(world.sent(), ["0/a,"]);
    world.server_connects("/a");
    assert!(world.manager.is_connected(refused));
}

#[test]
fn session_is_closed_when_its_only_socket_was_refused() {
    let mut world = World::new();
    let slot = world.socket("/");
    world.open();
    world.server_sends(r#"4{"message":"no"}"#);
    assert!(world.is_closing());
    // Before that is done, the application tries again.
    world.connect(slot);
    assert!(world.events().is_empty());
    world.lose(&CloseReason::ForcedClose, 0);
    assert_eq!(world.events(), ["open"]);
}

#[test]
fn refused_socket_asks_again_with_another_payload_as_often_as_it_may() {
    let mut world = World::with(|config| config.refused_attempts = 2);
    let slot = world.manager.open("/", Auth::Ask).unwrap();
    world.connect(slot);
    world.open();
    for wait in [1, 2] {
        assert_eq!(world.events(), ["auth"]);
        world.manager.authorize(world.now, slot, None, &mut world.session);
        world.server_sends(r#"4{"message":"no"}"#);
        world.pass(wait * SECOND - Duration::from_millis(1));
        assert!(world.events().is_empty() && world.manager.is_active(slot));
        world.pass(Duration::from_millis(1));
    }
    assert_eq!(world.events(), ["auth"]);
    world.manager.authorize(world.now, slot, None, &mut world.session);
    world.server_sends(r#"4{"message":"no"}"#);
    assert!(!world.manager.is_active(slot) && world.is_closing());
    assert_eq!(world.updates(slot), vec!["refused: no"; 3]);
}

#[test]
fn server_that_does_not_respond_is_tried_again() {
    let mut world = World::new();
    let slot = world.socket("/");
    world.open();
    assert_eq!(world.manager.poll_timeout(), Some(world.now + 60 * SECOND));
    world.pass(60 * SECOND);
    assert_eq!(world.manager.fault(), Some(&Fault::NoResponse));
    let reason = world.wire().aborted.clone().unwrap();
    world.lose(&reason, 0);
    assert_eq!(world.updates(slot), ["attempt 1 in 1s"]);
    world.pass(SECOND);
    assert_eq!(world.events(), ["open"]);
}

#[test]
fn server_has_a_grace_period_for_its_response_if_the_process_did_not_run() {
    for responds in [true, false] {
        let mut world = World::new();
        let slot = world.socket("/");
        world.open();
        world.pause(100 * SECOND);
        assert_eq!(world.manager.fault(), None);
        assert_eq!(world.manager.poll_timeout(), Some(world.now + 20 * SECOND));
        if responds {
            world.server_connects("/");
            assert!(world.manager.is_connected(slot));
        } else {
            world.pass(20 * SECOND);
            assert_eq!(world.manager.fault(), Some(&Fault::NoResponse));
        }
    }
}

#[test]
fn server_of_socketio_2_is_told_from_one_that_is_out_of_order() {
    let mut world = World::new();
    let slot = world.socket("/");
    world.open();
    world.server_sends("0");
    assert_eq!(world.manager.end_reason(slot), Some(&EndReason::OldServer));
    assert!(world.is_closing());

    let mut world = World::new();
    world.socket("/");
    world.open();
    world.server_sends(r#"0{"id":1}"#);
    assert_eq!(world.manager.fault(), Some(&Fault::Response));
}

#[test]
fn server_of_socketio_2_connects_to_its_root_by_itself() {
    let mut world = World::with(|config| config.revision = Revision::V3);
    let root = world.socket("/");
    let chat = world.socket("/chat?token=1");
    assert_eq!(world.manager.namespace(chat), Some("/chat"));
    assert_eq!(world.events(), ["open"]);
    world.session = Some(Wire::default());
    let sid = "abcdefghijklmnopqrst";
    world.manager.handle_opened(world.now, Some(sid), &mut world.session);
    assert_eq!(world.sent(), ["0/chat?token=1,"]);
    world.server_sends("0");
    world.server_sends("0/chat?token=1,");
    assert_eq!(world.updates(root), [format!("connected {sid}")]);
    assert_eq!(world.manager.id(root).map(|id| id.as_str()), Some(sid));
    world.server_sends("0/chat");
    assert_eq!(world.updates(chat), [format!("connected /chat#{sid}")]);
    world.server_sends("4/chat,\"not allowed\"");
    assert_eq!(world.manager.fault(), Some(&Fault::ConnectedTwice));
}

#[test]
fn root_of_socketio_2_that_is_late_is_connected_at_once() {
    let mut world = World::with(|config| config.revision = Revision::V3);
    world.socket("/chat");
    world.open();
    world.server_sends("0");
    world.server_sends("0/chat,");
    world.sent();
    let root = world.manager.open("/", Auth::None).unwrap();
    world.emit(root, "a").unwrap();
    world.connect(root);
    assert!(world.manager.is_connected(root));
    assert_eq!(world.sent(), [r#"2["a"]"#]);
    // Who has left must ask.
    world.disconnect(root);
    world.connect(root);
    assert_eq!(world.sent(), ["1", "0"]);
    world.server_sends("0");
    assert!(world.manager.is_connected(root));
    world.server_sends("1");
    world.connect(root);
    assert_eq!(world.sent(), ["0"]);
    world.server_sends("4\"no\"");
    world.connect(root);
    assert_eq!(world.sent(), ["0"]);
}

#[test]
fn faults_of_a_server_end_the_session_and_no_socket() {
    for packet in ["7", "2{}", "0{\"sid\":\"again\"}", "4{\"message\":\"no\"}", "5-[\"a\"]", ""] {
        let (mut world, slot) = World::connected();
        world.server_sends(packet);
        assert!(world.manager.fault().is_some(), "{packet}");
        // What comes behind it is not looked at.
        world.server_sends("2[\"late\"]");
        let reason = world.wire().aborted.clone().unwrap();
        let released = world.wire().released;
        assert_eq!(released, world.cost, "{packet}");
        world.lose(&reason, 0);
        assert_eq!(world.updates(slot), ["disconnected: parse error", "attempt 1 in 1s"]);
        world.pass(SECOND);
        world.open();
        world.server_connects("/");
        assert_eq!(
            (world.updates(slot), world.manager.fault()),
            (vec!["connected id".into()], None)
        );
    }
}

#[test]
fn packets_of_other_namespaces_and_of_none_are_ignored() {
    let (mut world, slot) = World::connected();
    for packet in ["2/b,[\"a\"]", "1/b,", "0/b,{\"sid\":\"x\"}", "4/b,{}", "3/b,1[]", "37[]"] {
        world.server_sends(packet);
    }
    assert_eq!(world.manager.fault(), None);
    assert!(world.updates(slot).is_empty());
    assert_eq!(world.released(), world.cost);
}

#[test]
fn response_that_lies_unread_is_waited_for() {
    let (mut world, _root) = World::connected();
    let slot = world.socket("/a");
    world.wire().is_unread = true;
    world.pass(60 * SECOND);
    assert_eq!(world.manager.fault(), None, "it is us who do not read");
    world.wire().is_unread = false;
    world.pass(59 * SECOND);
    assert_eq!(world.manager.fault(), None);
    world.server_connects("/a");
    assert!(world.manager.is_connected(slot));
}

#[test]
fn payload_is_not_shown_for_debugging() {
    let auth = Auth::Payload(Payload::new("secret").unwrap());
    assert_eq!(format!("{auth:?}"), "Payload(..)");
}

#[test]
fn only_clients_of_socketio_2_send_parameters_behind_a_name() {
    let mut world = World::new();
    let slot = world.socket("/chat?token=1");
    world.open();
    assert_eq!(world.sent(), ["0/chat?token=1,"]);
    world.server_sends(r#"4/chat?token=1,{"message":"Invalid namespace"}"#);
    assert_eq!(world.updates(slot), ["refused: Invalid namespace"]);
}
