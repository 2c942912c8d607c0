//! Copies, and what makes two connections the same.

use std::hash::DefaultHasher;

use enginewire::Fingerprint;

use super::*;
use crate::parser::{CustomDecoder, CustomParser, PacketError};

fn fingerprint(connection: &Connection<u32>, now: Time) -> u64 {
    let mut fingerprint = Fingerprint::new(DefaultHasher::new());
    connection.fingerprint(now, &mut fingerprint);
    fingerprint.finish()
}

#[test]
fn whatever_happens_makes_it_another_and_a_copy_is_the_same() {
    type Happening = fn(&mut World, Slot);
    let happenings: [Happening; 15] = [
        |_, _| {},
        |world, _| world.client_sends("0/chat,"),
        |world, _| {
            world.connect("/chat");
        },
        |world, _| world.client_sends("1"),
        |world, _| world.client_sends(r#"2["a"]"#),
        |world, _| world.client_sends(r#"2["b"]"#),
        |world, _| world.client_sends(r#"21["a"]"#),
        |world, _| world.client_sends(r#"51-["a",{"_placeholder":true,"num":0}]"#),
        |world, slot| world.ask(slot, 0, SECOND).unwrap(),
        |world, slot| world.ask(slot, 1, SECOND).unwrap(),
        |world, slot| world.ask(slot, 0, 2 * SECOND).unwrap(),
        |world, slot| world.connection.disconnect(slot, &mut world.wire),
        |world, slot| world.connection.release(slot, &mut world.wire),
        |world, slot| {
            world.wire.room = Some(0);
            world.connection.disconnect(slot, &mut world.wire);
        },
        |world, _| world.client_sends("4"),
    ];
    let mut fingerprints: Vec<_> = happenings
        .iter()
        .map(|happening| {
            let (mut world, slot) = World::connected();
            happening(&mut world, slot);
            let copy = world.connection.fork().unwrap();
            assert_eq!(fingerprint(&world.connection, world.now), fingerprint(&copy, world.now));
            fingerprint(&copy, world.now)
        })
        .collect();
    fingerprints.sort_unstable();
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), happenings.len());
}

#[test]
fn one_that_is_only_older_is_the_same() {
    let later = Time::ZERO + SECOND;
    let config = || Arc::new(ConnectionConfig::default());
    let young = Connection::new(Time::ZERO, config(), Revision::V4);
    let old = Connection::new(later, config(), Revision::V4);
    assert_eq!(fingerprint(&young, Time::ZERO), fingerprint(&old, later));
    assert_ne!(fingerprint(&young, later), fingerprint(&old, later));
}

#[test]
fn connection_with_a_decoder_of_an_application_has_no_copy() {
    struct Own;
    impl CustomParser for Own {
        fn encode(&self, _: &Packet) -> Vec<Message> {
            Vec::new()
        }
        fn decoder(&self) -> alloc::boxed::Box<dyn CustomDecoder> {
            alloc::boxed::Box::new(Self)
        }
    }
    impl CustomDecoder for Own {
        fn handle_message(&mut self, _: Message) -> Result<Option<Packet>, PacketError> {
            Ok(None)
        }
        fn is_waiting(&self) -> bool {
            false
        }
    }
    let mut config = ConnectionConfig::default();
    config.parser = Parser::Custom(Arc::new(Own));
    assert!(World::with(config, Revision::V4).connection.fork().is_none());
}
