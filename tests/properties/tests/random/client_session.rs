//! A client's session: servers that mostly do as they should.

use enginewire::{Message, Packet, Revision};
use enginewire_properties::client_session;
use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::{
    assert_worth, config,
    letters::{Script, frame, line, message, operation, options, payload, send, text},
};

#[derive(Clone, Debug)]
enum Op {
    /// The server says this, which a GET waits for.
    Deliver(Vec<Message>),
    Send(Message),
    Group(Vec<String>),
    /// What was sent goes out, and the server has it.
    Flush,
    /// The WebSocket that is tried opens: before its probe is answered, and before polling has paused,
    /// other things happen.
    Upgrade {
        before: Vec<Op>,
        behind: Vec<Op>,
    },
    Beat,
    /// The server closes.
    Part,
    Do(&'static str),
    Pass(u8),
    Any(Vec<u8>),
}

fn scripts() -> impl Strategy<Value = Script> {
    // Now and then the first answer is something else.
    let first = select(
        [
            &["O"; 12][..],
            &[
                "o", "g6
AO", "r0", "x",
            ],
        ]
        .concat(),
    );
    let ends = (select(vec!["c", "mlast\nc", "C"]), vec(late(), 0..4));
    (options(OPTIONS), vec(op(), 0..2), first, vec(op(), 0..40), option::of(ends)).prop_map(
        |(letters, early, first, ops, end)| {
            let mut writer = Writer::new(&letters);
            for op in early.iter().filter(|op| matches!(op, Op::Send(_) | Op::Group(_))) {
                writer.write(op);
            }
            writer.script.push(b'A');
            writer.script.extend_from_slice(first.as_bytes());
            for op in &ops {
                writer.write(op);
            }
            if let Some((end, late)) = end {
                writer.script.extend_from_slice(end.as_bytes());
                late.iter().for_each(|op| writer.write(op));
            }
            Script(writer.script)
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    let between = || vec(simple(), 0..4);
    prop_oneof![
        20 => simple(),
        6 => (between(), between()).prop_map(|(before, behind)| Op::Upgrade { before, behind }),
        1 => operation(OPERATIONS).prop_map(Op::Any),
    ]
}

fn simple() -> impl Strategy<Value = Op> {
    prop_oneof![
        40 => vec(message(), 1..4).prop_map(Op::Deliver),
        40 => message().prop_map(Op::Send),
        10 => vec(text(), 0..4).prop_map(Op::Group),
        40 => Just(Op::Flush),
        10 => Just(Op::Beat),
        1 => Just(Op::Part),
        1 => fault(),
        30 => select(vec!["e", "E", "E", "a", "A", "!", "yzT"]).prop_map(Op::Do),
        5 => (0u8..20).prop_map(Op::Pass),
    ]
}

/// What comes once the application has closed.
fn late() -> impl Strategy<Value = Op> {
    prop_oneof![3 => simple(), 2 => Just(Op::Part), 1 => fault()]
}

/// Most of these end the session, if what they need is there: a request under way, a WebSocket.
fn fault() -> impl Strategy<Value = Op> {
    select(vec![
        "Ar4",
        "Ar5",
        "Ax",
        "mlost\nAR4",
        "mlost\nAR5",
        "mlost\nAX",
        "t01\n",
        "t0x\n",
        "F0",
        "v0",
        "Af0",
        "As0t03probe\n",
        "As0W0t04x\n",
    ])
    .prop_map(Op::Do)
}

struct Writer {
    script: Vec<u8>,
    revision: Revision,
    /// A WebSocket is, or may become, the transport.
    websocket: bool,
    upgrades: bool,
}

impl Writer {
    fn new(letters: &str) -> Self {
        let first =
            letters.contains('w') || (letters.contains(['B', 'r']) && !letters.contains('p'));
        Self {
            script: [letters.as_bytes(), b":"].concat(),
            revision: if letters.contains('3') { Revision::V3 } else { Revision::V4 },
            websocket: first,
            upgrades: !first && !letters.contains('p'),
        }
    }

    fn write(&mut self, op: &Op) {
        match op {
            Op::Deliver(messages) => {
                let packets: Vec<_> = messages.iter().cloned().map(Packet::Message).collect();
                self.deliver(&packets);
            }
            Op::Send(message) => send(&mut self.script, message),
            Op::Group(texts) => {
                self.script.push(b'N');
                line(&mut self.script, texts.join(",").as_bytes());
            }
            Op::Flush if self.websocket => self.script.extend(b"W0"),
            Op::Flush => self.script.extend(b"ApA"),
            Op::Upgrade { before, behind } if self.upgrades => {
                self.upgrades = false;
                self.script.extend(b"As0W0");
                before.iter().for_each(|op| self.write(op));
                frame(&mut self.script, self.revision, b'0', &Packet::Pong("probe".into()));
                behind.iter().for_each(|op| self.write(op));
                self.script.extend(b"ApA");
                self.deliver(&[Packet::Noop]);
                self.script.extend(b"AW0");
                self.websocket = true;
            }
            Op::Upgrade { .. } => {}
            Op::Beat if self.revision == Revision::V4 => self.deliver(&[Packet::Ping("".into())]),
            Op::Beat => {
                self.script.push(b'T');
                self.write(&Op::Flush);
                self.deliver(&[Packet::Pong("".into())]);
            }
            Op::Part if self.websocket => self.script.extend(b"l0"),
            Op::Part => self.deliver(&[Packet::Close]),
            Op::Do(letters) => self.script.extend_from_slice(letters.as_bytes()),
            Op::Pass(millis) => self.script.extend([b'+', *millis]),
            Op::Any(operation) => self.script.extend_from_slice(operation),
        }
    }

    fn deliver(&mut self, packets: &[Packet]) {
        if self.websocket {
            for packet in packets {
                frame(&mut self.script, self.revision, b'0', packet);
            }
        } else {
            let (body, binary) = payload(self.revision, false, packets);
            self.script.extend([b'A', if binary { b'G' } else { b'g' }]);
            line(&mut self.script, &body);
        }
    }
}

proptest! {
    #![proptest_config(config(4000))]

    #[test]
    fn does_what_its_model_says(script in scripts()) {
        client_session::run(&script.0);
    }
}

#[test]
fn most_scripts_open_exchange_and_upgrade() {
    assert_worth(scripts(), client_session::run, [80, 70, 65, 33]);
}

const OPTIONS: &[(char, u8)] = &[
    ('3', 3),
    ('w', 10),
    ('p', 8),
    ('B', 8),
    ('a', 4),
    ('r', 10),
    ('b', 5),
    ('n', 10),
    ('t', 10),
    ('z', 10),
    ('l', 5),
    ('Q', 4),
    ('R', 4),
    ('K', 8),
];

const OPERATIONS: &[(&str, &str)] =
    &[("oOpxXeEaA!TcC", ""), ("rRuUsflFvwW", "n"), ("gGkmMN", "t"), ("tb", "nt"), ("+*y", "k")];
