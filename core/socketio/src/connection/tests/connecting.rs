//! How clients connect to namespaces.

use super::*;

#[test]
fn client_is_told_its_id_when_it_is_accepted() {
    let mut world = World::new();
    world.client_sends("0");
    let Some(ConnectionEvent::Connect(slot, request)) = world.connection.poll_event() else {
        panic!("no request");
    };
    assert_eq!((&*request.namespace, request.auth.is_none()), ("/", true));
    assert!(world.sent().is_empty(), "the application decides");
    assert!(world.accept(slot));
    assert_eq!(world.sent(), [r#"0{"sid":"AAAAAAAAAAAAAAAAAAAA"}"#]);
    assert!(world.connection.is_connected(slot));
    assert!(!world.accept(slot), "the second time nothing waits");
}

#[test]
fn private_id_is_told_with_connection_state_recovery() {
    let mut world = World::new();
    world.client_sends("0/a,");
    let Some(ConnectionEvent::Connect(slot, _)) = world.connection.poll_event() else {
        panic!("no request");
    };
    let pid = PrivateId::parse("abcdefghijklmnopqrst").unwrap();
    let missed = [Encoded::new("2/a,[\"missed\"]")];
    world.connection.accept(slot, &id(), Some(&pid), missed, &mut world.wire);
    // Events that were missed come first, as with the reference.
    assert_eq!(
        world.sent(),
        [r#"2/a,["missed"]"#, r#"0/a,{"sid":"AAAAAAAAAAAAAAAAAAAA","pid":"abcdefghijklmnopqrst"}"#]
    );
}

#[test]
fn refused_client_is_told_why_and_may_try_again() {
    let mut world = World::new();
    for _ in 0..2 {
        world.client_sends(r#"0/a,{"token":1}"#);
        let Some(ConnectionEvent::Connect(slot, request)) = world.connection.poll_event() else {
            panic!("no request");
        };
        assert_eq!(request.auth.unwrap().as_json(), Some(r#"{"token":1}"#));
        let error = ConnectError::new("not you").with_data(&[1, 2].as_slice());
        assert!(world.connection.refuse(slot, &error, &mut world.wire));
        assert!(!world.connection.refuse(slot, &error, &mut world.wire));
        assert_eq!(world.sent(), [r#"4/a,{"message":"not you","data":[1,2]}"#]);
    }
    assert_eq!(world.connection.fault(), None);
}

#[test]
fn other_namespaces_go_on_while_one_waits() {
    let mut world = World::new();
    world.client_sends("0/slow,");
    assert_eq!(world.events(), ["connect /slow"]);
    let slot = world.connect("/");
    world.client_sends(r#"2["hello"]"#);
    assert_eq!(world.received(slot), [r#"["hello"]"#]);
}

#[test]
fn client_that_asks_twice_before_the_answer_is_connected_once() {
    let mut world = World::new();
    world.client_sends("0");
    let Some(ConnectionEvent::Connect(first, _)) = world.connection.poll_event() else {
        panic!("no request");
    };
    // `socket.disconnect().connect()` in a browser: nothing is sent for the former.
    world.client_sends("0");
    let Some(ConnectionEvent::Cancelled(cancelled)) = world.connection.poll_event() else {
        panic!("the first goes on");
    };
    let Some(ConnectionEvent::Connect(second, _)) = world.connection.poll_event() else {
        panic!("no second request");
    };
    assert_eq!(cancelled, first);
    assert!(!world.accept(first));
    assert!(world.accept(second));
    assert_eq!(world.sent().len(), 1);
}

#[test]
fn client_that_is_connected_must_not_ask_again() {
    let (mut world, _) = World::connected();
    world.client_sends("0");
    assert_eq!(world.connection.fault(), Some(&Fault::ConnectedTwice));
    assert_eq!(world.events(), ["disconnected: forced close"]);
    assert_eq!(world.wire.closed_at, Some(Time::ZERO));
}

#[test]
fn client_that_leaves_before_the_answer_is_forgotten() {
    let mut world = World::new();
    world.client_sends("0/a,");
    world.client_sends("1/a,");
    assert_eq!(world.events(), ["connect /a", "cancelled"]);
    assert_eq!(world.connection.fault(), None);
}

#[test]
fn client_has_a_grace_period_to_connect_if_the_process_did_not_run() {
    for connects in [true, false] {
        let mut world = World::new();
        world.pause(60 * SECOND);
        assert_eq!(world.wire.closed_at, None);
        if connects {
            world.connect("/");
        }
        world.pass(15 * SECOND);
        assert_eq!(world.wire.closed_at.is_none(), connects);
    }
}

#[test]
fn client_without_a_namespace_is_closed_in_time() {
    let mut world = World::new();
    // One that is still undecided does not count.
    world.client_sends("0");
    assert_eq!(world.events(), ["connect /"]);
    assert_eq!(world.connection.poll_timeout(), Some(Time::ZERO + 45 * SECOND));
    world.pass(44 * SECOND);
    assert_eq!(world.wire.closed_at, None);
    world.pass(SECOND);
    assert_eq!(world.wire.closed_at, Some(Time::ZERO + 45 * SECOND));
    assert_eq!(world.events(), ["cancelled"]);
    assert_eq!(world.connection.fault(), Some(&Fault::ConnectTimeout));
    assert_eq!(world.connection.poll_timeout(), None);
}

#[test]
fn client_that_has_left_all_namespaces_may_stay() {
    let (mut world, _) = World::connected();
    world.client_sends("1");
    world.pass(3600 * SECOND);
    assert_eq!(world.wire.closed_at, None);
    assert_eq!(world.events(), ["disconnected: client namespace disconnect"]);
    world.connect("/");
}

#[test]
fn clients_of_the_third_revision_are_in_the_first_namespace_at_once() {
    let mut world = World::with(ConnectionConfig::default(), Revision::V3);
    let Some(ConnectionEvent::Connect(slot, request)) = world.connection.poll_event() else {
        panic!("no request");
    };
    assert_eq!(&*request.namespace, "/");
    assert!(world.accept(slot));
    // They make their ids themselves.
    assert_eq!(world.sent(), ["0"]);
    world.client_sends("0");
    assert_eq!(world.connection.fault(), Some(&Fault::ConnectedTwice));
}

#[test]
fn clients_of_the_third_revision_have_parameters_in_the_namespace() {
    let mut world = World::with(ConnectionConfig::default(), Revision::V3);
    world.events();
    world.client_sends("0/admin?token=a%20b&x=1&x=2,");
    let Some(ConnectionEvent::Connect(slot, request)) = world.connection.poll_event() else {
        panic!("no request");
    };
    assert_eq!(&*request.namespace, "/admin");
    let auth = request.auth.unwrap();
    assert_eq!(auth.as_json(), Some(r#"{"token":"a b","x":["1","2"]}"#));
    assert!(world.accept(slot));
    assert_eq!(world.sent(), ["0/admin,"]);
    // Packets may have them, too.
    world.client_sends(r#"2/admin?token=a%20b,["hello"]"#);
    assert_eq!(world.received(slot), [r#"["hello"]"#]);
}

#[test]
fn in_the_fourth_revision_a_query_is_part_of_the_name() {
    let mut world = World::new();
    world.client_sends("0/admin?token=1,");
    assert_eq!(world.events(), ["connect /admin?token=1"]);
}
