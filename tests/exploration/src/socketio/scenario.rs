//! Scenarios that are explored, and their steps.

use enginewire_socketio::Slot;

/// How often each side may do what. All of it is counted over both namespaces.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scenario {
    /// Requests of the client to connect to a namespace.
    pub connects: u8,
    /// Requests that the server refuses. All others it accepts, at any later time.
    pub refusals: u8,
    /// Namespaces that the client leaves, or whose response it does not wait for.
    pub leaves: u8,
    /// Sockets that the server disconnects.
    pub kicks: u8,
    /// Sessions that the server closes.
    pub closes: u8,
    /// Events of the server for all sockets of a namespace.
    pub broadcasts: u8,
    /// The same of volatile ones.
    pub volatile: u8,
    /// Events of the server that the client is to acknowledge in time.
    pub questions: u8,
    /// Acknowledgements that the client sends a second time.
    pub repeats: u8,
    /// Events of the client.
    pub events: u8,
    /// Events of the client that the server is to acknowledge.
    pub requests: u8,
    /// Sessions that break. The client opens another one.
    pub cuts: u8,
    /// How often the clock may move to the next deadline while anything else can happen. While nothing can, it
    /// may as often as it likes.
    pub ticks: u8,
    /// Whether clients can come back, and whether they need not be accepted anew then.
    pub recovery: Option<bool>,
    /// Messages that wait in a session before there is no room. They leave one by one then, each as a move of its
    /// own. Without a limit they leave at once.
    pub room: Option<u8>,
    /// A rule that the harness itself breaks, to see that it is found.
    pub sabotage: Option<Sabotage>,
}

/// A rule broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Messages that arrive at the client arrive twice.
    Twice,
    /// Of two messages on their way to the client the second overtakes the first.
    Overtaking,
    /// Broadcasts are not logged for clients that come back.
    Unlogged,
    /// A socket that has ended stays in its namespace.
    Leak,
    /// The server is not told of acknowledgements.
    Deaf,
    /// The server's acknowledgements are not sent.
    Mute,
}

/// Step from one state to the next. Namespaces and links go by their place, sockets and requests by their link
/// and slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The client opens a session.
    Open,
    /// The client asks to connect to a namespace.
    Connect(usize),
    /// The client leaves a namespace, or waits no longer.
    Leave(usize),
    /// The client sends an event.
    Emit(usize),
    /// The client sends an event that is to be acknowledged.
    Request(usize),
    /// The client acknowledges the oldest event that it has not acknowledged.
    Reply(usize),
    /// The client acknowledges once more what it has acknowledged last.
    Repeat(usize),
    /// The server accepts a request.
    Accept(u8, Slot),
    /// The server refuses a request.
    Refuse(u8, Slot),
    /// The server sends an event to all.
    Broadcast(usize),
    /// The server sends an event to all that can take it at once.
    Volatile(usize),
    /// The server sends an event to a socket, which is to be acknowledged.
    Ask(u8, Slot),
    /// The server acknowledges the oldest event of a socket that it has not acknowledged.
    Answer(u8, Slot),
    /// The server disconnects a socket.
    Kick(u8, Slot),
    /// The server disconnects a client.
    Close(u8),
    /// The next message on this link arrives at the server.
    ArriveAtServer(usize),
    /// The next message on this link arrives at the client.
    ArriveAtClient(usize),
    /// The session of this link sends what has waited longest.
    Write(usize),
    /// The network breaks this link.
    Cut(usize),
    /// The server's clock moves to its next deadline.
    Tick,
}

/// Scenarios that are explored with each run of the tests, by name.
pub fn gate() -> Vec<(&'static str, Scenario)> {
    let none = Scenario::default();
    let two = Scenario { connects: 2, ..none };
    let back = Scenario { connects: 2, cuts: 1, recovery: Some(true), ..none };
    vec![
        (
            "connecting",
            Scenario { connects: 4, refusals: 1, leaves: 2, kicks: 1, ticks: 1, ..none },
        ),
        ("events", Scenario { broadcasts: 2, events: 2, requests: 2, ..two }),
        ("acknowledgements", Scenario { questions: 2, repeats: 1, requests: 1, ticks: 2, ..two }),
        ("leaving", Scenario { broadcasts: 2, leaves: 1, kicks: 1, requests: 1, ..two }),
        ("asked when leaving", Scenario { questions: 2, leaves: 1, kicks: 1, closes: 1, ..two }),
        (
            "losing",
            Scenario { connects: 3, broadcasts: 1, questions: 1, cuts: 1, ticks: 1, ..none },
        ),
        ("slow", Scenario { broadcasts: 3, volatile: 1, requests: 1, room: Some(1), ..two }),
        ("coming back", Scenario { connects: 3, broadcasts: 3, cuts: 1, ..back }),
        ("coming back twice", Scenario { connects: 3, broadcasts: 2, cuts: 2, ..back }),
        ("coming back too late", Scenario { broadcasts: 2, questions: 1, ticks: 2, ..back }),
        (
            "coming back when accepted",
            Scenario { connects: 3, broadcasts: 2, refusals: 1, recovery: Some(false), ..back },
        ),
        (
            "coming back to what was left",
            Scenario { connects: 3, broadcasts: 1, kicks: 1, leaves: 1, ..back },
        ),
        (
            "coming back from an overflow",
            Scenario { connects: 2, broadcasts: 3, closes: 1, room: Some(1), ..back },
        ),
    ]
}

/// Larger ones, for which the tests have no time.
pub fn full() -> Vec<(&'static str, Scenario)> {
    let none = Scenario::default();
    let two = Scenario { connects: 2, ..none };
    let three = Scenario { connects: 3, ..none };
    let back = Scenario { cuts: 1, recovery: Some(true), ..three };
    vec![
        (
            "connecting",
            Scenario { connects: 6, refusals: 2, leaves: 3, kicks: 2, ticks: 2, ..none },
        ),
        (
            "events",
            Scenario { broadcasts: 2, events: 2, requests: 2, questions: 1, ticks: 1, ..two },
        ),
        (
            "leaving",
            Scenario { broadcasts: 2, leaves: 1, kicks: 1, questions: 1, requests: 1, ..three },
        ),
        (
            "losing",
            Scenario { broadcasts: 1, questions: 1, requests: 1, cuts: 2, ticks: 1, ..three },
        ),
        (
            "slow",
            Scenario { broadcasts: 3, volatile: 1, requests: 1, kicks: 1, room: Some(1), ..two },
        ),
        ("coming back", Scenario { broadcasts: 3, questions: 1, cuts: 2, ..back }),
        ("coming back too late", Scenario { broadcasts: 2, questions: 1, ticks: 2, ..back }),
        (
            "coming back when accepted",
            Scenario { broadcasts: 2, refusals: 1, cuts: 2, recovery: Some(false), ..back },
        ),
        ("coming back to what was left", Scenario { broadcasts: 2, kicks: 1, leaves: 1, ..back }),
        (
            "coming back from an overflow",
            Scenario { broadcasts: 3, closes: 1, room: Some(1), ..back },
        ),
    ]
}
