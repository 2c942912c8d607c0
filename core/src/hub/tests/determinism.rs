//! The same inputs give the same outputs, byte for byte.

use super::*;

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn a_scripted_crowd_is_served_twice_alike() {
    let first = run(7);
    assert!(first.len() > 1000, "{} lines", first.len());
    assert_eq!(first, run(7));
    assert_ne!(first, run(8), "the script matters");
}

/// Many peers do this and that, as a generator of numbers says. What the hub said.
fn run(seed: u64) -> Vec<String> {
    let mut world = World::echoing();
    let mut numbers = Numbers(seed);
    let mut polling: Vec<(ConnectionId, String)> = Vec::new();
    let mut sockets: Vec<ConnectionId> = Vec::new();
    for _ in 0..1000 {
        match numbers.below(8) {
            0 => {
                let on = world.accept();
                let (_, query) = world.open_polling(on);
                polling.push((on, query));
            }
            1 => sockets.push(world.open_websocket().1),
            2 => {
                let on = world.accept();
                if let Some((_, query)) = numbers.choose(&polling) {
                    world.post(on, query, "4post");
                }
            }
            3 => {
                if let Some((on, query)) = numbers.choose(&polling) {
                    world.get(*on, query);
                }
            }
            4 | 5 => {
                if let Some(&on) = numbers.choose(&sockets) {
                    world.bytes(on, text("4text"));
                }
            }
            6 => {
                if let Some(&on) = numbers.choose(&sockets) {
                    world.let_out(on, numbers.below(20));
                }
            }
            _ => world.pass(Duration::from_millis(500)),
        }
    }
    world.hub.close(world.now);
    world.drain();
    world.pass(seconds(60));
    world.assert_empty();
    world.log
}

/// Numbers that look random (a linear congruential generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % n
    }

    fn choose<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len().max(1)))
    }
}
