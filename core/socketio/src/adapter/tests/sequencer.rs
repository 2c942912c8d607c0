//! Rules of the sequencer, and deliverers that run at the same time.

use alloc::vec;

use proptest::{collection::vec, prelude::*};

use super::*;

#[test]
fn free_sequencer_gives_the_item_back_and_a_busy_one_queues_it() {
    let mut sequencer = Sequencer::new(10);
    assert_eq!(sequencer.push('a', 100), Ok(Some('a')), "what is not queued has no cost");
    assert_eq!(sequencer.push('b', 4), Ok(None));
    assert_eq!(sequencer.push('c', 6), Ok(None));
    assert_eq!(sequencer.push('d', 1), Err(Full('d')));
    assert_eq!((sequencer.len(), sequencer.queued()), (2, 10));
    assert_eq!(sequencer.iter().collect::<alloc::vec::Vec<_>>(), [&'b', &'c']);
    assert_eq!(sequencer.next(), Some('b'));
    assert_eq!(sequencer.push('d', 4), Ok(None));
    assert_eq!(
        [sequencer.next(), sequencer.next(), sequencer.next()],
        [Some('c'), Some('d'), None]
    );
    assert!(!sequencer.is_busy() && sequencer.is_empty() && sequencer.queued() == 0);
    assert_eq!(sequencer.push('e', 1), Ok(Some('e')));
}

#[test]
fn suspended_delivery_comes_before_all_others() {
    let mut sequencer = Sequencer::new(2);
    assert_eq!(sequencer.push('a', 1), Ok(Some('a')));
    assert_eq!(sequencer.push('b', 1), Ok(None));
    assert_eq!(sequencer.resume(), None, "the turn is taken");
    sequencer.suspend('a', 1);
    // One who pushes delivers the oldest.
    assert_eq!(sequencer.push('c', 1), Err(Full('c')));
    assert_eq!(sequencer.resume(), Some('a'));
    assert_eq!(sequencer.push('c', 1), Ok(None));
    sequencer.suspend('a', 0);
    assert_eq!(sequencer.push('d', 0), Ok(Some('a')));
    assert_eq!([0; 4].map(|_| sequencer.next()), [Some('b'), Some('c'), Some('d'), None]);
    assert_eq!(sequencer.resume(), None);
    assert!(!sequencer.is_busy());
}

#[test]
fn storage_of_a_long_queue_is_given_back() {
    let mut sequencer = Sequencer::new(usize::MAX);
    for n in 0..10_000 {
        sequencer.push(n, 1).unwrap();
    }
    while sequencer.next().is_some() {}
    assert!(sequencer.capacity() <= 32);
}

/// A thread that pushes one broadcast, and delivers while it has the turn.
#[derive(Clone, Debug, Default)]
struct Deliverer {
    pushed: bool,
    /// What it delivers, and to how many members it has been.
    work: Option<(usize, usize)>,
}

const MEMBERS: usize = 3;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// Each step lets one of the deliverers do one thing: push, or deliver to one member, or stop.
    #[test]
    fn members_see_interleaved_broadcasts_in_one_order(
        deliverers in 1usize..6,
        steps in vec((0usize..6, 0u8..12), 0..120),
    ) {
        let mut sequencer = Sequencer::new(3);
        let mut all = vec![Deliverer::default(); deliverers];
        let mut seen = vec![Vec::new(); MEMBERS];
        let mut refused = 0;
        let rest = (0..deliverers * (MEMBERS + 1) * 4).map(|n| (n % deliverers, 1));
        for (who, what) in steps.into_iter().chain(rest) {
            let number = who % deliverers;
            let deliverer = &mut all[number];
            match deliverer.work {
                None if !deliverer.pushed => {
                    deliverer.pushed = true;
                    match sequencer.push((number, 0), 1) {
                        Ok(work) => deliverer.work = work,
                        Err(Full(item)) => {
                            prop_assert_eq!(item, (number, 0));
                            refused += 1;
                        }
                    }
                }
                None => deliverer.work = sequencer.resume(),
                Some(work) if what == 0 => {
                    sequencer.suspend(work, 1);
                    deliverer.work = None;
                }
                Some((item, MEMBERS)) => {
                    prop_assert!(seen.iter().all(|seen| seen.last() == Some(&item)));
                    deliverer.work = sequencer.next();
                }
                Some((item, member)) => {
                    seen[member].push(item);
                    deliverer.work = Some((item, member + 1));
                }
            }
            let working = all.iter().filter(|deliverer| deliverer.work.is_some()).count();
            prop_assert_eq!(working, usize::from(sequencer.is_busy()));
        }
        prop_assert!(sequencer.is_empty());
        prop_assert!(seen.iter().all(|other| *other == seen[0]));
        prop_assert_eq!(seen[0].len() + refused, deliverers);
    }
}
