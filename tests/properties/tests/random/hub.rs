//! A hub: a few clients that mostly do as they should, each on as many connections as it needs.

use enginewire::{Message, Packet, Revision, codec};
use enginewire_properties::hub;
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    assert_worth, config,
    letters::{Script, line, message, operation, options, payload},
    share,
};

/// What the client does of whose session the number is, or the application to it.
#[derive(Clone, Debug)]
enum Op {
    /// One more opens a session, maybe on a WebSocket, maybe of revision 3.
    Join(bool, bool),
    Listen(u8),
    Say(u8, Vec<Message>),
    Upgrade(u8),
    /// 25 s pass, and all answer the ping, or send theirs.
    Beat,
    Send(u8, Message),
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
    let first = any::<[bool; 2]>();
    (options(OPTIONS), first, vec(op(), 0..40), ends).prop_map(
        |(letters, [websocket, old], ops, end)| {
            let mut writer = Writer::new(&letters);
            writer.write(&Op::Join(websocket, old));
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
        6 => any::<[bool; 2]>().prop_map(|[websocket, old]| Op::Join(websocket, old)),
        20 => who().prop_map(Op::Listen),
        24 => (who(), vec(message(), 1..3)).prop_map(|(who, messages)| Op::Say(who, messages)),
        16 => who().prop_map(Op::Upgrade),
        3 => Just(Op::Beat),
        20 => (who(), message()).prop_map(|(who, message)| Op::Send(who, message)),
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
    /// Revision 3 is allowed.
    allows: bool,
    connections: u8,
    clients: Vec<Client>,
}

/// Connections by their numbers.
#[derive(Clone)]
struct Client {
    session: u8,
    revision: Revision,
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
            allows: letters.contains('3'),
            connections: 0,
            clients: Vec::new(),
        }
    }

    fn write(&mut self, op: &Op) {
        match op {
            Op::Join(websocket, old) => {
                let old = *old && self.allows;
                self.join(*websocket, if old { Revision::V3 } else { Revision::V4 });
            }
            Op::Listen(who) => {
                let Some(client) = self.client(*who) else { return };
                if !client.websocket && !client.waits {
                    client.waits = !std::mem::take(&mut client.queued);
                    let request = [b'g', client.on, client.session];
                    self.script.extend(request);
                }
                self.script.push(b'd');
            }
            Op::Say(who, messages) => {
                let packets: Vec<_> = messages.iter().cloned().map(Packet::Message).collect();
                self.say(*who, &packets);
            }
            Op::Upgrade(who) => self.upgrade(*who),
            Op::Beat => {
                self.script.extend([b'*', 25, b'd']);
                for who in 0..self.clients.len() {
                    let beat = match self.clients[who].revision {
                        Revision::V4 => Packet::Pong("".into()),
                        Revision::V3 => Packet::Ping("".into()),
                    };
                    self.say(u8::try_from(who).unwrap(), &[beat]);
                }
            }
            Op::Send(who, message) => {
                let letter = if message.is_binary() { b'B' } else { b'm' };
                self.send(*who, letter, |script| line(script, message.payload()));
            }
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

    fn join(&mut self, websocket: bool, revision: Revision) {
        // The hub of the script takes eight connections, and a client needs three.
        if self.clients.len() == 3 {
            return;
        }
        let on = self.accept();
        let letter = match (revision, websocket) {
            (Revision::V4, false) => b'o',
            (Revision::V4, true) => b'O',
            (Revision::V3, false) => b'v',
            (Revision::V3, true) => b'V',
        };
        self.script.extend([letter, on, b'd']);
        if self.asks {
            self.script.extend([b'y', on, b'd']);
        }
        let session = b'0' + u8::try_from(self.clients.len()).unwrap();
        self.clients.push(Client {
            session,
            revision,
            on,
            posts: None,
            websocket,
            waits: false,
            queued: false,
        });
    }

    fn say(&mut self, who: u8, packets: &[Packet]) {
        let Some(client) = self.client(who).cloned() else { return };
        if client.websocket {
            for packet in packets {
                let frame = codec::encode_frame(client.revision, packet.into(), false);
                let first: &[u8] =
                    if frame.binary { &[b'f', client.on, 0x82] } else { &[b't', client.on] };
                self.script.extend_from_slice(first);
                self.script.extend(frame.prefix);
                line(&mut self.script, &frame.payload);
            }
        } else {
            let on = client.posts.unwrap_or_else(|| self.accept());
            self.client(who).unwrap().posts = Some(on);
            self.script.extend([b'p', on, client.session]);
            line(&mut self.script, &payload(client.revision, true, packets).0);
        }
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

#[test]
fn most_scripts_are_heard_as_they_are_said() {
    let found = share(scripts(), |script| hub::heard(script) > 1);
    assert!(found >= 75, "{found}");
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
    ("oOvVelWcAPRyr", "n"),
    ("gu", "nn"),
    ("ph", "nnt"),
    ("tbmB", "nt"),
    ("f", "nkt"),
    ("wM", "nk"),
    ("+*", "k"),
];
