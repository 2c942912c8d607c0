//! A whole client: a server that mostly does as it should, on whatever connections the client asks for.

use enginewire_properties::client_hub;
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    assert_worth, config,
    letters::{Script, line, operation, options, text},
};

#[derive(Clone, Debug)]
enum Op {
    /// The server says this, once the connections have rested.
    Deliver(String),
    Send(String),
    /// It has what was posted.
    Accept,
    /// The WebSocket that is tried opens, and some things happen until polling pauses.
    Upgrade(Vec<Op>),
    Do(&'static str),
    Pass(u8),
    Any(Vec<u8>),
}

fn scripts() -> impl Strategy<Value = Script> {
    // Now and then the first answer is something else.
    let first = select([&["O"; 12][..], &["o", "o", "a", "x"]].concat());
    let ends = select(vec!["", "C", "mlast\nC", "K"]);
    (options(OPTIONS), any::<[u8; 4]>(), first, vec(op(), 0..40), ends).prop_map(
        |(letters, reads, first, ops, end)| {
            let mut writer = Writer::new(&letters, reads, first);
            ops.iter().for_each(|op| writer.write(op));
            writer.script.extend_from_slice(end.as_bytes());
            Script(writer.script)
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => simple(),
        6 => vec(simple(), 0..4).prop_map(Op::Upgrade),
        1 => operation(OPERATIONS).prop_map(Op::Any),
    ]
}

fn simple() -> impl Strategy<Value = Op> {
    prop_oneof![
        80 => text().prop_map(|text| Op::Deliver(format!("4{text}"))),
        10 => select(vec!["2", "6", "4a\u{1e}4b", "2\u{1e}4c"]).prop_map(|body| Op::Deliver(body.to_owned())),
        80 => text().prop_map(Op::Send),
        80 => Just(Op::Accept),
        1 => Just(Op::Deliver("1".to_owned())),
        20 => select(vec!["E", "&", "W0", "W1", "p0"]).prop_map(Op::Do),
        3 => select(vec!["T", "k0", "x1", "e0", "r1", "w1\u{3}", "z1\u{2}"]).prop_map(Op::Do),
        10 => (0u8..30).prop_map(Op::Pass),
    ]
}

/// Knows what each connection is for, as long as nothing goes wrong.
struct Writer {
    script: Vec<u8>,
    now: u32,
    /// In the order in which the client asked for them.
    links: Vec<Link>,
    /// The index of the one that is the transport.
    websocket: Option<u8>,
    /// An upgrade was offered and not tried.
    offered: bool,
    queued: bool,
}

#[derive(PartialEq, Eq)]
enum Link {
    /// Since when.
    Idle(u32),
    Get,
    Post,
    WebSocket,
}

impl Writer {
    fn new(letters: &str, reads: [u8; 4], first: &str) -> Self {
        let mut writer = Self {
            script: [letters.as_bytes(), b":", &reads, b"c0"].concat(),
            now: 0,
            links: Vec::new(),
            websocket: None,
            offered: false,
            queued: false,
        };
        if letters.contains('w') || (letters.contains(['B', 'r']) && !letters.contains('p')) {
            writer.script.extend(b"u0o0");
            writer.links.push(Link::WebSocket);
            writer.websocket = Some(0);
            return writer;
        }
        writer.script.extend_from_slice(first.as_bytes());
        writer.script.extend(if first == "a" { &b"06\n"[..] } else { b"0" });
        writer.links.push(Link::Idle(0));
        writer.offered = first == "O" && !letters.contains('p');
        if writer.offered {
            writer.open(Link::WebSocket);
        }
        writer.open(Link::Get);
        writer
    }

    fn write(&mut self, op: &Op) {
        match op {
            Op::Deliver(packet) => self.deliver(packet),
            Op::Send(text) => {
                self.script.push(b'm');
                line(&mut self.script, text.as_bytes());
                let posts = self.links.contains(&Link::Post);
                self.queued = posts && self.websocket.is_none();
                if !posts && self.websocket.is_none() {
                    self.open(Link::Post);
                }
            }
            Op::Accept => {
                let Some(at) = self.links.iter().position(|link| *link == Link::Post) else {
                    return;
                };
                self.answer(at, "ok");
                if std::mem::take(&mut self.queued) {
                    self.open(Link::Post);
                }
            }
            Op::Upgrade(between) => {
                let at = self.links.iter().position(|link| *link == Link::WebSocket);
                let Some(at) = at.filter(|_| std::mem::take(&mut self.offered)) else { return };
                let on = u8::try_from(at).unwrap();
                self.script.extend([b'u', b'0' + on]);
                between.iter().for_each(|op| self.write(op));
                self.script.extend([b't', b'0' + on]);
                line(&mut self.script, b"3probe");
                for (link, body) in [(Link::Get, "6"), (Link::Post, "ok")] {
                    if let Some(at) = self.links.iter().position(|other| *other == link) {
                        self.answer(at, body);
                    }
                }
                self.websocket = Some(on);
            }
            Op::Do(letters) => self.script.extend_from_slice(letters.as_bytes()),
            Op::Pass(millis) => self.pass(*millis),
            Op::Any(operation) => self.script.extend_from_slice(operation),
        }
    }

    fn deliver(&mut self, packet: &str) {
        if let Some(on) = self.websocket {
            self.script.extend([b't', b'0' + on]);
            return line(&mut self.script, packet.as_bytes());
        }
        let Some(at) = self.links.iter().position(|link| *link == Link::Get) else { return };
        self.pass(REST);
        self.answer(at, packet);
        self.open(Link::Get);
    }

    fn answer(&mut self, at: usize, body: &str) {
        self.script.extend([b'a', b'0' + u8::try_from(at).unwrap()]);
        line(&mut self.script, body.as_bytes());
        self.links[at] = Link::Idle(self.now);
    }

    /// For a request the client takes what has rested longest, or asks for one more.
    fn open(&mut self, link: Link) {
        let now = self.now;
        let rested = self.links.iter().enumerate().filter_map(|(at, link)| match link {
            Link::Idle(since) if since + u32::from(REST) <= now => Some((*since, at)),
            _ => None,
        });
        if let Some((_, at)) = rested.min().filter(|_| link != Link::WebSocket) {
            self.links[at] = link;
        } else {
            self.script.extend([b'c', b'0' + u8::try_from(self.links.len()).unwrap()]);
            self.links.push(link);
        }
    }

    fn pass(&mut self, millis: u8) {
        self.script.extend([b'+', millis]);
        self.now += u32::from(millis);
    }
}

proptest! {
    #![proptest_config(config(3000))]

    #[test]
    fn does_the_same_however_the_bytes_are_cut(script in scripts()) {
        client_hub::run(&script.0);
    }
}

#[test]
fn most_scripts_open_exchange_and_upgrade() {
    assert_worth(scripts(), client_hub::run, [80, 60, 70, 25]);
}

/// Milliseconds after which the client uses a connection again, as its own tests say.
const REST: u8 = 25;

const OPTIONS: &[(char, u8)] = &[
    ('3', 20),
    ('w', 12),
    ('p', 10),
    ('B', 12),
    ('a', 4),
    ('r', 14),
    ('b', 5),
    ('n', 10),
    ('t', 10),
    ('z', 20),
    ('Q', 4),
    ('R', 4),
    ('K', 8),
    ('F', 8),
];

const OPERATIONS: &[(&str, &str)] = &[
    ("&ETCK", ""),
    ("crxeoOuUpkW", "n"),
    ("aAtb", "nt"),
    ("hzw", "nk"),
    ("mM", "t"),
    ("+*y", "k"),
];
