//! A server's session: clients that mostly do as they should.

use enginewire::{Message, Packet, Revision};
use enginewire_properties::session;
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    assert_worth, config,
    letters::{Script, frame, line, message, operation, options, payload, send, text},
};

#[derive(Clone, Debug)]
enum Op {
    /// The client takes what there is, and waits for more.
    Listen,
    Say(Vec<Message>),
    /// It tries a WebSocket: before the probe is answered, and before it completes the upgrade, other
    /// things happen.
    Upgrade {
        base64: bool,
        before: Vec<Op>,
        behind: Vec<Op>,
    },
    /// The time of the next ping comes, and its pong.
    Beat,
    Send(Message),
    Group(Vec<String>),
    /// As it stands.
    Do(&'static str),
    /// Time passes.
    Pass(u8),
    Any(Vec<u8>),
}

/// Sessions with one operation after the other, and mostly a last one.
fn scripts() -> impl Strategy<Value = Script> {
    let ends = select(vec!["", "", "", "", "", "c", "cga", "mlast\nc", "A", "mlast\nB"]);
    (options(OPTIONS), vec(op(), 0..40), ends).prop_map(|(letters, ops, end)| {
        let mut writer = Writer::new(&letters);
        for op in &ops {
            writer.write(op);
        }
        writer.script.extend_from_slice(end.as_bytes());
        Script(writer.script)
    })
}

fn op() -> impl Strategy<Value = Op> {
    let between = || vec(simple(), 0..4);
    prop_oneof![
        20 => simple(),
        4 => (any::<bool>(), between(), between())
            .prop_map(|(base64, before, behind)| Op::Upgrade { base64, before, behind }),
        1 => operation(OPERATIONS).prop_map(Op::Any),
    ]
}

fn simple() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => Just(Op::Listen),
        4 => vec(message(), 1..4).prop_map(Op::Say),
        4 => message().prop_map(Op::Send),
        1 => vec(text(), 0..4).prop_map(Op::Group),
        1 => Just(Op::Beat),
        3 => select(vec!["e", "E", "a", "!"]).prop_map(Op::Do),
        1 => (0u8..120).prop_map(Op::Pass),
    ]
}

/// Says how operations are written, as far as that depends on what was before.
struct Writer {
    script: Vec<u8>,
    revision: Revision,
    jsonp: bool,
    sockets: u8,
    /// The WebSocket that is the transport.
    current: Option<u8>,
    /// A GET waits, as far as one can tell; something waits for a GET.
    waits: bool,
    queued: bool,
}

impl Writer {
    fn new(letters: &str) -> Self {
        let websocket = letters.contains('w');
        Self {
            script: [letters.as_bytes(), b":"].concat(),
            revision: if letters.contains('3') { Revision::V3 } else { Revision::V4 },
            jsonp: letters.contains('j'),
            sockets: websocket.into(),
            current: websocket.then_some(b'0'),
            waits: false,
            queued: false,
        }
    }

    fn write(&mut self, op: &Op) {
        match op {
            Op::Listen => match self.current {
                Some(on) => self.script.extend([b'W', on]),
                None if self.waits => self.script.push(b'a'),
                None => {
                    self.script.extend(b"ga");
                    self.waits = !std::mem::take(&mut self.queued);
                }
            },
            Op::Say(messages) => {
                let packets: Vec<_> = messages.iter().cloned().map(Packet::Message).collect();
                self.say(&packets);
            }
            Op::Upgrade { base64, before, behind } => self.upgrade(*base64, before, behind),
            Op::Beat if self.revision == Revision::V4 => {
                self.script.push(b'T');
                self.comes_out();
                self.say(&[Packet::Pong("".into())]);
            }
            Op::Beat => {
                self.say(&[Packet::Ping("".into())]);
                self.comes_out();
            }
            Op::Send(message) => {
                send(&mut self.script, message);
                self.comes_out();
            }
            Op::Group(texts) => {
                self.script.push(b'G');
                line(&mut self.script, texts.join(",").as_bytes());
                self.comes_out();
            }
            Op::Do(letters) => self.script.extend_from_slice(letters.as_bytes()),
            Op::Pass(millis) => self.script.extend([b'+', *millis]),
            Op::Any(operation) => {
                self.sockets += u8::from(operation[0].eq_ignore_ascii_case(&b's'));
                self.script.extend_from_slice(operation);
            }
        }
    }

    fn upgrade(&mut self, base64: bool, before: &[Op], behind: &[Op]) {
        if self.current.is_some() {
            return;
        }
        let on = b'0' + self.sockets;
        self.sockets += 1;
        self.script.push(if base64 { b'S' } else { b's' });
        before.iter().for_each(|op| self.write(op));
        frame(&mut self.script, self.revision, on, &Packet::Ping("probe".into()));
        self.script.extend([b'W', on, b'a']);
        self.waits = false;
        behind.iter().for_each(|op| self.write(op));
        frame(&mut self.script, self.revision, on, &Packet::Upgrade);
        self.current = Some(on);
    }

    /// A GET that waits is answered with it, or the next one is.
    fn comes_out(&mut self) {
        self.queued = !std::mem::take(&mut self.waits);
    }

    fn say(&mut self, packets: &[Packet]) {
        let Some(on) = self.current else {
            let (mut body, binary) = payload(self.revision, self.jsonp, packets);
            if self.jsonp {
                let escaped: String = body.iter().map(|byte| format!("%{byte:02X}")).collect();
                body = format!("d={escaped}").into_bytes();
            }
            self.script.extend(if binary { &b"Hd"[..] } else { b"p" });
            line(&mut self.script, &body);
            return self.script.push(b'a');
        };
        for packet in packets {
            frame(&mut self.script, self.revision, on, packet);
        }
    }
}

proptest! {
    #![proptest_config(config(4000))]

    #[test]
    fn does_what_its_model_says(script in scripts()) {
        session::run(&script.0);
    }
}

#[test]
fn most_scripts_open_exchange_and_upgrade() {
    assert_worth(scripts(), session::run, [95, 75, 75, 50]);
}

const OPTIONS: &[(char, u8)] = &[
    ('3', 3),
    ('w', 8),
    ('b', 5),
    ('j', 6),
    ('l', 5),
    ('i', 5),
    ('I', 8),
    ('u', 20),
    ('z', 6),
    ('Z', 60),
    ('Q', 4),
    ('R', 4),
    ('P', 5),
    ('K', 8),
];

const OPERATIONS: &[(&str, &str)] =
    &[("ghHsSeEa!TcAB", ""), ("DxlfvwW", "n"), ("dpmMG", "t"), ("tb", "nt"), ("+*y", "k")];
