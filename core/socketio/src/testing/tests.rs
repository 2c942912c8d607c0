//! The pair: what moves, when, and what does not.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;

use enginewire::{CloseReason, Message, TransportKind};

use super::*;
use crate::{
    AckError, AckId, Asking, Attachment, ConnectError, DisconnectReason, EmitError,
    adapter::Target,
    hub::{HubConfig, Output, SocketKey},
    parser::Parser,
};

const SECOND: Duration = Duration::from_secs(1);

/// A client that is connected to a namespace, and its socket.
fn connected(pair: &mut Pair, namespace: &str) -> (ClientId, SocketKey) {
    let client = pair.open();
    let key = join(pair, client, namespace);
    (client, key)
}

fn join(pair: &mut Pair, client: ClientId, namespace: &str) -> SocketKey {
    pair.connect(client, namespace).unwrap();
    let Some(Output::Connect(key, request, _)) = pair.poll() else { panic!("nothing connects") };
    assert_eq!(&*request.namespace, namespace);
    assert!(pair.hub.accept(pair.now(), key));
    let Some((at, Update::Connected(id))) = pair.recv(client) else { panic!("no response") };
    assert_eq!((&*at, Some(&id)), (namespace, pair.hub.id(key)));
    key
}

fn token(token: &'static str) -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([("token", token)])
}

fn event(update: Option<(enginewire::Text, Update)>) -> crate::Event {
    match update {
        Some((_, Update::Event(event))) => event,
        other => panic!("no event: {other:?}"),
    }
}

fn texts(messages: Vec<Message>) -> Vec<String> {
    messages.iter().map(|message| message.as_text().unwrap().to_string()).collect()
}

#[test]
fn events_go_both_ways_in_each_namespace() {
    let mut pair = Pair::new(HubConfig::default());
    let (client, main) = connected(&mut pair, "/");
    let chat = join(&mut pair, client, "/chat");
    pair.emit(client, "chat", "say", &("hi", 1)).unwrap();
    let Some(Output::Event(key, said)) = pair.poll() else { panic!("no event") };
    assert_eq!((key, said.name(), said.data().unwrap()), (chat, "say", ("hi", 1)));
    pair.hub.broadcast("/", &Target::all(), "news", &7).unwrap();
    let (namespace, update) = pair.recv(client).unwrap();
    assert_eq!(
        (&*namespace, event(Some((namespace.clone(), update))).data::<u8>().unwrap()),
        ("/", 7)
    );
    assert!(pair.poll().is_none() && pair.recv(client).is_none());
    assert!(pair.hub.is_connected(main));
}

#[test]
fn acknowledgements_go_both_ways_and_only_once() {
    let mut pair = Pair::new(HubConfig::default());
    let (client, key) = connected(&mut pair, "/");
    let first = pair.emit_with_ack(client, "/", "a", &()).unwrap();
    let second = pair.emit_with_ack(client, "/", "b", &()).unwrap();
    assert_eq!((first, second), (AckId(0), AckId(1)));
    pair.poll();
    pair.hub.acknowledge(key, second, &"yes").unwrap();
    pair.hub.acknowledge(key, second, &"again").unwrap();
    let Some((_, Update::Acknowledged(id, args))) = pair.recv(client) else { panic!("no ack") };
    assert_eq!((id, args.decode::<&str>(0).unwrap()), (second, "yes"));
    pair.poll();
    assert!(pair.recv(client).is_none(), "a second acknowledgement is ignored");

    let ask = pair.hub.emit_with_ack(pair.now(), key, "age?", &(), SECOND).unwrap();
    let ack = event(pair.recv(client)).ack().unwrap();
    pair.acknowledge(client, "/", ack, &42).unwrap();
    let Some(Output::Acknowledged(id, Ok(args))) = pair.poll() else { panic!("no ack") };
    assert_eq!((id, args.decode::<u8>(0).unwrap()), (ask, 42));
}

