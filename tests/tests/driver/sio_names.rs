//! Socket.IO: names of events as constants, which type what is sent, received and acknowledged.

use enginewire_driver::{
    Server,
    socketio::{
        AckError, AckOf, Asking, Data, Io, Named, Routes, Socket, SocketRef, handlers::EventParts,
    },
};

use crate::{
    Host,
    client::{Client, soon},
    serve,
};

on_every_runtime!(
    names_type_what_is_sent_to_one_and_to_many,
    names_type_what_is_received_and_acknowledged,
    name_of_an_acknowledged_event_types_the_acknowledgement_that_is_awaited,
    handlers_are_found_by_names_and_acknowledge_with_their_type,
);

const SAID: Named<(String, String)> = Named::new("said");
const COUNT: Named<u64> = Named::new("count");
const SUM: Asking<(u32, u32), u32> = Asking::new("sum");
const GREET: Asking<String, String> = Asking::new("greet");

fn serve_io<R: Host>(io: &Io) -> Server {
    serve::<R>(|builder| builder.socketio(io).path("/engine.io/"))
}

/// A client on a WebSocket that is connected to `/`.
fn open(server: &Server) -> Client {
    let mut client = Client::open_websocket(server.local_addr());
    client.send("40");
    let text = client.text();
    assert!(text.starts_with("40{\"sid\":\""), "{text}");
    client
}

/// The same, and its socket.
fn connect(io: &Io, server: &Server) -> (Client, Socket) {
    let namespace = io.namespace("/");
    let client = open(server);
    (client, soon("a socket", namespace.accept()).unwrap())
}

fn names_type_what_is_sent_to_one_and_to_many<R: Host>() {
    let io = Io::new();
    let server = serve_io::<R>(&io);
    let (mut client, socket) = connect(&io, &server);
    let (room, text) = (String::from("r"), String::from("t"));
    soon("an event", socket.emit(SAID, &(&room, &text))).unwrap();
    soon("an event", socket.emitter().emit(SAID, &("r", text.clone()))).unwrap();
    socket.try_emit(COUNT, &1).unwrap();
    soon("an event", socket.emit(COUNT, &2)).unwrap();
    let namespace = io.namespace("/");
    soon("an event", namespace.emit(COUNT, &3)).unwrap();
    soon("an event", io.emit(COUNT, &4)).unwrap();
    io.to([socket.id()]).try_emit(SAID, &(room, text)).unwrap();
    // A name of an event that can be acknowledged does not ask for it.
    soon("an event", socket.emit(GREET, "Ann")).unwrap();
    let said = r#"42["said","r","t"]"#;
    let counts = [1, 2, 3, 4].map(|count| format!(r#"42["count",{count}]"#));
    let [one, two, three, four] = &counts;
    let expected = [said, said, one, two, three, four, said, r#"42["greet","Ann"]"#];
    assert_eq!(expected.map(|_| client.text()), expected);
}

fn names_type_what_is_received_and_acknowledged<R: Host>() {
    let io = Io::new();
    let server = serve_io::<R>(&io);
    let (mut client, mut socket) = connect(&io, &server);
    client.send(r#"42["said","r","t"]"#);
    client.send(r#"427["sum",1,2]"#);
    client.send(r#"428["sum",3,4]"#);
    client.send(r#"429["sum",5]"#);
    let event = soon("an event", socket.recv()).unwrap();
    assert!(event.data_of(SUM).is_none());
    assert_eq!(event.data_of(SAID).unwrap().unwrap(), ("r".to_owned(), "t".to_owned()));

    let mut event = soon("an event", socket.recv()).unwrap();
    let (a, b) = event.data_of(SUM).unwrap().unwrap();
    let ack = event.ack_for(SUM);
    assert!(ack.is_expected());
    soon("an acknowledgement", ack.send(&(a + b))).unwrap();
    assert_eq!(client.text(), "437[3]");
    let again = event.ack_for(SUM);
    assert!(!again.is_expected(), "it is taken once");
    again.try_send(&0).unwrap();

    let mut event = soon("an event", socket.recv()).unwrap();
    event.ack_for(SUM).try_send(&7).unwrap();
    assert_eq!(client.text(), "438[7]");

    let event = soon("an event", socket.recv()).unwrap();
    let error = event.data_of(SUM).unwrap().unwrap_err();
    assert_eq!((error.event(), error.argument()), (Some("sum"), Some(1)));
}

fn name_of_an_acknowledged_event_types_the_acknowledgement_that_is_awaited<R: Host>() {
    let io = Io::new();
    let server = serve_io::<R>(&io);
    let (mut client, socket) = connect(&io, &server);
    let asking = socket.clone();
    let (sent, answered) = std::sync::mpsc::channel();
    R::default().spawn(async move {
        // Its type is that of the constant.
        let _ = sent.send(asking.emit_with_ack(GREET, "Ann").await.map(|answer| answer.len()));
        let _ = sent.send(asking.emit_with_ack(GREET, "Bob").await.map(|answer| answer.len()));
        let all = asking.namespace().emit_with_ack(GREET, "all").all().await.unwrap();
        let answers = all.responses.into_iter().map(|(_, answer)| answer.len());
        let _ = sent.send(Ok(answers.sum()));
    });
    for (number, name, answer) in [(0, "Ann", "\"Hello\""), (1, "Bob", "5"), (2, "all", "\"Hi\"")] {
        assert_eq!(client.text(), format!(r#"42{number}["greet","{name}"]"#));
        client.send(&format!("43{number}[{answer}]"));
    }
    assert_eq!(answered.recv().unwrap().unwrap(), 5);
    let error = answered.recv().unwrap().unwrap_err();
    assert!(matches!(error, AckError::Decode(_)), "{error}");
    assert_eq!(answered.recv().unwrap().unwrap(), 2);
}

fn handlers_are_found_by_names_and_acknowledge_with_their_type<R: Host>() {
    async fn sum(Data((a, b)): Data<(u32, u32)>, ack: AckOf<u32>) {
        let _ = ack.send(&(a + b)).await;
    }

    async fn greet(s: SocketRef, Data(name): Data<String>, ack: AckOf<String>) {
        let _ = s.emit(SAID, &("lobby", &name)).await;
        let _ = ack.send(&*format!("Hello, {name}")).await;
    }

    let io = Io::new();
    let routes = Routes::new().on(SUM, sum).on(GREET, greet).on("count", async || {});
    let routes = routes.on_rejection(|_: &EventParts, rejection| {
        Some(enginewire_driver::socketio::Reply(rejection.to_string()))
    });
    R::default().spawn(io.mount("/", routes));
    let server = serve_io::<R>(&io);
    let mut client = open(&server);
    client.send(r#"421["sum",1,2]"#);
    assert_eq!(client.text(), "431[3]");
    client.send(r#"422["greet","Ann"]"#);
    assert_eq!(client.text(), r#"42["said","lobby","Ann"]"#);
    assert_eq!(client.text(), r#"432["Hello, Ann"]"#);
    client.send(r#"423["sum",1]"#);
    assert_eq!(client.text(), r#"433["event `sum`, argument 1: missing argument"]"#);
}
