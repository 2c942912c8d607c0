//! The client of Socket.IO that tests of any origin drive: options by the name of a scenario, a line of JSON for
//! whatever happens, and obedience to the server's commands. One source for all runtimes.

use std::{
    error::Error,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    task::Poll,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use enginewire::{Reconnect, Revision, Time, TransportKind};
use enginewire_driver::{
    Runtime,
    socketio::{
        Client, ClientBuilder, ClientError, ClientEvent, ClientRef, ClientSocket, ConnectError,
        Spread, Update, Value,
    },
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use serde_json::{Map, Value as Json, json};

use crate::client_program::{report, transports};

/// Connects as the words of a scenario say, and goes on until there is nothing more to do.
///
/// Returns `None` if there is no such scenario.
pub(crate) async fn run<R: Runtime + Clone>(
    runtime: R,
    url: &str,
    words: &[&str],
) -> Option<ExitCode> {
    let client = match configure(ClientBuilder::on(runtime.clone(), url), words)?.build() {
        Ok(client) => client,
        Err(error) => {
            report(&json!({ "event": "connect_error", "message": error.to_string() }));
            return Some(ExitCode::FAILURE);
        }
    };
    let program = Program {
        runtime,
        connected: AtomicUsize::new(0),
        is_done: AtomicBool::new(false),
        reconnects: !words.contains(&"noreconnect"),
    };
    let mut sockets = Vec::new();
    for socket in open(&client, words) {
        match socket {
            Ok(socket) => sockets.push(socket),
            Err(error) => report(&json!({ "event": "error", "message": error.to_string() })),
        }
    }
    let first = sockets.first().map(|socket| socket.namespace().to_owned());
    let mut running: Vec<_> = sockets
        .into_iter()
        .map(|socket| {
            let is_first = first.as_deref() == Some(socket.namespace());
            Box::pin(program.run(socket, is_first)) as Pin<Box<dyn Future<Output = ()>>>
        })
        .collect();
    poll_fn(|cx| {
        running.retain_mut(|task| task.as_mut().poll(cx).is_pending());
        let is_over = program.is_done.load(Ordering::Relaxed) || running.is_empty();
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    drop(running);
    client.close().await;
    report(&json!({ "event": "done" }));
    Some(ExitCode::SUCCESS)
}

/// The options that the words of a scenario's name ask for.
fn configure<R: Runtime>(builder: ClientBuilder<R>, words: &[&str]) -> Option<ClientBuilder<R>> {
    let mut policy = Reconnect::default()
        .with_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_millis(400))
        .with_jitter(0.0);
    if words.contains(&"attempts") {
        policy = policy.with_attempts(3);
    }
    let mut builder = builder.transports(transports(words)?).reconnect(policy);
    if words.contains(&"timeout") {
        builder = builder.connect_timeout(Duration::from_millis(500));
    }
    if words.contains(&"eio3") {
        builder = builder.engine(|engine| engine.revision(Revision::V3));
    }
    Some(match words.contains(&"noreconnect") {
        true => builder.without_reconnection(),
        false => builder,
    })
}

/// Opens the sockets that the words of a scenario's name ask for.
fn open(client: &Client, words: &[&str]) -> Vec<Result<ClientSocket, ClientError>> {
    if words.contains(&"nsp") {
        return vec![client.socket("/").open(), client.socket("/custom").open()];
    }
    let secret = |auth: Json| vec![client.socket("/secret").auth(&auth).open()];
    match () {
        () if words.contains(&"auth") => secret(json!({ "token": "s3cret", "user": "rust" })),
        () if words.contains(&"badauth") => secret(json!({ "token": "bad" })),
        () if words.contains(&"unknown") => vec![client.socket("/nope").open()],
        () => vec![client.socket("/").open()],
    }
}

/// State that the sockets of the program share.
struct Program<R> {
    runtime: R,
    /// Sockets that are connected.
    connected: AtomicUsize,
    is_done: AtomicBool,
    reconnects: bool,
}

/// Something that is due at a time.
enum Due {
    /// The client makes another attempt to connect.
    Attempt(u32),
    /// A volatile event is to be emitted.
    Volatile(String, Vec<Value>),
    /// The program ends, if no namespace is connected.
    Done,
}

/// Events that the server asks for at the next disconnection.
#[derive(Default)]
struct Offline {
    emits: Vec<(String, Vec<Value>)>,
    volatile: Vec<(String, Vec<Value>)>,
}

impl<R: Runtime> Program<R> {
    /// Reports what happens to a socket, and does what the server asks for.
    async fn run(&self, mut socket: ClientSocket, is_first: bool) {
        let namespace = socket.namespace().to_owned();
        let (mut due, mut offline) = (Vec::new(), Offline::default());
        let mut asked = FuturesUnordered::new();
        let mut is_over = false;
        loop {
            let Some(update) = self.next(&mut socket, &mut due, &mut asked, is_over).await else {
                is_over = true;
                match socket.end_reason() {
                    Some(ClientError::Connect(_)) if self.reconnects => {
                        report(&json!({ "event": "reconnect_failed" }));
                        return self.end();
                    }
                    Some(error @ ClientError::OldServer) => {
                        report(&failed(&namespace, &error));
                        due.push((self.after(300), Due::Done));
                    }
                    _ => {}
                }
                continue;
            };
            if matches!(update, Next::Update(_)) {
                // The attempt was made, if something came of it. The timer here is another than the client's.
                for (_, made) in due.extract_if(.., |(_, due)| matches!(due, Due::Attempt(_))) {
                    report_attempt(&made, is_first);
                }
            }
            match update {
                Next::Due(attempt @ Due::Attempt(_)) => report_attempt(&attempt, is_first),
                Next::Due(Due::Volatile(name, args)) => {
                    drop(socket.volatile().emit(&*name, &Spread(&args)).await);
                }
                Next::Due(Due::Done) => {
                    if self.connected.load(Ordering::Relaxed) == 0 {
                        return self.end();
                    }
                }
                Next::Update(Update::Connected { id, recovered }) => {
                    self.connected.fetch_add(1, Ordering::Relaxed);
                    let transport = socket.transport().map_or("polling", TransportKind::name);
                    report(&json!({
                        "event": "connect", "nsp": namespace, "id": id.as_str(),
                        "recovered": recovered, "transport": transport,
                    }));
                }
                Next::Update(Update::Event(event)) => {
                    asked.extend(self.event(&socket, &namespace, event, &mut offline).await);
                }
                Next::Update(Update::Disconnected { reason, .. }) => {
                    self.connected.fetch_sub(1, Ordering::Relaxed);
                    let reason_of_client = reason.as_str_of_client();
                    let line = json!({ "event": "disconnect", "nsp": namespace, "reason": reason_of_client });
                    report(&line);
                    for (name, args) in offline.emits.drain(..) {
                        drop(socket.emit(&*name, &Spread(&args)).await);
                    }
                    for (name, args) in offline.volatile.drain(..) {
                        due.push((self.after(30), Due::Volatile(name, args)));
                    }
                    if !self.reconnects || !socket.is_active() {
                        due.push((self.after(700), Due::Done));
                    }
                }
                Next::Update(Update::Refused(error)) => {
                    report(&refused(&namespace, &error));
                    due.push((self.after(300), Due::Done));
                }
                Next::Update(Update::Failed(error)) => {
                    report(&failed(&namespace, &error));
                    if !self.reconnects {
                        due.push((self.after(300), Due::Done));
                    }
                }
                Next::Update(Update::Waiting { attempt, delay }) => {
                    due.push((self.runtime.clock().now() + delay, Due::Attempt(attempt)));
                }
                Next::Update(_) => {}
                Next::Acknowledged(line) => report(&line),
            }
            if self.is_done.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    fn after(&self, millis: u64) -> Time {
        self.runtime.clock().now() + Duration::from_millis(millis)
    }

    fn end(&self) {
        self.is_done.store(true, Ordering::Relaxed);
    }

    /// Waits for the next update, or for what is due. `None` once no update will come.
    async fn next(
        &self,
        socket: &mut ClientSocket,
        due: &mut Vec<(Time, Due)>,
        asked: &mut FuturesUnordered<Asked>,
        is_over: bool,
    ) -> Option<Next> {
        // Of two at one time the first comes first.
        let at = (0..due.len()).min_by_key(|&at| due[at].0);
        let until = at.map(|at| due[at].0);
        let mut sleep = pin!(async {
            match until {
                Some(until) => drop(self.runtime.sleep_until(until).await),
                None => std::future::pending().await,
            }
        });
        let mut update = pin!(async {
            match is_over {
                true => std::future::pending().await,
                false => socket.next().await,
            }
        });
        let next = poll_fn(|cx| {
            if sleep.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(at));
            }
            // Events that are to be acknowledged leave before the next command is obeyed.
            if let Poll::Ready(Some(line)) = asked.poll_next_unpin(cx) {
                return Poll::Ready(Ok(Some(Next::Acknowledged(line))));
            }
            update.as_mut().poll(cx).map(|update| Ok(update.map(Next::Update)))
        })
        .await;
        match next {
            Ok(next) => next,
            Err(at) => at.map(|at| Next::Due(due.remove(at).1)),
        }
    }

    /// Reports an event and acknowledges it, or obeys it.
    async fn event(
        &self,
        socket: &ClientSocket,
        namespace: &str,
        mut event: ClientEvent,
        offline: &mut Offline,
    ) -> Option<Asked> {
        let values = event.args().to_values().unwrap_or_default();
        let args = values.get(1..).unwrap_or_default();
        if event.name() == "cmd" {
            return self.obey(socket, namespace, args, offline).await;
        }
        let shown: Vec<_> = args.iter().map(to_json).collect();
        report(&json!({ "event": "event", "nsp": namespace, "name": event.name(), "args": shown }));
        let response: Vec<_> =
            std::iter::once(Value::String("ack".into())).chain(args.iter().cloned()).collect();
        drop(event.ack().send(&Spread(&response)).await);
        None
    }

    /// Does what the server asks for. Returns what waits for an acknowledgement.
    async fn obey(
        &self,
        socket: &ClientSocket,
        namespace: &str,
        args: &[Value],
        offline: &mut Offline,
    ) -> Option<Asked> {
        let name = || args.get(1).and_then(Value::as_str).unwrap_or_default().to_owned();
        let values = || {
            let values = args.get(2).and_then(Value::as_array).unwrap_or_default();
            values.iter().map(with_binary).collect::<Vec<_>>()
        };
        match args.first().and_then(Value::as_str) {
            Some("emit") => drop(socket.emit(&*name(), &Spread(&values())).await),
            Some("emit-ack") => {
                let timeout = args.get(3).and_then(Value::as_u64).map(Duration::from_millis);
                let asked = ask(socket.handle(), namespace.to_owned(), name(), values(), timeout);
                return Some(Box::pin(asked));
            }
            Some("emit-offline") => offline.emits.push((name(), values())),
            Some("volatile-offline") => offline.volatile.push((name(), values())),
            Some("disconnect") => {
                socket.disconnect();
            }
            Some("exit") => self.end(),
            _ => {}
        }
        None
    }
}

/// Something to report or to do.
enum Next {
    Update(Update),
    Due(Due),
    /// The line of an acknowledgement.
    Acknowledged(Json),
}

/// Gives the line of an acknowledgement.
type Asked = Pin<Box<dyn Future<Output = Json>>>;

/// Emits an event, and waits for its acknowledgement. Returns the line to report.
async fn ask(
    socket: ClientRef,
    namespace: String,
    name: String,
    args: Vec<Value>,
    timeout: Option<Duration>,
) -> Json {
    let emitter = socket.timeout(timeout.unwrap_or(Duration::MAX));
    match emitter.emit_with_ack_args(&*name, &Spread(&args)).await {
        Ok(args) => {
            let args: Vec<_> = args.to_values().unwrap_or_default().iter().map(to_json).collect();
            json!({ "event": "ack", "nsp": namespace, "name": name, "args": args })
        }
        Err(_) => json!({ "event": "ack", "nsp": namespace, "name": name, "timeout": true }),
    }
}

/// Reports an attempt to connect, which all sockets make together, for the first of them.
fn report_attempt(due: &Due, is_first: bool) {
    if let (Due::Attempt(n), true) = (due, is_first) {
        report(&json!({ "event": "reconnect_attempt", "n": n }));
    }
}

fn failed(namespace: &str, error: &dyn Error) -> Json {
    let message = error.to_string();
    json!({ "event": "connect_error", "nsp": namespace, "message": message, "data": null })
}

fn refused(namespace: &str, error: &ConnectError) -> Json {
    let data = error
        .data()
        .and_then(|data| data.to_value().ok())
        .map_or(Json::Null, |data| to_json(&data));
    json!({ "event": "connect_error", "nsp": namespace, "message": error.message(), "data": data })
}

/// A value as it is printed: binary data are `{"$bin": BASE64}`.
fn to_json(value: &Value) -> Json {
    match value {
        Value::Binary(bytes) => json!({ "$bin": STANDARD.encode(bytes) }),
        Value::Array(values) => values.iter().map(to_json).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), to_json(value)))
            .collect::<Map<_, _>>()
            .into(),
        value => value.to_json().unwrap_or(Json::Null),
    }
}

/// A value that is given as it is printed.
fn with_binary(value: &Value) -> Value {
    let encoded = value.get("$bin").and_then(Value::as_str);
    if let Some(bytes) = encoded.and_then(|encoded| STANDARD.decode(encoded).ok()) {
        return Value::Binary(bytes.into());
    }
    match value {
        Value::Array(values) => Value::Array(values.iter().map(with_binary).collect()),
        Value::Object(members) => Value::Object(
            members.iter().map(|(name, value)| (name.clone(), with_binary(value))).collect(),
        ),
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_data_are_printed_as_they_are_given() {
        let given = Value::from(json!({ "a": [{ "$bin": "AQI=" }, 1, null] }));
        let value = with_binary(&given);
        let bytes = value.get("a").and_then(|list| list.as_array()?.first()?.as_bytes());
        assert_eq!(bytes.map(|bytes| &bytes[..]), Some(&[1, 2][..]));
        assert_eq!(to_json(&value), to_json(&given));
    }
}
