//! The application that most scenarios have: it numbers what it sends, and looks at what it gets.

use std::{collections::BTreeMap, time::Duration};

use enginewire::{CloseReason, Encoded, Message, SendError, Time};

use crate::{
    application::{Application, End, EndId},
    ledger::Repeats,
    random::Random,
};

/// Both sides send numbered messages of all sizes, text and binary, and check that each comes once and
/// in order.
#[derive(Default)]
pub struct Numbered {
    /// How they talk.
    pub manner: Manner,
    talks: BTreeMap<EndId, Talk>,
    last_name: u64,
}

/// How the ends talk. By default they say nothing of their own accord.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// The longest time between two bursts. None if it is zero.
    pub pause: Duration,
    /// Messages of the largest burst.
    pub burst: usize,
    /// Bytes of the largest message.
    pub size: usize,
    /// How often out of a thousand a message makes an application slow, for at most [`pause`](Self::pause).
    pub slow: u64,
    /// How often out of a thousand an end closes, rather than to send a burst.
    pub close: u64,
}

/// What one end has said and heard.
#[derive(Clone, Debug, Default)]
pub struct Talk {
    /// A name of its own, so that nobody gets what was for another.
    name: u64,
    /// Messages that were taken.
    pub sent: u64,
    /// Messages that came, those included that went to a proxy on their way.
    pub received: u64,
    /// How many of them went to a proxy, and how often that happened.
    pub missed: u64,
    gaps: u32,
    /// How many came once more, which are not counted above, in how many POSTs, and which one would be
    /// the next of that POST.
    pub again: u64,
    reruns: u32,
    rerun: Option<u64>,
    /// Whose messages.
    from: Option<u64>,
    /// How many more are to be sent.
    owed: usize,
    /// There was no room.
    full: bool,
    /// How often it opened.
    pub opened: u32,
    /// How often it moved to a WebSocket.
    pub upgraded: u32,
    /// How it ended.
    pub closed: Option<CloseReason>,
    slow: bool,
}

impl Numbered {
    /// Ends that talk like this.
    pub fn new(manner: Manner) -> Self {
        Self { manner, ..Self::default() }
    }

    /// What this end has said and heard.
    pub fn talk(&self, id: EndId) -> Talk {
        self.talks.get(&id).cloned().unwrap_or_default()
    }

    /// What the client of this life has said and heard.
    pub fn client(&self, life: u64) -> Talk {
        self.talk(EndId::Client(life))
    }

    /// What the server's side of this life's session has. If the server has more than one, because an
    /// answer to a handshake was lost: of the one that has talked with the client, or the youngest.
    pub fn server(&self, life: u64) -> Talk {
        let client = self.client(life);
        let of_life = |(id, _): &(&EndId, &Talk)| matches!(id, EndId::Server(at, _) if *at == life);
        let talks = self.talks.iter().filter(of_life).map(|(_, talk)| talk);
        let rank = |talk: &&Talk| {
            let known = client.from == Some(talk.name) || talk.from == Some(client.name);
            (known && client.name > 0, talk.name)
        };
        talks.max_by_key(rank).cloned().unwrap_or_default()
    }

    /// All ends there were.
    pub fn talks(&self) -> impl Iterator<Item = (EndId, &Talk)> {
        self.talks.iter().map(|(&id, talk)| (id, talk))
    }

    /// Sends so many messages, as soon as there is room.
    pub fn burst(&mut self, end: &mut End<'_>, messages: usize) {
        self.start(end).owed += messages;
        self.pay(end);
    }

    /// Checks that what either side of this life has sent has come.
    pub fn assert_all_came(&self, life: u64) {
        let (client, server) = (self.client(life), self.server(life));
        assert_eq!(client.received, server.sent, "life {life}: {client:?} {server:?}");
        self.assert_server_got_all(life);
    }

