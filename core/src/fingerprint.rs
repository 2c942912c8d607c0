//! Whether two states are the same, for programs that walk through all of them.

use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use crate::time::Time;

/// Takes the fingerprint of sessions and of what is around them. Two states with the same
/// fingerprint have the same future, unless the hasher has met a collision.
///
/// Times count relative to the present, and the names of exchanges and WebSockets by the order in
/// which they come up first: all that is ever asked of two names is whether they are equal. A state that
/// is only older than another, or further along in a run of polls, is the same state. A client's
/// [timestamps](crate::ClientConfig::timestamp_requests) never repeat: without them there are fewer
/// states.
///
/// ```
/// use std::{hash::DefaultHasher, sync::Arc, time::Duration};
///
/// use enginewire::{ClientConfig, ClientSession, Fingerprint, Time, Url};
///
/// let config = Arc::new(ClientConfig::new(&Url::parse("http://localhost:3000")?));
/// let fingerprint_after = |start: Time, wait: Duration| {
///     let mut entropy = |buffer: &mut [u8]| buffer.fill(7);
///     let session = ClientSession::new(start, Arc::clone(&config), false, &mut entropy);
///     let mut fingerprint = Fingerprint::new(DefaultHasher::new());
///     session.fingerprint(start + wait, &mut fingerprint);
///     fingerprint.finish()
/// };
/// let second = Duration::from_secs(1);
/// let young = fingerprint_after(Time::ZERO, second);
/// assert_eq!(young, fingerprint_after(Time::from_millis(500), second));
/// assert_ne!(young, fingerprint_after(Time::ZERO, 2 * second));
/// # Ok::<(), enginewire::InvalidUrl>(())
/// ```
#[derive(Clone, Debug)]
pub struct Fingerprint<H> {
    hasher: H,
    /// In the order in which they came up.
    names: Vec<u64>,
}

impl<H: Hasher> Fingerprint<H> {
    /// Of nothing yet.
    pub const fn new(hasher: H) -> Self {
        Self { hasher, names: Vec::new() }
    }

    /// Adds something that is neither a time nor a name.
    pub fn push(&mut self, value: &impl Hash) {
        value.hash(&mut self.hasher);
    }

    /// Adds a deadline, if there is one. [`Time::MAX`] never comes, whatever the time is.
    pub fn push_time(&mut self, now: Time, time: Option<Time>) {
        // One that has passed is as many nanoseconds before the present, modulo 2^64.
        let distance = |time: Time| time.as_nanos().wrapping_sub(now.as_nanos());
        self.push(&time.map(|time| (time != Time::MAX).then(|| distance(time))));
    }

    /// Adds the name of an exchange or a WebSocket, if there is one.
    pub fn push_name(&mut self, name: Option<u64>) {
        let place = name.map(|name| {
            let known = self.names.iter().position(|&known| known == name);
            known.unwrap_or_else(|| {
                self.names.push(name);
                self.names.len() - 1
            })
        });
        self.push(&place);
    }