#[test]
fn refused_client_has_the_error_and_may_ask_again() {
    let mut pair = Pair::new(HubConfig::default());
    let client = pair.open();
    pair.connect_with(client, "/", &token("secret")).unwrap();
    let Some(Output::Connect(key, request, _)) = pair.poll() else { panic!("nothing connects") };
    assert_eq!(request.auth.unwrap().decode::<BTreeMap<&str, &str>>().unwrap(), token("secret"));
    let error = ConnectError::new("no").with_data(&3);
    assert!(pair.hub.refuse(pair.now(), key, &error));
    let Some((_, Update::Refused(refused))) = pair.recv(client) else { panic!("no response") };
    assert_eq!(refused, error);
    assert_eq!(refused.data().unwrap().decode::<u8>().unwrap(), 3);
    assert_eq!(pair.emit(client, "/", "a", &()), Err(EmitError::Disconnected));
    join(&mut pair, client, "/");
}

#[test]
fn either_side_leaves() {
    let mut pair = Pair::new(HubConfig::default());
    let (client, key) = connected(&mut pair, "/");
    pair.disconnect(client, "/").unwrap();
    assert_eq!(pair.disconnect(client, "/"), Err(EmitError::Disconnected));
    pair.hub.emit(key, "crosses", &()).unwrap();
    assert!(pair.recv(client).is_none(), "the client has left");
    let Some(Output::Disconnected(left, reason, _)) = pair.poll() else { panic!("no end") };
    assert_eq!((left, reason), (key, DisconnectReason::ClientLeft));

    let key = join(&mut pair, client, "/");
    pair.hub.disconnect(key);
    assert!(matches!(pair.recv(client), Some((_, Update::Disconnected))));
    assert_eq!(pair.emit(client, "/", "a", &()), Err(EmitError::Disconnected));
    pair.poll();
    pair.close(client);
    pair.pass(SECOND);
    assert!(pair.poll().is_none());
    assert_eq!(pair.close_reason(client), Some(&CloseReason::ForcedClose));
    assert_eq!((pair.hub.engine().sessions(), pair.hub.engine().connections()), (0, 0));
}

#[test]
fn client_that_is_there_is_kept_for_hours() {
    let mut pair = Pair::new(HubConfig::default());
    let (_, key) = connected(&mut pair, "/");
    pair.pass(Duration::from_secs(10 * 3600));
    assert!(pair.poll().is_none());
    assert!(pair.hub.is_connected(key));
}

#[test]
fn frozen_client_is_ended_by_the_heartbeat_of_either_side() {
    let mut pair = Pair::new(HubConfig::default());
    let (client, key) = connected(&mut pair, "/");
    let start = pair.now();
    pair.freeze(client);
    pair.emit(client, "/", "never", &()).unwrap();
    pair.pass(Duration::from_secs(45) - Duration::from_nanos(1));
    assert!(pair.poll().is_none());
    pair.pass(Duration::from_nanos(1));
    let Some(Output::Disconnected(left, reason, _)) = pair.poll() else { panic!("no end") };
    assert_eq!((left, reason), (key, DisconnectReason::PingTimeout));
    assert_eq!(pair.now().since(start), Duration::from_secs(45));
    assert_eq!(pair.close_reason(client), Some(&CloseReason::PingTimeout));
}

#[test]
fn thawed_client_gets_what_was_sent_meanwhile() {
    let mut pair = Pair::new(HubConfig::default());
    let (client, key) = connected(&mut pair, "/");
    pair.freeze(client);
    pair.hub.emit(key, "late", &()).unwrap();
    pair.emit(client, "/", "late too", &()).unwrap();
    pair.pass(20 * SECOND);
    assert!(pair.recv(client).is_none() && pair.poll().is_none());
    pair.thaw(client);
    assert_eq!(event(pair.recv(client)).name(), "late");
    let Some(Output::Event(_, event)) = pair.poll() else { panic!("no event") };
    assert_eq!(event.name(), "late too");
}