    /// The same of a client that polls and some of whose messages, the last ones included, a proxy may
    /// have taken in its place, see [`Repeats::gets`].
    pub fn assert_server_got_all(&self, life: u64) {
        let (client, server) = (self.client(life), self.server(life));
        assert!(client.received <= server.sent, "life {life}: {client:?} {server:?}");
        assert_eq!(server.received, client.sent, "life {life}: {client:?} {server:?}");
        assert_eq!((client.owed, server.owed), (0, 0), "life {life}");
    }

    /// Forgets ends that are over, so that a long run stays small.
    pub fn forget_closed(&mut self) {
        self.talks.retain(|_, talk| talk.closed.is_none());
    }

    fn start(&mut self, end: &End<'_>) -> &mut Talk {
        let last_name = &mut self.last_name;
        self.talks.entry(end.id()).or_insert_with(|| {
            *last_name += 1;
            Talk { name: *last_name, ..Talk::default() }
        })
    }

    fn pay(&mut self, end: &mut End<'_>) {
        let largest = self.manner.size;
        let talk = self.start(end);
        while talk.owed > 0 && !talk.full && end.is_open() {
            let size = end.random().size(largest);
            let message = message(talk.name, talk.sent, size, end.random());
            match end.send(message) {
                Ok(()) => {
                    talk.sent += 1;
                    talk.owed -= 1;
                }
                Err(error) => match error.reason {
                    SendError::Full { .. } => talk.full = true,
                    other => panic!("{:?} is open and takes nothing: {other}", end.id()),
                },
            }
        }
    }

    fn rest(&self, end: &mut End<'_>) {
        if !self.manner.pause.is_zero() {
            let wait = end.random().shorter(self.manner.pause);
            end.wake_after(wait);
        }
    }
}

impl Talk {
    /// Whether this may be the next message. What a proxy has repeated may come once more, in one go for
    /// each POST, and what it was given in the client's place is missing, in one go for each GET.
    fn takes(&mut self, is_client: bool, number: u64, repeats: Repeats) -> bool {
        match is_client {
            false if number < self.received => {
                if self.rerun != Some(number) {
                    self.reruns += 1;
                }
                self.rerun = Some(number + 1);
                self.again += 1;
                return self.reruns <= repeats.posts;
            }
            true if number > self.received => {
                self.gaps += 1;
                self.missed += number - self.received;
                self.received = number;
                return self.gaps <= repeats.gets;
            }
            _ => {}
        }
        self.rerun = None;
        number == self.received
    }
}

impl Application for Numbered {
    fn handle_opened(&mut self, end: &mut End<'_>) {
        let talk = self.start(end);
        talk.opened += 1;
        assert_eq!(talk.opened, 1, "{:?}", end.id());
        self.rest(end);
    }

    fn handle_message(&mut self, end: &mut End<'_>, message: Message) {
        let slow = self.manner.slow;
        let (id, repeats) = (end.id(), end.repeats());
        let is_client = matches!(id, EndId::Client(_));
        let talk = self.start(end);
        assert!(talk.closed.is_none(), "{id:?} hears something after its end");
        let (from, number) = parse(&message);
        let is_known =
            *talk.from.get_or_insert(from) == from && talk.takes(is_client, number, repeats);
        let (expected, whose) = (talk.received, talk.from);
        assert!(
            is_known,
            "{id:?}: lost, twice, or out of order: {number} of {from}, not {expected} of {whose:?}"
        );
        if number != expected {
            return;
        }
        talk.received += 1;
        if slow > 0 && !talk.slow && end.random().chance(slow) {
            talk.slow = true;
            end.pause();
            self.rest(end);
        }
    }

    fn handle_writable(&mut self, end: &mut End<'_>) {
        self.start(end).full = false;
        self.pay(end);
    }

    fn handle_upgraded(&mut self, end: &mut End<'_>) {
        let talk = self.start(end);
        talk.upgraded += 1;
        assert_eq!(talk.upgraded, 1, "{:?}", end.id());
    }

