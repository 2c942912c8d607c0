//! Scenarios that are explored, and their steps.

use enginewire_socketio::Slot;

/// How often each side may do what. All of it is counted over both namespaces.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scenario {
    /// Sockets that the application connects.
    pub connects: u8,
    /// Sockets that it disconnects, in whatever state they are.
    pub disconnects: u8,
    /// Sockets that it lets go of. The next that it connects there is another.
    pub releases: u8,
    /// Managers that it closes.
    pub closes: u8,
    /// Events of the client.
    pub events: u8,
    /// Those that are to be acknowledged in time.
    pub asks: u8,
    /// Those that are sent up to twice.
    pub retries: u8,
    /// Requests that the server refuses. All others it accepts, at any later time.
    pub refusals: u8,
    /// Sockets that the server disconnects.
    pub kicks: u8,
    /// Events of the server for all sockets of a namespace.
    pub broadcasts: u8,
    /// Events of the server that a socket is to acknowledge.
    pub questions: u8,
    /// Sessions that cannot be opened.
    pub failures: u8,
    /// Sessions that break.
    pub cuts: u8,
    /// How often the clock may move to the next deadline while anything else can happen. While nothing can, or the
    /// client waits for its next attempt, it may as often as it likes.
    pub ticks: u8,
    /// Whether sockets are recovered.
    pub recovery: bool,
    /// Messages that wait in a session of the client before there is no room. They leave one by one then. Without a
    /// limit they leave at once.
    pub room: Option<u8>,
    /// A rule that the harness itself breaks, to see that it is found.
    pub sabotage: Option<Sabotage>,
}

/// A rule broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Messages that arrive at the server arrive twice.
    Twice,
    /// Of two messages on their way to the client the second overtakes the first.
    Overtaking,
    /// The application is not told of acknowledgements.
    Deaf,
    /// Messages of the client are lost on a session that lives on.
    Lossy,
}

/// Step from one state to the next. Namespaces go by their number, links by their place, sockets of the server by their
/// link and slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The application connects a socket, which it makes if there is none.
    Connect(usize),
    /// The application disconnects a socket.
    Disconnect(usize),
    /// The application lets go of a socket.
    Release(usize),
    /// The application closes the manager.
    Close,
    /// The application sends an event.
    Emit(usize),
    /// The application sends an event that is to be acknowledged.
    Ask(usize),
    /// The application sends an event that is sent again until it is acknowledged.
    Retry(usize),
    /// The application acknowledges the oldest event of the server that it has not acknowledged.
    Reply(usize),
    /// The session that the manager has asked for opens.
    Open,
    /// The session that the manager has asked for cannot be opened.
    Fail,
    /// The client's session sends what has waited longest.
    Write,
    /// The server accepts a request.
    Accept(u8, Slot),
    /// The server refuses a request.
    Refuse(u8, Slot),
    /// The server disconnects a socket.
    Kick(u8, Slot),
    /// The server sends an event to all sockets of a namespace.
    Broadcast(usize),
    /// The server sends an event to a socket, which is to acknowledge it.
    Question(u8, Slot),
    /// The server acknowledges the oldest event of a socket that it has not acknowledged.
    Answer(u8, Slot),
    /// The next message on this link arrives at the server.
    ArriveAtServer(usize),
    /// The next message on this link arrives at the client.
    ArriveAtClient(usize),
    /// The network breaks this link.
    Cut(usize),
    /// The clock moves to the next deadline.
    Tick,
}

/// Scenarios that are explored with each run of the tests, by name.
pub fn gate() -> Vec<(&'static str, Scenario)> {
    let none = Scenario::default();
    let one = Scenario { connects: 1, ..none };
    let two = Scenario { connects: 2, ..none };
    vec![
        ("connecting and leaving", Scenario { disconnects: 1, refusals: 1, ticks: 1, ..two }),
        ("letting go", Scenario { releases: 1, asks: 1, broadcasts: 1, ..two }),
        ("closing", Scenario { events: 1, asks: 1, retries: 1, closes: 1, cuts: 1, ..one }),
        ("losing", Scenario { events: 1, asks: 1, cuts: 2, failures: 1, ..one }),
        ("trying again", Scenario { retries: 2, cuts: 1, ticks: 1, ..one }),
        ("being disconnected", Scenario { events: 1, retries: 1, kicks: 1, broadcasts: 1, ..one }),
        ("questions", Scenario { questions: 2, cuts: 1, disconnects: 1, ..one }),
        ("without room", Scenario { events: 2, asks: 1, disconnects: 1, room: Some(1), ..one }),
        ("recovering", Scenario { broadcasts: 2, cuts: 2, recovery: true, ..one }),
        (
            "recovering what was left",
            Scenario { broadcasts: 1, disconnects: 1, cuts: 1, recovery: true, ..two },
        ),
    ]
}

/// Larger ones, for which the tests have no time.
pub fn full() -> Vec<(&'static str, Scenario)> {
    let none = Scenario::default();
    let one = Scenario { connects: 1, ..none };
    let two = Scenario { connects: 2, ..none };
    let three = Scenario { connects: 3, ..none };
    vec![
        ("connecting and leaving", Scenario { disconnects: 2, refusals: 1, ticks: 1, ..three }),
        ("letting go", Scenario { releases: 2, broadcasts: 1, asks: 1, ..three }),
        ("losing", Scenario { events: 2, asks: 1, cuts: 2, failures: 1, ..one }),
        ("trying again", Scenario { retries: 2, cuts: 2, ticks: 1, ..one }),
        ("being disconnected", Scenario { events: 1, retries: 1, kicks: 1, broadcasts: 1, ..two }),
        ("questions", Scenario { questions: 2, cuts: 1, disconnects: 1, ..two }),
        (
            "without room",
            Scenario { events: 2, asks: 1, disconnects: 1, cuts: 1, room: Some(1), ..one },
        ),
        ("recovering", Scenario { broadcasts: 3, cuts: 2, recovery: true, ..one }),
        (
            "recovering what was left",
            Scenario { broadcasts: 2, disconnects: 1, cuts: 1, recovery: true, ..two },
        ),
    ]
}