    /// The fingerprint of all that was added.
    pub fn finish(&self) -> u64 {
        self.hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;
    use core::time::Duration;
    use std::hash::DefaultHasher;

    use super::*;
    use crate::{
        CarrierId, ClientAction, ClientConfig, ClientSession, ExchangeId, Opening, Revision,
        Router, ServerAction, ServerConfig, ServerSession, TransportKind, Url, WebSocketEnd,
        WebSocketId,
    };

    const SECOND: Duration = Duration::from_secs(1);

    /// A session that was opened at `now` by an exchange of that name, and has answered it.
    fn session(now: Time, name: u64) -> ServerSession {
        let opening = Opening {
            transport: TransportKind::Polling,
            revision: Revision::V4,
            base64: false,
            jsonp: None,
        };
        let mut entropy = |buffer: &mut [u8]| buffer.fill(7);
        let first = CarrierId::Exchange(ExchangeId(name));
        let router = Router::new(ServerConfig::default());
        let mut session = router.open(now, &mut entropy, opening, first).unwrap();
        assert!(matches!(session.poll_action(), Some(ServerAction::Respond(..))));
        session
    }

    fn of_server(session: &ServerSession, now: Time) -> u64 {
        let mut fingerprint = Fingerprint::new(DefaultHasher::new());
        session.fingerprint(now, &mut fingerprint);
        fingerprint.finish()
    }

    fn of_client(session: &ClientSession, now: Time) -> u64 {
        let mut fingerprint = Fingerprint::new(DefaultHasher::new());
        session.fingerprint(now, &mut fingerprint);
        fingerprint.finish()
    }

    #[test]
    fn a_session_is_the_same_whatever_the_time_and_its_names_are() {
        let later = Time::ZERO + SECOND;
        let [mut young, mut old] = [session(Time::ZERO, 1), session(later, 50)];
        assert_eq!(of_server(&young, Time::ZERO), of_server(&old, later));
        young.handle_poll(Time::ZERO, ExchangeId(2));
        young.handle_post(Time::ZERO, ExchangeId(4), false);
        young.handle_websocket_open(Time::ZERO, WebSocketId(3), false);
        old.handle_poll(later, ExchangeId(61));
        old.handle_post(later, ExchangeId(60), false);
        old.handle_websocket_open(later, WebSocketId(62), false);
        assert_eq!(of_server(&young, Time::ZERO), of_server(&old, later));
        assert_ne!(of_server(&young, later), of_server(&old, later));
    }

    #[test]
    fn names_that_are_equal_differ_from_names_that_are_not() {
        let of = |names: [u64; 3]| {
            let mut fingerprint = Fingerprint::new(DefaultHasher::new());
            for name in names {
                fingerprint.push_name(Some(name));
            }
            fingerprint.finish()
        };
        assert_eq!(of([7, 8, 7]), of([1, 0, 1]));
        assert_ne!(of([7, 8, 7]), of([7, 8, 8]));
        assert_ne!(of([7, 8, 7]), of([7, 8, 9]));
    }

    #[test]
    fn whatever_happens_to_a_server_s_session_makes_it_another() {
        let now = Time::ZERO;
        let happenings: [fn(&mut ServerSession, Time); 9] = [
            |_, _| {},
            |session, _| drop(session.send("a")),
            |session, _| drop(session.send("b")),
            |session, _| drop(session.send(&b"a"[..])),
            |session, now| session.handle_poll(now, ExchangeId(2)),
            |session, now| session.handle_post(now, ExchangeId(2), false),
            |session, now| session.handle_websocket_open(now, WebSocketId(2), false),
            |session, now| session.handle_websocket_open(now, WebSocketId(2), true),
            |session, now| session.close(now),
        ];
        let mut fingerprints: Vec<_> = happenings
            .iter()
            .map(|happening| {
                let mut session = session(now, 1);
                happening(&mut session, now);
                assert_eq!(of_server(&session, now), of_server(&session.clone(), now));
                of_server(&session, now)
            })
            .collect();
        fingerprints.sort_unstable();
        fingerprints.dedup();
        assert_eq!(fingerprints.len(), happenings.len());
    }

    #[test]
    fn whatever_happens_to_a_client_s_session_makes_it_another() {
        let now = Time::ZERO;
        let happenings: [fn(&mut ClientSession, Time); 5] = [
            |_, _| {},
            |session, _| drop(session.send("a")),
            |session, _| drop(session.send("b")),
            |session, now| drop(session.poll_action(now)),
            |session, now| session.close(now),
        ];
        let mut config = ClientConfig::new(&Url::parse("http://a").unwrap());
        config.timestamp_requests = Some(false);
        let config = Arc::new(config);
        let mut entropy = |buffer: &mut [u8]| buffer.fill(7);
        let fresh = ClientSession::new(now, config, false, &mut entropy);
        let mut fingerprints: Vec<_> = happenings
            .iter()
            .map(|happening| {
                let mut session = fresh.clone();
                happening(&mut session, now);
                of_client(&session, now)
            })
            .collect();
        fingerprints.sort_unstable();
        fingerprints.dedup();
        assert_eq!(fingerprints.len(), happenings.len());
    }

    /// A client's session that is open on polling and opens a WebSocket; its GET waits.
    fn opened(now: Time) -> (ClientSession, ExchangeId, WebSocketId) {
        let mut config = ClientConfig::new(&Url::parse("http://a").unwrap());
        config.timestamp_requests = Some(false);
        let mut entropy = |buffer: &mut [u8]| buffer.fill(7);
        let mut session = ClientSession::new(now, Arc::new(config), false, &mut entropy);
        let Some(ClientAction::Request(on, _)) = session.poll_action(now) else { panic!("a GET") };
        let open = r#"0{"sid":"a","upgrades":["websocket"],"pingInterval":9,"pingTimeout":9}"#;
        session.handle_response(now, on, &OK, open.into());
        let Some(ClientAction::OpenWebSocket(socket, _)) = session.poll_action(now) else {
            panic!("a WebSocket")
        };
        let Some(ClientAction::Request(on, _)) = session.poll_action(now) else { panic!("a GET") };
        (session, on, socket)
    }

    #[test]
    fn whatever_a_client_has_learnt_makes_its_session_another() {
        let now = Time::ZERO;
        let answer = |status, field| {
            move |session: &mut ClientSession, on: ExchangeId, _| {
                session.handle_response(now, on, &Head(status, field), "6".into());
            }
        };
        let cookie = |value| answer(200, ("set-cookie", value));
        let location = |place| answer(307, ("location", place));
        let ask = |session: &mut ClientSession, on| {
            session.handle_websocket_open(now, on, None);
            session.poll_write(on).unwrap();
        };
        let pong = |session: &mut ClientSession, on: WebSocketId| {
            session.handle_websocket_message(now, on, "3probe".into());
        };
        type Happening<'a> = &'a dyn Fn(&mut ClientSession, ExchangeId, WebSocketId);
        let happenings: [Happening<'_>; 15] = [
            &|_, _, _| {},
            &answer(200, ("x", "")),
            &cookie("a=1"),
            &cookie("a=2"),
            &cookie("b=1"),
            &cookie("a=1; Path=/"),
            &cookie("a=1; Max-Age=9"),
            &cookie("a=1; Max-Age=8"),
            &location("/x/"),
            &location("/y/"),
            &location("http://b/x/"),
            &|session, _, on| session.handle_websocket_open(now, on, None),
            &|session, _, on| session.handle_websocket_open(now, on, Some("a")),
            &|session, _, on| ask(session, on),
            &|session, _, on| {
                ask(session, on);
                pong(session, on);
            },
        ];
        let mut fingerprints: Vec<_> = happenings
            .iter()
            .map(|happening| {
                let (mut session, on, socket) = opened(now);
                happening(&mut session, on, socket);
                // What was learnt counts, and not that it has been told.
                while session.poll_action(now).is_some() {}
                while session.poll_event().is_some() {}
                of_client(&session, now)
            })
            .collect();
        fingerprints.sort_unstable();
        fingerprints.dedup();
        assert_eq!(fingerprints.len(), happenings.len());
    }

    #[test]
    fn a_post_under_way_counts_with_its_body() {
        let now = Time::ZERO;
        let mut fingerprints: Vec<_> = [None, Some("a"), Some("b"), Some("aa")]
            .into_iter()
            .map(|message| {
                let (mut session, ..) = opened(now);
                if let Some(message) = message {
                    session.send(message).unwrap();
                    assert!(session.poll_action(now).is_some());
                }
                of_client(&session, now)
            })
            .collect();
        fingerprints.sort_unstable();
        fingerprints.dedup();
        assert_eq!(fingerprints.len(), 4);
    }

    #[test]
    fn stage_of_an_upgrade_is_part_of_a_server_s_session() {
        let (now, on) = (Time::ZERO, WebSocketId(2));
        let mut probed = session(now, 1);
        probed.handle_websocket_open(now, on, false);
        let opened = of_server(&probed, now);
        probed.handle_websocket_message(now, on, "2probe".into());
        let asked = of_server(&probed, now);
        probed.poll_write(on).unwrap();
        let answered = of_server(&probed, now);
        assert!(opened != asked && asked != answered && answered != opened);
    }

    #[test]
    fn a_client_that_polls_on_comes_back_to_where_it_was() {
        let now = Time::ZERO;
        let mut config = ClientConfig::new(&Url::parse("http://a").unwrap());
        config.timestamp_requests = Some(false);
        config.transports = alloc::vec![TransportKind::Polling];
        let mut entropy = |buffer: &mut [u8]| buffer.fill(7);
        let mut session = ClientSession::new(now, Arc::new(config), false, &mut entropy);
        let mut answer = |body: &'static str| {
            let Some(ClientAction::Request(on, _)) = session.poll_action(now) else {
                panic!("a GET");
            };
            session.handle_response(now, on, &OK, bytes::Bytes::from_static(body.as_bytes()));
            while session.poll_event().is_some() {}
            of_client(&session, now)
        };
        let open = r#"0{"sid":"a","upgrades":[],"pingInterval":1,"pingTimeout":1,"maxPayload":1}"#;
        let opened = answer(open);
        assert_eq!(answer("4a"), opened);
        assert_eq!(answer("4b"), opened);
        assert_ne!(answer("6"), opened, "one of the answers in a row that bring nothing");
    }

