//! Socket.IO: tables of handlers, with raw clients.

use std::{
    collections::BTreeSet,
    future::poll_fn,
    io::Write as _,
    sync::{Arc, Mutex},
    task::Poll,
    thread,
};

use ::tokio::sync::Semaphore;
use enginewire_driver::{
    Limits, Server,
    socketio::{
        Ack, ConnectError, Data, DisconnectReason, EmitError, Event, EventName, Io, Reply, Routes,
        SocketRef, State, TryData, concurrent,
        handlers::{EventParts, FromParts, FromRef, Rejection},
    },
};

use crate::{
    Host,
    client::{Client, soon, until},
    serve, until_empty,
};

on_every_runtime!(
    events_of_a_socket_are_handled_in_order_however_long_each_takes,
    pipelined_events_are_handled_in_order_and_none_is_lost,
    concurrent_calls_are_bounded_and_let_other_events_pass,
    concurrent_calls_are_not_delayed_by_a_slow_handler,
    connecting_is_complete_before_the_first_event,
    disconnecting_comes_after_the_last_event_and_knows_the_rooms,
    return_values_are_acknowledgements,
    nothing_is_acknowledged_twice,
    arguments_are_extracted,
    payload_that_does_not_fit_is_counted_and_answered_if_wanted,
    socket_whose_auth_does_not_fit_is_disconnected,
    event_passes_before_and_falls_back,
    rejection_waits_for_room_behind_concurrent_calls,
    handler_that_panics_disconnects_its_socket_alone,
    handler_asks_its_client,
    data_of_a_socket_are_those_of_its_authorization,
    merged_tables_have_states_of_their_own,
    events_before_mounting_are_handled_after_it,
    mounting_ends_with_the_server,
);

/// A server of `io`, whose raw clients know one path only.
fn serve_io<R: Host>(io: &Io) -> Server {
    serve::<R>(|builder| builder.socketio(io).path("/engine.io/"))
}

/// A server with handlers for the namespace `/`.
fn mount<R: Host>(routes: Routes) -> (Io, Server) {
    let io = Io::new();
    R::default().spawn(io.mount("/", routes));
    let server = serve_io::<R>(&io);
    (io, server)
}

