//! Fingerprints of adapters and of recoveries: which are the same.

use core::time::Duration;
use std::hash::DefaultHasher;

use enginewire::{Fingerprint, Time};

use super::*;
use crate::id::PrivateId;

fn distinct(mut fingerprints: Vec<u64>) -> usize {
    fingerprints.sort_unstable();
    fingerprints.dedup();
    fingerprints.len()
}

#[test]
fn whatever_happens_to_an_adapter_makes_it_another() {
    type Happening = fn(&mut Adapter<usize>, &[MemberKey]);
    let happenings: [Happening; 8] = [
        |_, _| {},
        |adapter, _| {
            adapter.insert(id(2), 2);
        },
        |adapter, _| {
            adapter.insert(id(3), 2);
        },
        |adapter, _| {
            adapter.insert(id(2), 3);
        },
        |adapter, keys| {
            adapter.remove(keys[0]);
        },
        |adapter, keys| assert!(adapter.join(keys[0], "a")),
        |adapter, keys| assert!(adapter.join(keys[1], "a")),
        |adapter, _| {
            adapter.next_ack();
        },
    ];
    let of = |adapter: &Adapter<usize>| {
        let mut fingerprint = Fingerprint::new(DefaultHasher::new());
        adapter.fingerprint(&mut fingerprint);
        fingerprint.finish()
    };
    let fingerprints = happenings.iter().map(|happening| {
        let (mut adapter, keys) = adapter(2);
        happening(&mut adapter, &keys);
        let before = of(&adapter);
        adapter.select(&Target::all().to("a"));
        assert_eq!(
            (of(&adapter), of(&adapter.clone())),
            (before, before),
            "looking changes nothing"
        );
        before
    });
    assert_eq!(distinct(fingerprints.collect()), happenings.len());
}

#[test]
fn whatever_happens_to_a_recovery_makes_it_another() {
    type Log = Recovery<u8, u32>;
    fn pid(n: usize) -> PrivateId {
        PrivateId::parse(&format!("{n:020}")).unwrap()
    }
    const NOW: Time = Time::ZERO;
    let kept = |n| Kept { pid: pid(n), rooms: Vec::new(), data: 0 };
    let happenings: [&dyn Fn(&mut Log); 12] = [
        &|_| {},
        &|log| {
            log.stamp(NOW, Target::all(), 1, 1);
        },
        &|log| {
            log.stamp(NOW, Target::all(), 2, 1);
        },
        &|log| {
            log.stamp(NOW, Target::all().to("a"), 1, 1);
        },
        &|log| {
            log.stamp(NOW, Target::all(), 1, 2);
        },
        &|log| log.connected(pid(1), id(1)),
        &|log| log.ended(&pid(0)),
        &|log| log.joined(&pid(0), &"a".into()),
        &|log| {
            log.stamp(NOW, Target::all(), 1, 1);
            log.left(&pid(0), &"a".into());
        },
        &|log| assert!(log.keep(NOW, kept(0))),
        &|log| assert!(log.keep(NOW + Duration::from_secs(1), kept(0))),
        &|log| {
            assert!(log.keep(NOW, kept(0)));
            log.restore(NOW, &pid(0), None).unwrap();
        },
    ];
    let of = |log: &Log| {
        let mut fingerprint = Fingerprint::new(DefaultHasher::new());
        log.fingerprint(NOW, &mut fingerprint);
        fingerprint.finish()
    };
    let fingerprints = happenings.iter().map(|happening| {
        let mut log = Log::new(RecoveryConfig::default(), &mut entropy());
        log.connected(pid(0), id(0));
        happening(&mut log);
        assert_eq!(of(&log), of(&log.clone()));
        of(&log)
    });
    assert_eq!(distinct(fingerprints.collect()), happenings.len());
}