    #[test]
    fn a_deadline_that_never_comes_is_not_one_that_has_passed() {
        let of = |time| {
            let mut fingerprint = Fingerprint::new(DefaultHasher::new());
            fingerprint.push_time(Time::from_nanos(1), time);
            fingerprint.finish()
        };
        assert_ne!(of(Some(Time::MAX)), of(Some(Time::ZERO)));
        assert_ne!(of(Some(Time::ZERO)), of(None));
    }

    #[test]
    fn how_a_session_ended_is_part_of_it() {
        let now = Time::ZERO;
        let ended = |end: fn(&mut ServerSession)| {
            let mut session = session(now, 1);
            session.handle_poll(now, ExchangeId(2));
            end(&mut session);
            while session.poll_action().is_some() {}
            while session.poll_event().is_some() {}
            of_server(&session, now)
        };
        let closed = ended(ServerSession::abort);
        let lost = ended(|session| session.handle_exchange_lost(Time::ZERO, ExchangeId(2)));
        assert_ne!(closed, lost);
        // A WebSocket that is none of its own changes nothing.
        let other = ended(|session| {
            session.abort();
            session.handle_websocket_lost(Time::ZERO, WebSocketId(9), WebSocketEnd::Closed);
        });
        assert_eq!(closed, other);
    }

    /// The head of a response with one field.
    struct Head(u16, (&'static str, &'static str));

    const OK: Head = Head(200, ("x", ""));

    impl crate::HttpResponse for Head {
        fn status(&self) -> u16 {
            self.0
        }

        fn header_nth(&self, name: &str, nth: usize) -> Option<&[u8]> {
            let (field, value) = self.1;
            (name == field && nth == 0).then_some(value.as_bytes())
        }
    }
}