#[test]
fn frozen_client_takes_no_more_than_its_buffers_hold() {
    let mut config = HubConfig::default();
    config.engine.protocol.limits.max_queued = FROZEN_ROOM;
    let mut pair = Pair::new(config);
    let (client, key) = connected(&mut pair, "/");
    pair.freeze(client);
    let payload = "x".repeat(1000);
    let mut sent = 0;
    while pair.hub.emit(key, "fill", &payload).is_ok() {
        assert!(pair.poll().is_none());
        sent += payload.len();
        assert!(sent < 10 * FROZEN_ROOM, "it takes everything");
    }
    assert!(sent > FROZEN_ROOM, "it takes {sent} bytes");
    pair.thaw(client);
    assert!(matches!(pair.poll(), Some(Output::Writable(writable)) if writable == key));
    let mut received = 0;
    while let Some((_, Update::Event(event))) = pair.recv(client) {
        received += event.data::<&str>().unwrap().len();
    }
    assert_eq!(received, sent);
}

#[test]
fn hub_that_is_not_polled_slows_its_client_down() {
    let mut config = HubConfig::default();
    config.engine.protocol.limits.max_unread = 10_000;
    let mut pair = Pair::new(config);
    let (client, key) = connected(&mut pair, "/");
    pair.hub.pause(key);
    let payload = "x".repeat(1000);
    let mut sent = 0;
    while pair.emit(client, "/", "fill", &payload).is_ok() {
        assert!(pair.poll().is_none());
        sent += 1;
        assert!(sent < 100_000, "it is never slowed down");
    }
    pair.hub.resume(key);
    for n in 0..sent {
        assert!(matches!(pair.poll(), Some(Output::Event(..))), "{n} of {sent}");
    }
}

#[test]
fn cut_connection_is_noticed_at_once_by_both_sides() {
    let mut pair = Pair::new(HubConfig::default());
    let (client, key) = connected(&mut pair, "/");
    pair.hub.emit(key, "lost", &()).unwrap();
    pair.cut(client);
    let Some(Output::Disconnected(left, reason, _)) = pair.poll() else { panic!("no end") };
    assert_eq!((left, reason), (key, DisconnectReason::TransportError));
    assert!(pair.recv(client).is_none());
    assert_eq!(pair.close_reason(client), Some(&CloseReason::TransportClose));
}

#[test]
fn session_begins_over_polling_and_moves_to_a_websocket() {
    let mut pair = Pair::new(HubConfig::default());
    let client = pair.open_with(|_| {});
    let key = join(&mut pair, client, "/");
    pair.pass(SECOND);
    assert_eq!(pair.transport(client), TransportKind::WebSocket);
    let polling = pair.open_with(|config| config.upgrade = false);
    join(&mut pair, polling, "/");
    assert_eq!(pair.transport(polling), TransportKind::Polling);
    pair.hub.broadcast("/", &Target::all(), "a", &()).unwrap();
    assert_eq!(event(pair.recv(client)).name(), "a");
    assert_eq!(event(pair.recv(polling)).name(), "a");
    pair.emit(polling, "/", "b", &()).unwrap();
    let Some(Output::Event(from, _)) = pair.poll() else { panic!("no event") };
    assert_ne!(from, key);
}

