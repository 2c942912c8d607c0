//! One connection with a server, without its bytes: commands in flight, responses and messages.

use std::{collections::VecDeque, mem};

use bytes::Bytes;
use enginewire::Time;

use super::resp::{Decoder, MalformedReply, ServerError, Value, encode};

/// Commands of a connection, and what comes for them. Each has a tag of type `T`.
pub(super) struct Link<T> {
    decoder: Decoder,
    /// Bytes to be written, of which the first have been.
    out: Vec<u8>,
    written: usize,
    in_flight: VecDeque<InFlight<T>>,
    /// The bytes of the commands in flight.
    size: usize,
}

/// How the server responds to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Responds {
    /// With a value.
    InTurn,
    /// With a push, or with an error in turn.
    ByPush,
    /// With a push that also comes by itself, or with an error in turn. The response to a PING behind it ends it.
    ///
    /// A server of a Redis Cluster ends subscriptions to channels whose slot it gives away by the same push. So the push
    /// does not tell whether the command is carried out.
    Fenced,
}

struct InFlight<T> {
    tag: T,
    responds: Responds,
    size: usize,
    /// When the response is late.
    deadline: Time,
    /// Error of one that is [fenced](Responds::Fenced), ahead of the response to the PING.
    failed: Option<ServerError>,
}

/// Something that the server sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming<T> {
    /// The response to a command.
    Response(T, Result<Value, ServerError>),
    /// A message of a channel. `None` if it was larger than the limit.
    Message { channel: Bytes, message: Option<Bytes> },
    /// A subscription to the channel of a shard has ended, and so many are left: the node has ended it, or the server,
    /// because the channel has moved to another one.
    Unsubscribed { channel: Bytes, left: usize },
}

impl<T> Link<T> {
    /// Creates a connection that takes values of up to `max` bytes.
    pub(super) fn new(max: usize) -> Self {
        Self {
            decoder: Decoder::new(max),
            out: Vec::new(),
            written: 0,
            in_flight: VecDeque::new(),
            size: 0,
        }
    }

    /// Queues a command. Its response is late at `deadline`.
    pub(super) fn push(&mut self, tag: T, responds: Responds, deadline: Time, arguments: &[&[u8]]) {
        let before = self.out.len();
        encode(&mut self.out, arguments);
        if responds == Responds::Fenced {
            encode(&mut self.out, &[b"PING"]);
        }
        self.queue(tag, responds, deadline, self.out.len() - before);
    }

    /// Queues a command that is encoded, with its fence.
    pub(super) fn push_encoded(
        &mut self,
        tag: T,
        responds: Responds,
        deadline: Time,
        command: &[u8],
    ) {
        self.out.extend_from_slice(command);
        self.queue(tag, responds, deadline, command.len());
    }

    fn queue(&mut self, tag: T, responds: Responds, deadline: Time, size: usize) {
        self.size += size;
        let command = InFlight { tag, responds, size, deadline, failed: None };
        self.in_flight.push_back(command);
    }

    /// Returns the number of commands without a response, and their bytes.
    pub(super) fn in_flight(&self) -> (usize, usize) {
        (self.in_flight.len(), self.size)
    }