/// A client on a WebSocket that is connected to `/`.
fn connect(server: &Server) -> Client {
    let mut client = Client::open_websocket(server.local_addr());
    client.send("40");
    let connected = client.text();
    assert!(connected.starts_with(r#"40{"sid":"#), "{connected}");
    client
}

/// Asks with the number 7, and returns the arguments of the acknowledgement.
fn ask(client: &mut Client, event: &str) -> String {
    client.send(&format!("427{event}"));
    let text = client.text();
    text.strip_prefix("437").unwrap_or_else(|| panic!("no acknowledgement: {text}")).to_owned()
}

/// Waits for this many turns of the task.
async fn turns(mut left: u32) {
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What handlers have done, in its order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, entry: impl Into<String>) {
        self.0.lock().unwrap().push(entry.into());
    }

    fn entries(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn until(&self, count: usize) -> Vec<String> {
        until("entries of the log", || self.entries().len() >= count);
        self.entries()
    }
}

fn events_of_a_socket_are_handled_in_order_however_long_each_takes<R: Host>() {
    let slow = async |s: SocketRef, Data(n): Data<u32>| {
        turns(10 - n).await;
        s.emit("done", &n).await
    };
    let quick = async |s: SocketRef, Data(n): Data<u32>| s.emit("done", &n).await;
    let (_io, server) = mount::<R>(Routes::new().on("slow", slow).on("quick", quick));
    let mut client = connect(&server);
    for n in 0..10 {
        let name = if n % 3 == 0 { "slow" } else { "quick" };
        client.send(&format!(r#"42["{name}",{n}]"#));
    }
    for n in 0..10 {
        assert_eq!(client.text(), format!(r#"42["done",{n}]"#));
    }
}

fn pipelined_events_are_handled_in_order_and_none_is_lost<R: Host>() {
    const EVENTS: u32 = 20_000;
    let handler = async |s: SocketRef, Data(n): Data<u32>| {
        turns(n % 3).await;
        s.emit("n", &n).await
    };
    let (_io, server) = mount::<R>(Routes::new().on("n", handler));
    let mut client = connect(&server);
    let mut stream = client.stream();
    let flood = thread::spawn(move || {
        for n in 0..EVENTS {
            stream.write_all(&Client::frame(&format!(r#"42["n",{n}]"#))).unwrap();
        }
    });
    for n in 0..EVENTS {
        assert_eq!(client.text(), format!(r#"42["n",{n}]"#));
    }
    flood.join().unwrap();
}

/// Work that ends when the test says so.
#[derive(Clone)]
struct Work {
    permits: Arc<Semaphore>,
    /// Now, and at most.
    running: Arc<Mutex<(u32, u32)>>,
}

impl Work {
    fn new() -> Self {
        Self { permits: Arc::new(Semaphore::new(0)), running: Arc::default() }
    }

    async fn run(&self) {
        {
            let mut running = self.running.lock().unwrap();
            running.0 += 1;
            running.1 = running.1.max(running.0);
        }
        self.permits.acquire().await.unwrap().forget();
        self.running.lock().unwrap().0 -= 1;
    }

    fn until_running(&self, count: u32) {
        until("calls of a handler", || self.running.lock().unwrap().0 == count);
    }
}

fn concurrent_calls_are_bounded_and_let_other_events_pass<R: Host>() {
    async fn work(Data(n): Data<u32>, State(work): State<Work>) -> Reply<u32> {
        work.run().await;
        Reply(n)
    }
    let event = |n: u32| format!(r#"42{n}["work",{n}]"#);
    let work_of_test = Work::new();
    let routes = Routes::new()
        .on("work", concurrent(2, work))
        .on("ping", async || Reply("pong"))
        .with_state(work_of_test.clone());
    let (_io, server) = mount::<R>(routes);
    let mut client = connect(&server);
    client.send(&event(1));
    client.send(&event(2));
    assert_eq!(ask(&mut client, r#"["ping"]"#), r#"["pong"]"#, "while two calls run");
    work_of_test.until_running(2);
    client.send(&event(3));
    client.send(r#"427["ping"]"#);
    work_of_test.permits.add_permits(1);
    let (first, second) = (client.text(), client.text());
    assert!(["431[1]", "432[2]"].contains(&&*first), "{first}");
    assert_eq!(second, r#"437["pong"]"#, "the third call waited, and the event behind it");
    work_of_test.until_running(2);
    work_of_test.permits.add_permits(2);
    let mut rest = [client.text(), client.text()];
    rest.sort();
    assert_eq!(rest[1], "433[3]");
    // As they all come at once, the third would begin with the first.
    client.write((1..=5).flat_map(|n| Client::frame(&event(n))).collect::<Vec<_>>());
    work_of_test.until_running(2);
    work_of_test.permits.add_permits(5);
    let all: BTreeSet<_> = (1..=5).map(|_| client.text()).collect();
    assert_eq!(all, (1..=5).map(|n| format!("43{n}[{n}]")).collect());
    assert_eq!(*work_of_test.running.lock().unwrap(), (0, 2));
    // Another socket has calls of its own.
    let mut other = connect(&server);
    other.send(&event(4));
    other.send(&event(5));
    client.send(&event(6));
    client.send(&event(7));
    work_of_test.until_running(4);
    work_of_test.permits.add_permits(4);
    assert!(other.text().starts_with("43") && client.text().starts_with("43"));
}

fn concurrent_calls_are_not_delayed_by_a_slow_handler<R: Host>() {
    async fn slow(State(work): State<Work>) -> Reply<&'static str> {
        work.run().await;
        Reply("slow")
    }
    async fn aside(s: SocketRef) -> Result<(), EmitError> {
        turns(20).await;
        s.emit("aside", &()).await
    }
    let work = Work::new();
    let routes =
        Routes::new().on("slow", slow).on("aside", concurrent(8, aside)).with_state(work.clone());
    let (_io, server) = mount::<R>(routes);
    let mut client = connect(&server);
    client.send(r#"42["aside"]"#);
    client.send(r#"427["slow"]"#);
    assert_eq!(client.text(), r#"42["aside"]"#);
    work.permits.add_permits(1);
    assert_eq!(client.text(), r#"437["slow"]"#);
}

fn connecting_is_complete_before_the_first_event<R: Host>() {
    #[derive(serde::Deserialize)]
    struct Auth {
        name: String,
    }
    async fn join(s: SocketRef, Data(auth): Data<Auth>, State(work): State<Work>) {
        work.run().await;
        s.join(auth.name);
    }
    async fn rooms(s: SocketRef) -> Reply<Vec<String>> {
        Reply(s.rooms())
    }
    let work = Work::new();
    let routes = Routes::new()
        .on_connect(join)
        .on_connect(async |s: SocketRef| s.join("second"))
        .on("rooms", rooms)
        .with_state(work.clone());
    let (_io, server) = mount::<R>(routes);
    let mut client = Client::open_websocket(server.local_addr());
    client.send(r#"40{"name":"ada"}"#);
    assert!(client.text().starts_with("40{"));
    client.send(r#"427["rooms"]"#);
    work.until_running(1);
    work.permits.add_permits(1);
    let rooms = client.text();
    assert!(rooms.contains(r#""ada""#) && rooms.contains(r#""second""#), "{rooms}");
}

fn disconnecting_comes_after_the_last_event_and_knows_the_rooms<R: Host>() {
    async fn note(Data(n): Data<u32>, State(log): State<Log>) {
        turns(5).await;
        log.add(n.to_string());
    }
    async fn left(s: SocketRef, reason: DisconnectReason, State(log): State<Log>) {
        turns(2).await;
        log.add(format!("{reason}, rooms {:?}", s.rooms()));
    }
    let log = Log::default();
    let routes = Routes::new()
        .on_connect(async |s: SocketRef| s.join("room"))
        .on("note", note)
        .on("aside", concurrent(2, note))
        .on_disconnect(left)
        .on_disconnect(async |State(log): State<Log>| log.add("second"))
        .with_state(log.clone());
    let (io, server) = mount::<R>(routes);
    let mut client = connect(&server);
    for event in [r#"["note",1]"#, r#"["note",2]"#, r#"["aside",3]"#] {
        client.send(&format!("42{event}"));
    }
    client.send("41");
    let rest = [r#"client namespace disconnect, rooms ["room"]"#, "second"];
    assert_eq!(log.until(5), [["1", "2", "3"].as_slice(), &rest].concat());
    // And of a connection that breaks.
    drop((client, connect(&server)));
    assert_eq!(log.until(7)[6], "second");
    until("an empty namespace", || io.namespace("/").is_empty());
    until_empty(&server);
}

fn return_values_are_acknowledgements<R: Host>() {
    async fn divide(Data((a, b)): Data<(u32, u32)>) -> Result<Reply<u32>, Reply<&'static str>> {
        a.checked_div(b).map(Reply).ok_or(Reply("by zero"))
    }
    async fn fails(s: SocketRef) -> Result<Reply<u8>, EmitError> {
        s.emit("disconnect", &()).await?;
        Ok(Reply(1))
    }
    let routes = Routes::new()
        .on("silent", async || {})
        .on("pair", async || Reply((1, "two")))
        .on("none", async || Reply(()))
        .on("divide", divide)
        .on("fails", fails)
        .on("later", async |ack: Ack| ack.send(&"later").await);
    let (_io, server) = mount::<R>(routes);
    let mut client = connect(&server);
    assert_eq!(ask(&mut client, r#"["pair"]"#), r#"[1,"two"]"#);
    assert_eq!(ask(&mut client, r#"["none"]"#), "[]");
    assert_eq!(ask(&mut client, r#"["divide",9,3]"#), "[3]");
    assert_eq!(ask(&mut client, r#"["divide",9,0]"#), r#"["by zero"]"#);
    // Those without an acknowledgement, or an event that expects none, send nothing.
    client.send(r#"421["silent"]"#);
    client.send(r#"422["fails"]"#);
    client.send(r#"42["pair"]"#);
    assert_eq!(ask(&mut client, r#"["later"]"#), r#"["later"]"#);
}

fn nothing_is_acknowledged_twice<R: Host>() {
    let both = async |ack: Ack, mut event: Event| {
        event.ack().send(&"event").await?;
        ack.send(&"ack").await
    };
    let reply = async |ack: Ack, mut event: Event| {
        assert!(!ack.is_expected() && !event.ack().is_expected());
        Reply("reply")
    };
    let event = async |mut event: Event, ack: Ack| {
        assert!(!ack.is_expected());
        event.ack().send(&"event").await
    };
    let routes = Routes::new()
        // One that logs events takes nothing from them.
        .before(async |mut event: Event| assert!(!event.ack().is_expected()))
        .on("both", both)
        .on("reply", reply)
        .on("event", event);
    let (_io, server) = mount::<R>(routes);
    let mut client = connect(&server);
    assert_eq!(ask(&mut client, r#"["both"]"#), r#"["ack"]"#);
    assert_eq!(ask(&mut client, r#"["reply"]"#), r#"["reply"]"#);
    assert_eq!(ask(&mut client, r#"["event"]"#), r#"["event"]"#);
}

/// Number of arguments of an event, of which there must not be many.
struct Count(usize);

impl<S, D> FromParts<EventParts<D>, S> for Count {
    fn from_parts(parts: &mut EventParts<D>, _: &S) -> Result<Self, Rejection> {
        match parts.event().args().len() - 1 {
            count @ ..8 => Ok(Self(count)),
            _ => Err(Rejection::new("too many arguments")),
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "as many as there can be")]
fn arguments_are_extracted<R: Host>() {
    async fn all(
        s: SocketRef,
        io: Io,
        EventName(name): EventName,
        Data(first): Data<u32>,
        TryData(second): TryData<(u32, String)>,
        State(log): State<Log>,
        Count(count): Count,
        ack: Ack,
    ) {
        assert_eq!(io.namespace("/").socket(s.id()).unwrap().id(), s.id());
        let second = second.map_err(|error| error.argument());
        log.add(format!("{name} {first} {second:?} {count}"));
        let _ = ack.send(&()).await;
    }
    async fn borrow(event: Event) -> Reply<usize> {
        let (a, b) = event.data::<(&str, &str)>().unwrap();
        Reply(a.len() + b.len())
    }
    let log = Log::default();
    let routes = Routes::new().on("all", all).on("borrow", borrow).with_state(log.clone());
    let (_io, server) = mount::<R>(routes);
    let mut client = connect(&server);
    assert_eq!(ask(&mut client, r#"["all",1,"x"]"#), "[]");
    assert_eq!(ask(&mut client, r#"["all",1,2,3]"#), "[]");
    assert_eq!(ask(&mut client, r#"["borrow","ab","c"]"#), "[3]");
    assert_eq!(log.entries(), [r#"all 1 Ok((1, "x")) 2"#, "all 1 Err(Some(1)) 3"]);
}

fn payload_that_does_not_fit_is_counted_and_answered_if_wanted<R: Host>() {
    // The acknowledgement is extracted first, and must not be lost with it.
    async fn number(ack: Ack, Data(_): Data<u32>) {
        let _ = ack.send(&"fine").await;
    }
    let silent = Routes::new().on("number", number).on("count", async |Count(_): Count| {});
    let (io, server) = mount::<R>(silent.clone());
    let mut client = connect(&server);
    client.send(r#"421["number","one"]"#);
    assert_eq!(ask(&mut client, r#"["number",1]"#), r#"["fine"]"#);
    assert_eq!(io.namespace("/").rejections(), 1);

    let answering = silent.on_rejection(|parts, rejection| {
        let name = parts.event().name().to_owned();
        let is_payload = rejection.decode_error().is_some();
        (name != "count" || !is_payload).then(|| Reply((name, rejection.to_string(), is_payload)))
    });
    let (io, server) = mount::<R>(answering);
    let mut client = connect(&server);
    let reply = ask(&mut client, r#"["number","one"]"#);
    assert!(reply.starts_with(r#"["number","event `number`, argument 0: "#), "{reply}");
    assert!(reply.ends_with(",true]"), "{reply}");
    assert_eq!(
        ask(&mut client, r#"["count",1,2,3,4,5,6,7,8]"#),
        r#"["count","too many arguments",false]"#
    );
    assert_eq!(io.namespace("/").rejections(), 2);
}

fn rejection_waits_for_room_behind_concurrent_calls<R: Host>() {
    const CALLS: usize = 32;
    let large = async |s: SocketRef| s.emit("large", &"x".repeat(500_000)).await;
    let io = Io::new();
    let routes = Routes::new()
        .on("large", concurrent(CALLS, large))
        .on("number", async |Data(_): Data<u32>| {})
        .on_rejection(|_, _| Some(Reply("no number")));
    R::default().spawn(io.mount("/", routes));
    let server = serve::<R>(|builder| {
        let mut limits = Limits::default();
        limits.max_queued = 600_000;
        builder.socketio(&io).path("/engine.io/").limits(limits)
    });
    let mut client = connect(&server);
    for _ in 0..CALLS {
        client.send(r#"42["large"]"#);
    }
    client.send(r#"427["number"]"#);
    until("the rejection", || io.namespace("/").rejections() == 1);
    let texts: Vec<_> = (0..=CALLS).map(|_| client.text()).collect();
    assert_eq!(texts.iter().filter(|text| text.len() > 500_000).count(), CALLS);
    assert!(texts.iter().any(|text| text == r#"437["no number"]"#));
}

fn socket_whose_auth_does_not_fit_is_disconnected<R: Host>() {
    let log = Log::default();
    let routes = Routes::new()
        .on_connect(async |State(log): State<Log>, Data(_): Data<(u32, u32)>| log.add("connected"))
        .fallback(async |State(log): State<Log>| log.add("event"))
        .on_disconnect(async |State(log): State<Log>| log.add("disconnected"))
        .with_state(log.clone());
    let (io, server) = mount::<R>(routes);
    let mut client = connect(&server);
    client.send(r#"42["x"]"#);
    assert_eq!(client.text(), "41");
    until("an empty namespace", || io.namespace("/").is_empty());
    assert_eq!((io.namespace("/").rejections(), log.entries()), (1, vec![]));
}

fn event_passes_before_and_falls_back<R: Host>() {
    async fn polite(EventName(name): EventName) -> Result<(), Reply<String>> {
        turns(3).await;
        if name.contains("damn") { Err(Reply(format!("no `{name}` here"))) } else { Ok(()) }
    }
    async fn note(name: EventName, State(log): State<Log>) {
        log.add(&*name);
    }
    async fn short(event: Event) -> Result<(), &'static str> {
        if event.name().len() > 10 { Err("too long to be true") } else { Ok(()) }
    }
    let log = Log::default();
    let routes = Routes::new()
        .before(polite)
        .before(short)
        .before(note)
        .on("known", async || Reply("known"))
        .fallback(async |EventName(name): EventName| Reply((name, "unknown")))
        .with_state(log.clone());
    let (_io, server) = mount::<R>(routes);
    let mut client = connect(&server);
    assert_eq!(ask(&mut client, r#"["known"]"#), r#"["known"]"#);
    assert_eq!(ask(&mut client, r#"["other"]"#), r#"["other","unknown"]"#);
    assert_eq!(ask(&mut client, r#"["damn"]"#), r#"["no `damn` here"]"#);
    client.send(r#"421["much too long"]"#);
    assert_eq!(ask(&mut client, r#"["known"]"#), r#"["known"]"#);
    assert_eq!(log.entries(), ["known", "other", "known"]);
    // Without a fallback nothing is sent.
    let (_io, server) = mount::<R>(Routes::new().on("known", async || Reply("known")));
    let mut client = connect(&server);
    client.send(r#"421["other"]"#);
    assert_eq!(ask(&mut client, r#"["known"]"#), r#"["known"]"#);
}

fn handler_that_panics_disconnects_its_socket_alone<R: Host>() {
    async fn work(State(work): State<Work>) {
        work.run().await;
    }
    async fn panics() {
        turns(2).await;
        panic!("as the test wants");
    }
    let (log, started) = (Log::default(), Work::new());
    let routes = Routes::new()
        .on("panic", panics)
        .on("aside", concurrent(2, panics))
        .on("hello", async || Reply("hello"))
        .on_disconnect(async |reason: DisconnectReason, State(log): State<Log>| {
            log.add(reason.as_str());
        })
        .with_state(log.clone())
        .merge(Routes::new().on("work", concurrent(2, work)).with_state(started.clone()));
    let (_io, server) = mount::<R>(routes);
    let mut other = connect(&server);
    for (round, name) in ["panic", "aside"].into_iter().enumerate() {
        let mut client = connect(&server);
        client.send(r#"42["work"]"#);
        client.send(&format!(r#"42["{name}"]"#));
        assert_eq!(client.text(), "41");
        assert_eq!(log.until(2 * round + 1)[2 * round], "server namespace disconnect");
        assert_eq!(ask(&mut other, r#"["hello"]"#), r#"["hello"]"#);
        // The session of the client goes on.
        client.send("40");
        assert!(client.text().starts_with("40{"));
        assert_eq!(ask(&mut client, r#"["hello"]"#), r#"["hello"]"#);
        client.send("41");
        assert_eq!(log.until(2 * round + 2)[2 * round + 1], "client namespace disconnect");
    }
}

fn handler_asks_its_client<R: Host>() {
    async fn question(s: SocketRef, Data(n): Data<u64>) -> Reply<u64> {
        Reply(s.emit_with_ack::<u64, _>("double", &n).await.unwrap() + 1)
    }
    let (_io, server) = mount::<R>(Routes::new().on("ask", question));
    let mut client = connect(&server);
    client.send(r#"427["ask",3]"#);
    assert_eq!(client.text(), r#"420["double",3]"#);
    client.send("430[6]");
    assert_eq!(client.text(), "437[7]");
}

/// What a client calls itself.
struct Name(String);

fn data_of_a_socket_are_those_of_its_authorization<R: Host>() {
    async fn who(s: SocketRef<Name>) -> Reply<String> {
        Reply(s.data().0.clone())
    }
    let io = Io::new();
    let members = io.namespace("/").authorize(|request| async move {
        #[derive(serde::Deserialize)]
        struct Auth {
            name: String,
        }
        let auth: Auth = request.auth().map_err(|_| ConnectError::new("no name"))?;
        Ok(Name(auth.name))
    });
    R::default().spawn(members.mount(Routes::new().on("who", who)));
    let server = serve_io::<R>(&io);
    let mut client = Client::open_websocket(server.local_addr());
    client.send(r#"40{}"#);
    assert_eq!(client.text(), r#"44{"message":"no name"}"#);
    client.send(r#"40{"name":"ada"}"#);
    assert!(client.text().starts_with("40{"));
    assert_eq!(ask(&mut client, r#"["who"]"#), r#"["ada"]"#);
}

#[derive(Clone)]
struct First(u32);

struct App {
    first: First,
    name: &'static str,
}

impl FromRef<App> for First {
    fn from_ref(app: &App) -> Self {
        app.first.clone()
    }
}

impl FromRef<App> for &'static str {
    fn from_ref(app: &App) -> Self {
        app.name
    }
}

fn merged_tables_have_states_of_their_own<R: Host>() {
    async fn first(State(First(n)): State<First>) -> Reply<u32> {
        Reply(n)
    }
    async fn both(
        State(First(n)): State<First>,
        State(name): State<&'static str>,
    ) -> Reply<(u32, &'static str)> {
        Reply((n, name))
    }
    let app = App { first: First(1), name: "app" };
    let routes = Routes::new().on("one", first).on("both", both).with_state(app);
    let routes = routes.merge(Routes::new().on("two", first).with_state(First(2)));
    let (_io, server) = mount::<R>(routes);
    let mut client = connect(&server);
    assert_eq!(ask(&mut client, r#"["one"]"#), "[1]");
    assert_eq!(ask(&mut client, r#"["two"]"#), "[2]");
    assert_eq!(ask(&mut client, r#"["both"]"#), r#"[1,"app"]"#);
}

fn events_before_mounting_are_handled_after_it<R: Host>() {
    let io = Io::new();
    let mounted = io.mount("/", Routes::new().on("early", async || Reply("late")));
    let server = serve_io::<R>(&io);
    let mut client = connect(&server);
    client.send(r#"427["early"]"#);
    until("a waiting socket", || io.namespace("/").len() == 1);
    R::default().spawn(mounted);
    assert_eq!(client.text(), r#"437["late"]"#);
    assert_eq!(ask(&mut client, r#"["early"]"#), r#"["late"]"#);
}

fn mounting_ends_with_the_server<R: Host>() {
    let io = Io::new();
    let log = Log::default();
    let routes = Routes::new()
        .on_disconnect(async |reason: DisconnectReason, State(log): State<Log>| {
            turns(5).await;
            log.add(reason.as_str());
        })
        .with_state(log.clone());
    let (mounted, ended) = (io.mount("/", routes), log.clone());
    R::default().spawn(async move {
        mounted.await;
        ended.add("end");
    });
    let server = serve_io::<R>(&io);
    let client = connect(&server);
    let reader = thread::spawn(move || client.rest());
    soon("the end", server.close());
    assert_eq!(log.until(2), ["server shutting down", "end"]);
    reader.join().unwrap();
}
