//! The order of commands for a slot that moves to another server.

use std::collections::{BTreeMap, VecDeque};

use enginewire::Time;

use super::{super::address::Address, command::Command};

/// Commands by slots: how many are in flight where, and which wait.
///
/// Commands of a slot are in flight at one server only. Behind a redirection one goes ahead, once none is in flight, and
/// the others follow when it has been carried out. So none overtakes another.
pub(super) struct Queues<T> {
    /// Queues of slots that have commands.
    slots: BTreeMap<u16, Queue<T>>,
    last: u64,
}

struct Queue<T> {
    /// The server of the commands in flight.
    server: Address,
    in_flight: usize,
    /// Commands that wait, the oldest first.
    held: VecDeque<Command<T>>,
    /// The last response was a redirection.
    is_moving: bool,
    /// End of a pause in which no command is sent.
    pauses_until: Time,
}

impl<T> Queues<T> {
    pub(super) const fn new() -> Self {
        Self { slots: BTreeMap::new(), last: 0 }
    }

    /// Takes a new command of a slot. Returns it if it may be sent to the owner of the slot at once.
    pub(super) fn push(
        &mut self,
        slot: u16,
        owner: &Address,
        mut command: Command<T>,
    ) -> Option<Command<T>> {
        self.last += 1;
        command.order = self.last;
        let queue = self.slots.entry(slot).or_insert_with(|| Queue {
            server: owner.clone(),
            in_flight: 0,
            held: VecDeque::new(),
            is_moving: false,
            pauses_until: Time::ZERO,
        });
        if queue.held.is_empty() && queue.admits(owner) {
            queue.start(owner);
            return Some(command);
        }
        queue.held.push_back(command);
        None
    }

    /// Takes a command back that was redirected, to be sent again, and not before `at`.
    pub(super) fn put_back(&mut self, slot: u16, command: Command<T>, at: Time) {
        let Some(queue) = self.slots.get_mut(&slot) else { return };
        queue.in_flight -= 1;
        queue.is_moving = true;
        queue.pauses_until = queue.pauses_until.max(at);
        let place = queue.held.partition_point(|held| held.order < command.order);
        queue.held.insert(place, command);
    }

    /// Notes that a command of a slot was carried out.
    pub(super) fn done(&mut self, slot: u16) {
        if let Some(queue) = self.slots.get_mut(&slot) {
            queue.is_moving = false;
        }
        self.lost(slot);
    }

    /// Notes that a command of a slot gets no response.
    pub(super) fn lost(&mut self, slot: u16) {
        let Some(queue) = self.slots.get_mut(&slot) else { return };
        queue.in_flight -= 1;
        if queue.in_flight == 0 && queue.held.is_empty() {
            self.slots.remove(&slot);
        }
    }

    /// Returns the next command of a slot that may be sent now, and where to.
    pub(super) fn next(
        &mut self,
        now: Time,
        slot: u16,
        owner: &Address,
    ) -> Option<(Address, Command<T>)> {
        let queue = self.slots.get_mut(&slot)?;
        if queue.pauses_until > now {
            return None;
        }
        let server = queue.held.front()?.ask.as_ref().unwrap_or(owner).clone();
        if !queue.admits(&server) {
            return None;
        }
        queue.start(&server);
        queue.held.pop_front().map(|command| (server, command))
    }

    /// Returns when commands that were redirected often are to be sent again.
    pub(super) fn pauses_until(&self) -> Option<Time> {
        self.paused().map(|(_, until)| until).min()
    }

    /// Returns the slots whose commands are to be sent again.
    pub(super) fn due(&self, now: Time) -> Vec<u16> {
        self.paused().filter(|(_, until)| *until <= now).map(|(slot, _)| slot).collect()
    }

    /// Takes out the commands that wait.
    pub(super) fn take_held(&mut self) -> Vec<Command<T>> {
        let held = self.slots.values_mut().flat_map(|queue| std::mem::take(&mut queue.held));
        let held = held.collect();
        self.slots.retain(|_, queue| queue.in_flight > 0);
        held
    }

    fn paused(&self) -> impl Iterator<Item = (u16, Time)> {
        let waits = |queue: &Queue<T>| queue.in_flight == 0 && !queue.held.is_empty();
        let slots = self.slots.iter().filter(move |(_, queue)| waits(queue));
        slots.map(|(slot, queue)| (*slot, queue.pauses_until))
    }
}

impl<T> Queue<T> {
    /// Returns whether a command may be sent to this server.
    fn admits(&self, server: &Address) -> bool {
        self.in_flight == 0 || (!self.is_moving && self.server == *server)
    }

    fn start(&mut self, server: &Address) {
        if self.in_flight == 0 {
            self.server = server.clone();
        }
        self.in_flight += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{super::link::Responds, command::Task},
        *,
    };

    const SLOT: u16 = 7;

    const NONE: [u32; 0] = [];

    fn command(number: u32) -> Command<u32> {
        Command::encoded(Task::Tag(number), Some(SLOT), Responds::InTurn, "".into())
    }