    /// Returns when the next response is late.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.in_flight.front().map(|command| command.deadline)
    }

    /// Returns the bytes to be written.
    pub(super) fn output(&self) -> &[u8] {
        &self.out[self.written..]
    }

    /// Notes that bytes of the output were written.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
        if self.written == self.out.len() {
            self.written = 0;
            // A large one is given back.
            if self.out.capacity() > KEPT { self.out = Vec::new() } else { self.out.clear() }
        } else if self.written > KEPT && self.written > self.out.len() / 2 {
            // Moves fewer bytes than were written since.
            self.out.drain(..mem::take(&mut self.written));
        }
    }

    /// Takes bytes of the server.
    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.decoder.extend(bytes);
    }

    /// Returns the next thing that has come whole.
    pub(super) fn poll(&mut self) -> Result<Option<Incoming<T>>, MalformedReply> {
        while let Some(value) = self.decoder.poll()? {
            let incoming = match value {
                Value::Push(items) => self.handle_push(items)?,
                Value::Error(error) => self.respond(Err(error))?,
                value => self.respond(Ok(value))?,
            };
            if incoming.is_some() {
                return Ok(incoming);
            }
        }
        Ok(None)
    }

    /// Returns the tags of the commands without a response, in order. They are not waited for any longer.
    pub(super) fn abandon(&mut self) -> impl Iterator<Item = T> {
        self.size = 0;
        mem::take(&mut self.in_flight).into_iter().map(|command| command.tag)
    }

    fn respond(
        &mut self,
        response: Result<Value, ServerError>,
    ) -> Result<Option<Incoming<T>>, MalformedReply> {
        let without = MalformedReply::of("a response without a command");
        let command = self.in_flight.front_mut().ok_or(without)?;
        match (command.responds, &response) {
            (Responds::Fenced, Err(error)) if command.failed.is_none() => {
                command.failed = Some(error.clone());
                return Ok(None);
            }
            (Responds::ByPush, Ok(_)) => return Err(without),
            _ => {}
        }
        let command = self.in_flight.pop_front().ok_or(without)?;
        self.size -= command.size;
        // That another server is to be asked is followed, behind the commands ahead of it.
        let response = response.and_then(|value| command.failed.map_or(Ok(value), Err));
        Ok(Some(Incoming::Response(command.tag, response)))
    }

    fn handle_push(&mut self, items: Vec<Value>) -> Result<Option<Incoming<T>>, MalformedReply> {
        let mut items = items.into_iter();
        let kind = items.next();
        let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default();
        match kind {
            "message" | "smessage" => Ok(message(items.next(), items.next())),
            "pmessage" => {
                // Behind the pattern.
                items.next();
                Ok(message(items.next(), items.next()))
            }
            "sunsubscribe" => {
                let Some(Value::Text(channel)) = items.next() else { return Ok(None) };
                Ok(Some(Incoming::Unsubscribed { channel, left: count(items.next()) }))
            }
            "subscribe" | "psubscribe" | "ssubscribe" | "unsubscribe" | "punsubscribe" => {
                let without = MalformedReply::of("a confirmation without a command");
                let is_awaited = |it: &&InFlight<T>| it.responds == Responds::ByPush;
                self.in_flight.front().filter(is_awaited).ok_or(without)?;
                let command = self.in_flight.pop_front().ok_or(without)?;
                self.size -= command.size;
                let subscriptions = items.nth(1).unwrap_or(Value::Null);
                Ok(Some(Incoming::Response(command.tag, Ok(subscriptions))))
            }
            // Others are of features that this client does not use.
            _ => Ok(None),
        }
    }
}

fn message<T>(channel: Option<Value>, message: Option<Value>) -> Option<Incoming<T>> {
    let Some(Value::Text(channel)) = channel else { return None };
    let message = match message {
        Some(Value::Text(message)) => Some(message),
        _ => None,
    };
    Some(Incoming::Message { channel, message })
}

/// The number of subscriptions of a connection.
fn count(number: Option<Value>) -> usize {
    match number {
        Some(Value::Integer(number)) => usize::try_from(number).unwrap_or(0),
        _ => 0,
    }
}

