//! A hub: a few clients that mostly do as they should, each on as many connections as it needs.

use enginewire_properties::hub;
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    assert_worth, config,
    letters::{Script, line, operation, options, text},
};

/// What the client does of whose session the number is, or the application to it.
#[derive(Clone, Debug)]
enum Op {
    /// One more opens a session, maybe on a WebSocket.
    Join(bool),
    Listen(u8),
    Say(u8, String),
    Upgrade(u8),
    /// 25 s pass, and all answer the ping.
    Beat,
    Send(u8, String),
    /// Some times 100 bytes.
    SendMuch(u8, u8),
    /// Its connection takes so many bytes, or all again.
    Slow(u8, u8),
    Fast(u8),
    /// The application does this to the session.
    Do(u8, u8),
    /// It closes its side, or is lost.
    Leave(u8, u8),
    Pass(u8),
    Drain(u8),
    Any(Vec<u8>),
}

fn scripts() -> impl Strategy<Value = Script> {
    let ends = select(vec!["", "", "", "C", "mlast\ndC", "X"]);
    (options(OPTIONS), any::<bool>(), vec(op(), 0..40), ends).prop_map(
        |(letters, websocket, ops, end)| {
            let mut writer = Writer::new(&letters);
            writer.write(&Op::Join(websocket));
            for op in &ops {
                writer.write(op);
            }
            writer.script.extend_from_slice(end.as_bytes());
            Script(writer.script)
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    let who = || 0u8..3;
    prop_oneof![
        6 => any::<bool>().prop_map(Op::Join),
        20 => who().prop_map(Op::Listen),
        20 => (who(), text()).prop_map(|(who, text)| Op::Say(who, text)),
        16 => who().prop_map(Op::Upgrade),
        3 => Just(Op::Beat),
        20 => (who(), text()).prop_map(|(who, text)| Op::Send(who, text)),
        2 => (who(), any::<u8>()).prop_map(|(who, much)| Op::SendMuch(who, much)),
        2 => (who(), any::<u8>()).prop_map(|(who, room)| Op::Slow(who, room)),
        2 => who().prop_map(Op::Fast),
        4 => (who(), select(b"PPRRRcA".to_vec())).prop_map(|(who, what)| Op::Do(who, what)),
        1 => (who(), select(b"el".to_vec())).prop_map(|(who, how)| Op::Leave(who, how)),
        2 => (0u8..20).prop_map(Op::Pass),
        10 => select(b"d1".to_vec()).prop_map(Op::Drain),
        4 => operation(OPERATIONS).prop_map(Op::Any),
    ]
}

struct Writer {
    script: Vec<u8>,
    asks: bool,
    connections: u8,
    clients: Vec<Client>,
}

/// Connections by their numbers.
#[derive(Clone)]
struct Client {
    session: u8,
    /// On which it polls, or is a WebSocket.
    on: u8,
    posts: Option<u8>,
    websocket: bool,
    /// A GET waits, as far as one can tell; something waits for a GET.
    waits: bool,
    queued: bool,
}

impl Writer {
    fn new(letters: &str) -> Self {
        Self {
            script: [letters.as_bytes(), b":"].concat(),
            asks: letters.contains('?'),
            connections: 0,
            clients: Vec::new(),
        }
    }

    fn write(&mut self, op: &Op) {
        match op {
            Op::Join(websocket) => self.join(*websocket),
            Op::Listen(who) => {
                let Some(client) = self.client(*who) else { return };
                if !client.websocket && !client.waits {
                    client.waits = !std::mem::take(&mut client.queued);
                    let request = [b'g', client.on, client.session];
                    self.script.extend(request);
                }
                self.script.push(b'd');
            }
            Op::Say(who, text) => self.say(*who, &format!("4{text}")),
            Op::Upgrade(who) => self.upgrade(*who),
            Op::Beat => {
                self.script.extend([b'*', 25, b'd']);
                for who in 0..self.clients.len() {
                    self.say(u8::try_from(who).unwrap(), "3");
                }
            }
            Op::Send(who, text) => self.send(*who, b'm', |script| line(script, text.as_bytes())),
            Op::SendMuch(who, much) => self.send(*who, b'M', |script| script.push(*much)),
            Op::Slow(who, room) => {
                let Some(client) = self.client(*who) else { return };
                let slow = [b'w', client.on, *room];
                self.script.extend(slow);
            }
            Op::Fast(who) => {
                let Some(client) = self.client(*who) else { return };
                let fast = [b'W', client.on];
                self.script.extend(fast);
            }
            Op::Do(who, what) => {
                let Some(client) = self.client(*who) else { return };
                let command = [*what, client.session];
                self.script.extend(command);
            }
            Op::Leave(who, how) => {
                let Some(client) = self.client(*who) else { return };
                let leave = [*how, client.on];
                self.script.extend(leave);
            }
            Op::Pass(millis) => self.script.extend([b'+', *millis]),
            Op::Drain(letter) => self.script.push(*letter),
            Op::Any(operation) => {
                self.connections += u8::from(operation[0] == b'a');
                self.script.extend_from_slice(operation);
            }
        }
    }

    fn client(&mut self, who: u8) -> Option<&mut Client> {
        let clients = self.clients.len();
        self.clients.get_mut(usize::from(who).checked_rem(clients)?)
    }

    fn accept(&mut self) -> u8 {
        let on = b'0' + self.connections;
        self.connections += 1;
        self.script.push(b'a');
        on
    }

    fn join(&mut self, websocket: bool) {
        // The hub of the script takes eight connections, and a client needs three.
        if self.clients.len() == 3 {
            return;
        }
        let on = self.accept();
        self.script.extend([if websocket { b'O' } else { b'o' }, on, b'd']);
        if self.asks {
            self.script.extend([b'y', on, b'd']);
        }
        let session = b'0' + u8::try_from(self.clients.len()).unwrap();
        let client = Client { session, on, posts: None, websocket, waits: false, queued: false };
        self.clients.push(client);
    }

    fn say(&mut self, who: u8, packet: &str) {
        let Some(client) = self.client(who).cloned() else { return };
        if client.websocket {
            self.script.extend([b't', client.on]);
        } else {
            let on = client.posts.unwrap_or_else(|| self.accept());
            self.client(who).unwrap().posts = Some(on);
            self.script.extend([b'p', on, client.session]);
        }
        line(&mut self.script, packet.as_bytes());
        self.script.push(b'd');
    }

    fn upgrade(&mut self, who: u8) {
        let Some(client) = self.client(who).cloned().filter(|client| !client.websocket) else {
            return;
        };
        let on = self.accept();
        self.script.extend([b'u', on, client.session, b'd', b't', on]);
        self.script.extend(b"2probe\ndt");
        self.script.push(on);
        self.script.extend(b"5\nd");
        let client = self.client(who).unwrap();
        (client.on, client.websocket) = (on, true);
    }

    fn send(&mut self, who: u8, letter: u8, what: impl FnOnce(&mut Vec<u8>)) {
        let Some(client) = self.client(who) else { return };
        client.queued = !std::mem::take(&mut client.waits);
        let command = [letter, client.session];
        self.script.extend(command);
        what(&mut self.script);
    }
}

proptest! {
    #![proptest_config(config(2000))]

    #[test]
    fn serves_as_its_peers_may_expect(script in scripts()) {
        hub::run(&script.0);
    }
}

#[test]
fn most_scripts_open_exchange_and_upgrade() {
    assert_worth(scripts(), hub::run, [95, 75, 80, 40]);
}

const OPTIONS: &[(char, u8)] = &[
    ('?', 5),
    ('3', 3),
    ('z', 6),
    ('Q', 4),
    ('R', 4),
    ('P', 8),
    ('H', 20),
    ('F', 8),
    ('S', 8),
    ('l', 4),
];

const OPERATIONS: &[(&str, &str)] = &[
    ("ad1CX", ""),
    ("oOelWcAPRyr", "n"),
    ("gu", "nn"),
    ("ph", "nnt"),
    ("tbm", "nt"),
    ("f", "nkt"),
    ("wM", "nk"),
    ("+*", "k"),
];