    fn server(name: &str) -> Address {
        Address::new(name, 1)
    }

    fn number(command: &Command<u32>) -> u32 {
        match command.task {
            Task::Tag(number) => number,
            _ => panic!("it has no number"),
        }
    }

    /// The commands that may be sent now, with their servers.
    fn next(queues: &mut Queues<u32>, now: u64, owner: &str) -> Vec<(u32, Command<u32>)> {
        let owner = server(owner);
        let next = || queues.next(Time::from_millis(now), SLOT, &owner);
        std::iter::from_fn(next).map(|(_, command)| (number(&command), command)).collect()
    }

    fn numbers(commands: &[(u32, Command<u32>)]) -> Vec<u32> {
        commands.iter().map(|(number, _)| *number).collect()
    }

    #[test]
    fn commands_are_sent_at_once_to_the_owner_of_their_slot() {
        let mut queues = Queues::new();
        let (a, b) = (server("a"), server("b"));
        assert!(queues.push(SLOT, &a, command(1)).is_some());
        assert!(queues.push(SLOT, &a, command(2)).is_some());
        assert!(queues.push(8, &b, command(3)).is_some(), "another slot");
        queues.done(SLOT);
        queues.done(SLOT);
        queues.done(8);
        assert!(queues.slots.is_empty(), "nothing is left");
    }

    #[test]
    fn new_owner_gets_a_command_when_nothing_is_in_flight_at_the_old_one() {
        let mut queues = Queues::new();
        let (a, b) = (server("a"), server("b"));
        assert!(queues.push(SLOT, &a, command(1)).is_some());
        assert!(queues.push(SLOT, &b, command(2)).is_none());
        assert!(queues.push(SLOT, &b, command(3)).is_none(), "behind the second");
        assert_eq!(numbers(&next(&mut queues, 0, "b")), NONE);
        queues.done(SLOT);
        assert_eq!(numbers(&next(&mut queues, 0, "b")), [2, 3]);
    }

    #[test]
    fn commands_that_are_redirected_keep_their_order() {
        let mut queues = Queues::new();
        let a = server("a");
        let sent: Vec<_> = (1..=3).map(|n| queues.push(SLOT, &a, command(n)).unwrap()).collect();
        // All are redirected, the last response comes first.
        for command in sent.into_iter().rev() {
            assert_eq!(numbers(&next(&mut queues, 0, "b")), NONE);
            queues.put_back(SLOT, command, Time::ZERO);
        }
        assert!(queues.push(SLOT, &server("b"), command(4)).is_none());
        let sent = next(&mut queues, 0, "b");
        assert_eq!(numbers(&sent), [1], "one goes ahead");
        // It is redirected again.
        let (_, first) = sent.into_iter().next().unwrap();
        queues.put_back(SLOT, first, Time::ZERO);
        assert_eq!(numbers(&next(&mut queues, 0, "c")), [1]);
        queues.done(SLOT);
        assert_eq!(numbers(&next(&mut queues, 0, "c")), [2, 3, 4]);
    }

    #[test]
    fn command_that_was_redirected_often_waits() {
        let mut queues = Queues::new();
        let sent = queues.push(SLOT, &server("a"), command(1)).unwrap();
        queues.put_back(SLOT, sent, Time::from_millis(10));
        assert_eq!(queues.pauses_until(), Some(Time::from_millis(10)));
        assert_eq!(numbers(&next(&mut queues, 9, "b")), NONE);
        assert_eq!(queues.due(Time::from_millis(10)), [SLOT]);
        assert_eq!(numbers(&next(&mut queues, 10, "b")), [1]);
        assert_eq!(queues.pauses_until(), None);
    }

    #[test]
    fn command_is_asked_elsewhere_alone() {
        let mut queues = Queues::new();
        let a = server("a");
        let mut first = queues.push(SLOT, &a, command(1)).unwrap();
        assert!(queues.push(SLOT, &a, command(2)).is_some());
        first.ask = Some(server("b"));
        queues.put_back(SLOT, first, Time::ZERO);
        queues.done(SLOT);
        let (to, asked) = queues.next(Time::ZERO, SLOT, &a).unwrap();
        assert_eq!((to, number(&asked)), (server("b"), 1));
        assert!(queues.push(SLOT, &a, command(3)).is_none(), "not ahead of the first");
        queues.done(SLOT);
        assert_eq!(numbers(&next(&mut queues, 0, "a")), [3]);
    }

    #[test]
    fn commands_that_wait_are_taken_out_and_those_in_flight_stay() {
        let mut queues = Queues::new();
        assert!(queues.push(SLOT, &server("a"), command(1)).is_some());
        assert!(queues.push(SLOT, &server("b"), command(2)).is_none());
        let held: Vec<_> = queues.take_held().iter().map(number).collect();
        assert_eq!(held, [2]);
        queues.lost(SLOT);
        assert!(queues.slots.is_empty());
    }
}