    fn handle_wake(&mut self, end: &mut End<'_>) {
        let manner = self.manner.clone();
        let talk = self.start(end);
        if std::mem::take(&mut talk.slow) {
            // Woken for this, or for the next burst: there is one wake fewer to come either way.
            end.resume();
            return;
        }
        if manner.pause.is_zero() || !end.is_open() {
            return;
        }
        if end.random().chance(manner.close) {
            return if end.random().chance(700) { end.close() } else { end.abort() };
        }
        talk.owed = talk.owed.max(end.random().size(manner.burst));
        self.pay(end);
        self.rest(end);
    }

    fn handle_closed(&mut self, _now: Time, id: EndId, reason: &CloseReason) {
        let talk = self.talks.entry(id).or_default();
        assert_eq!(talk.closed, None, "{id:?} is over twice");
        talk.closed = Some(reason.clone());
    }
}

fn message(name: u64, number: u64, size: usize, random: &mut Random) -> Encoded {
    let mut text = format!("{name} {number} ");
    let fill = size.saturating_sub(text.len());
    if random.chance(300) {
        let mut bytes = text.into_bytes();
        bytes.resize(bytes.len() + fill, 0xc3);
        return bytes.into();
    }
    // Two bytes a character, and what encodings trip over; but not the separator of revision 4, by
    // which a payload would fall apart.
    text.push_str(if random.chance(500) { "\u{2028}\\n" } else { "" });
    text.extend(std::iter::repeat_n('\u{e9}', fill / 2));
    text.into()
}

fn parse(message: &Message) -> (u64, u64) {
    let bytes = match message {
        Message::Text(text) => text.as_str().as_bytes(),
        Message::Binary(bytes) => bytes,
    };
    let mut words = bytes.split(|&byte| byte == b' ').map(|word| {
        let word = String::from_utf8_lossy(word);
        word.parse().unwrap_or_else(|_| panic!("a message that nobody has sent: {word}"))
    });
    match (words.next(), words.next()) {
        (Some(name), Some(number)) => (name, number),
        _ => panic!("a message that nobody has sent: {message:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Repeats = Repeats { gets: 1, posts: 0 };
    const POST: Repeats = Repeats { gets: 0, posts: 1 };
    const NONE: Repeats = Repeats { gets: 0, posts: 0 };

    /// Whether an end takes each of these, when this was repeated.
    fn takes(client: bool, repeats: Repeats, numbers: &[u64]) -> Vec<bool> {
        let mut talk = Talk::default();
        let each = numbers.iter().map(|&number| {
            let before = talk.received;
            let is_known = talk.takes(client, number, repeats);
            talk.received += u64::from(is_known && number >= before);
            is_known
        });
        each.collect()
    }

    #[test]
    fn what_is_lost_or_comes_twice_is_a_failure_unless_that_was_repeated() {
        for client in [true, false] {
            for repeats in [NONE, GET, POST] {
                assert_eq!(takes(client, repeats, &[0, 1, 2]), [true; 3]);
                let missed = client && repeats == GET;
                assert_eq!(takes(client, repeats, &[0, 2]), [true, missed]);
                let again = !client && repeats == POST;
                assert_eq!(takes(client, repeats, &[0, 1, 0]), [true, true, again]);
            }
        }
    }

    #[test]
    fn a_post_that_comes_again_does_so_in_one_go_and_once() {
        assert_eq!(takes(false, POST, &[0, 1, 2, 1, 2, 3, 4]), [true; 7]);
        assert_eq!(takes(false, POST, &[0, 1, 0, 0]), [true, true, true, false]);
        assert_eq!(takes(false, POST, &[0, 1, 2, 0, 2]), [true, true, true, true, false]);
        assert_eq!(takes(false, POST, &[0, 1, 0, 2, 1]), [true, true, true, true, false]);
    }

    #[test]
    fn an_answer_that_a_proxy_got_is_missing_in_one_go() {
        assert_eq!(takes(true, GET, &[0, 3, 4, 6]), [true, true, true, false]);
    }
}