#[test]
fn messages_on_the_wire_are_those_of_the_protocol() {
    let mut pair = Pair::new(HubConfig::default());
    let (client, key) = connected(&mut pair, "/");
    pair.hub.emit_with_ack(pair.now(), key, "age?", &(), SECOND).unwrap();
    assert_eq!(texts(pair.messages(client)), [r#"20["age?"]"#]);
    pair.send(client, "30[42]").unwrap();
    assert!(matches!(pair.poll(), Some(Output::Acknowledged(_, Ok(_)))));
    pair.send(client, "nonsense").unwrap();
    let Some(Output::Disconnected(_, reason, _)) = pair.poll() else { panic!("no end") };
    assert_eq!(reason, DisconnectReason::ForcedClose);
}

#[test]
fn parser_of_the_hub_is_that_of_its_clients() {
    let mut config = HubConfig::default();
    config.connection.parser = Parser::MessagePack;
    let mut pair = Pair::new(config);
    let client = pair.open();
    pair.connect_with(client, "/", &token("secret")).unwrap();
    let Some(Output::Connect(key, request, _)) = pair.poll() else { panic!("nothing connects") };
    assert_eq!(request.auth.unwrap().decode::<BTreeMap<&str, &str>>().unwrap(), token("secret"));
    pair.hub.accept(pair.now(), key);
    assert!(matches!(pair.recv(client), Some((_, Update::Connected(_)))));
    pair.emit(client, "/", "png", &bytes::Bytes::from_static(b"png")).unwrap();
    let Some(Output::Event(_, event)) = pair.poll() else { panic!("no event") };
    let png = event.data::<Attachment>().unwrap();
    assert_eq!(event.attachment(&png).unwrap(), "png");
}

#[test]
fn same_calls_give_the_same_bytes() {
    let run = || {
        let mut pair = Pair::new(HubConfig::default());
        let (first, _) = connected(&mut pair, "/");
        let (second, key) = connected(&mut pair, "/");
        pair.hub.emit(key, "a", &()).unwrap();
        pair.cut(first);
        pair.pass(100 * SECOND);
        let ids = pair.hub.sockets("/", &Target::all());
        let ids: Vec<_> = ids.iter().map(|&key| pair.hub.id(key).unwrap().to_string()).collect();
        format!("{ids:?} {:?} {:?}", pair.messages(second), pair.poll())
    };
    assert_eq!(run(), run());
}

#[test]
fn silent_question_ends_at_its_deadline_and_a_late_answer_does_nothing() {
    let mut pair = Pair::new(HubConfig::default());
    let (client, key) = connected(&mut pair, "/");
    pair.hub.emit_with_ack(pair.now(), key, "a", &(), SECOND).unwrap();
    let ack = event(pair.recv(client)).ack().unwrap();
    pair.pass(SECOND);
    assert!(matches!(pair.poll(), Some(Output::Acknowledged(_, Err(AckError::Timeout)))));
    pair.acknowledge(client, "/", ack, &()).unwrap();
    assert!(pair.poll().is_none());
}

#[test]
fn names_type_what_clients_send() {
    const AGE: Asking<String, u8> = Asking::new("age");
    let mut pair = Pair::new(HubConfig::default());
    let (client, key) = connected(&mut pair, "/");
    pair.emit(client, "/", AGE, "Ann").unwrap();
    let asked = pair.emit_with_ack(client, "/", AGE, "Bob").unwrap();
    for (name, is_asked) in [("Ann", false), ("Bob", true)] {
        let Some(Output::Event(from, event)) = pair.poll() else { panic!("no event of {name}") };
        assert_eq!((from, &*event.data_of(AGE).unwrap().unwrap()), (key, name));
        assert_eq!(event.ack(), is_asked.then_some(asked));
    }
}

#[test]
fn faults_of_a_server_are_told() {
    let mut client = Client::new(Parser::Json);
    client.connect::<()>("/", None).unwrap();
    let response = Message::from(r#"0{"sid":"a"}"#);
    assert!(client.handle_message(response.clone()).unwrap().is_some());
    assert_eq!(client.handle_message(response).unwrap_err(), ServerFault::ConnectedTwice);
    client.connect::<()>("a", None).unwrap();
    assert_eq!(client.handle_message("0/a,".into()).unwrap_err(), ServerFault::Response);
    let fault = client.handle_message("x".into()).unwrap_err();
    assert!(matches!(fault, ServerFault::Packet(_)), "{fault}");
}