/// A larger buffer is given back when it is empty.
const KEPT: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link<u32> {
        Link::new(1 << 16)
    }

    fn push(link: &mut Link<u32>, tag: u32, responds: Responds) {
        link.push(tag, responds, Time::from_millis(tag.into()), &[b"X", b"abc"]);
    }

    fn poll(link: &mut Link<u32>, bytes: &str) -> Vec<Incoming<u32>> {
        link.receive(bytes.as_bytes());
        std::iter::from_fn(|| link.poll().unwrap()).collect()
    }

    #[test]
    fn responses_come_for_commands_in_order() {
        let mut link = link();
        for tag in 1..=3 {
            push(&mut link, tag, Responds::InTurn);
        }
        assert_eq!((link.in_flight(), link.deadline()), ((3, 60), Some(Time::from_millis(1))));
        let all = poll(&mut link, "+OK\r\n-ERR no\r\n");
        let expected = [
            Incoming::Response(1, Ok(Value::Text("OK".into()))),
            Incoming::Response(2, Err("ERR no".into())),
        ];
        assert_eq!(all, expected);
        assert_eq!((link.in_flight(), link.deadline()), ((1, 20), Some(Time::from_millis(3))));
        assert_eq!(link.abandon().collect::<Vec<_>>(), [3]);
        assert_eq!((link.in_flight(), link.deadline()), ((0, 0), None));
    }

    #[test]
    fn subscriptions_are_confirmed_by_pushes_between_messages() {
        let mut link = link();
        push(&mut link, 1, Responds::ByPush);
        push(&mut link, 2, Responds::InTurn);
        push(&mut link, 3, Responds::ByPush);
        let all = poll(
            &mut link,
            ">3\r\n+message\r\n+a\r\n+b\r\n>3\r\n+subscribe\r\n+c\r\n:1\r\n>4\r\n+pmessage\r\n+d*\r\n+de\r\n+f\r\n\
             :5\r\n>2\r\n+invalidate\r\n_\r\n-NOPERM no\r\n>3\r\n+sunsubscribe\r\n+c\r\n:2\r\n",
        );
        let text = |text: &'static str| Bytes::from_static(text.as_bytes());
        let message = |channel, message| Incoming::Message {
            channel: text(channel),
            message: Some(text(message)),
        };
        let expected = [
            message("a", "b"),
            Incoming::Response(1, Ok(Value::Integer(1))),
            message("de", "f"),
            Incoming::Response(2, Ok(Value::Integer(5))),
            Incoming::Response(3, Err("NOPERM no".into())),
            Incoming::Unsubscribed { channel: text("c"), left: 2 },
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn message_beyond_the_limit_is_told_without_its_bytes() {
        let mut link = Link::<u32>::new(1000);
        let bytes = format!(">3\r\n+smessage\r\n+a\r\n$5000\r\n{}\r\n", "x".repeat(5000));
        link.receive(bytes.as_bytes());
        let expected = Incoming::Message { channel: "a".into(), message: None };
        assert_eq!(link.poll(), Ok(Some(expected)));
    }

    #[test]
    fn response_without_a_command_is_an_error() {
        assert!(
            {
                let mut link = link();
                link.receive(b"+OK\r\n");
                link.poll()
            }
            .is_err()
        );
        let mut link = link();
        push(&mut link, 1, Responds::ByPush);
        link.receive(b"+OK\r\n");
        assert!(link.poll().is_err(), "a subscription is confirmed by a push");
        let mut link = Link::<u32>::new(1 << 16);
        push(&mut link, 1, Responds::InTurn);
        link.receive(b">3\r\n+subscribe\r\n+c\r\n:1\r\n");
        assert!(link.poll().is_err(), "it was not asked for");
    }

    /// As Redis 7.0 responds when it gives the slot away, before and behind the command.
    #[test]
    fn end_of_a_subscription_by_the_server_is_no_response() {
        let gone = ">3\r\n+sunsubscribe\r\n+c\r\n:0\r\n";
        let moved = "-MOVED 1 a:1\r\n";
        for (bytes, ends) in [
            (format!("{gone}+PONG\r\n"), 1),
            (format!("{gone}{moved}+PONG\r\n"), 1),
            (format!("{moved}+PONG\r\n"), 0),
            (format!("{gone}{gone}+PONG\r\n"), 2),
        ] {
            let mut link = link();
            push(&mut link, 1, Responds::Fenced);
            push(&mut link, 2, Responds::InTurn);
            assert!(link.output().ends_with(b"PING\r\n*2\r\n$1\r\nX\r\n$3\r\nabc\r\n"));
            let all = poll(&mut link, &format!("{bytes}:7\r\n"));
            let end = || Incoming::Unsubscribed { channel: "c".into(), left: 0 };
            let mut expected: Vec<_> = (0..ends).map(|_| end()).collect();
            let response = match bytes.contains(moved) {
                true => Err("MOVED 1 a:1".into()),
                false => Ok(Value::Text("PONG".into())),
            };
            expected.push(Incoming::Response(1, response));
            expected.push(Incoming::Response(2, Ok(Value::Integer(7))));
            assert_eq!(all, expected, "{bytes}");
        }
        let mut link = link();
        push(&mut link, 1, Responds::Fenced);
        let all = poll(&mut link, "-NOPERM no\r\n-LOADING no\r\n");
        assert_eq!(all, [Incoming::Response(1, Err("LOADING no".into()))]);
    }

    #[test]
    fn output_is_written_in_pieces_and_large_buffers_are_given_back() {
        let mut link = link();
        push(&mut link, 1, Responds::InTurn);
        let mut bytes = Vec::new();
        while !link.output().is_empty() {
            bytes.push(link.output()[0]);
            link.wrote(1);
        }
        assert_eq!(bytes, b"*2\r\n$1\r\nX\r\n$3\r\nabc\r\n");
        link.push(2, Responds::InTurn, Time::ZERO, &[&[0; 1 << 20]]);
        link.wrote(link.output().len());
        assert!(link.out.capacity() <= KEPT);
    }
}
