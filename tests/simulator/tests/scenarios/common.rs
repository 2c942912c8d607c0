//! What scenarios begin with.

use std::{collections::BTreeSet, fmt::Debug, time::Duration};

use enginewire::{CloseReason, Revision, TransportFault, TransportKind, hub::ServerHubConfig};
use enginewire_simulator::{
    EndId, Log, Manner, Numbered, Path, Random, World, client_config, replay_many,
};

pub(crate) const POLLING: &[TransportKind] = &[TransportKind::Polling];
pub(crate) const WEBSOCKET: &[TransportKind] = &[TransportKind::WebSocket];
pub(crate) const BOTH: &[TransportKind] = &[TransportKind::Polling, TransportKind::WebSocket];
pub(crate) const REVISIONS: [Revision; 2] = [Revision::V4, Revision::V3];

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MILLI: Duration = Duration::from_millis(1);

/// What our side says when it has closed.
pub(crate) const FORCED: Option<CloseReason> = Some(CloseReason::ForcedClose);
/// What the other side says then.
pub(crate) const TOLD: Option<CloseReason> = Some(CloseReason::TransportClose);
pub(crate) const SILENT: Option<CloseReason> = Some(CloseReason::PingTimeout);
pub(crate) const BROKEN: Option<CloseReason> =
    Some(CloseReason::TransportError(TransportFault::ConnectionLost));

/// What a client says that came with a session that is no more.
pub(crate) const REFUSED: Option<CloseReason> =
    Some(CloseReason::TransportError(TransportFault::Status(400)));

/// Steps of a world from the opening of a session until it has moved to its WebSocket, and a few more.
pub(crate) const UPGRADE_STEPS: u32 = 40;

/// A server with small limits that takes both revisions.
pub(crate) fn server() -> ServerHubConfig {
    let mut config = ServerHubConfig::default();
    config.protocol.allow_eio3 = true;
    config.protocol.limits.max_queued = 50_000;
    config.protocol.limits.max_unread = 50_000;
    config
}

pub(crate) fn world(seed: u64) -> World<Numbered> {
    World::new(seed, server(), Numbered::new(Manner { size: 100, ..Manner::default() }))
}

/// A client on connections that are all alike.
pub(crate) fn begin(
    world: &mut World<Numbered>,
    revision: Revision,
    transports: &[TransportKind],
    path: impl Fn(&mut Random) -> Path + 'static,
) -> u64 {
    let mut config = client_config(transports);
    config.revision = revision;
    config.limits.max_queued = 50_000;
    config.limits.max_unread = 50_000;
    world.connect(config, path)
}

pub(crate) fn good(_: &mut Random) -> Path {
    Path::default()
}

/// Has both sides send so many messages.
pub(crate) fn talk(world: &mut World<Numbered>, life: u64, messages: usize) {
    for id in [Some(EndId::Client(life)), world.server_end(life)].into_iter().flatten() {
        world.at(id, |application, end| application.burst(end, messages));
    }
}

pub(crate) fn server_of(world: &World<Numbered>, life: u64) -> EndId {
    world.server_end(life).unwrap_or_else(|| panic!("life {life} has no session"))
}

/// What either side says about the end.
pub(crate) fn reasons(
    world: &World<Numbered>,
    life: u64,
) -> (Option<CloseReason>, Option<CloseReason>) {
    let application = &world.application;
    (application.client(life).closed, application.server(life).closed)
}

/// Checks that the session lives, that all has come, and that more comes.
pub(crate) fn assert_well(world: &mut World<Numbered>, life: u64) {
    world.run_for(SECOND);
    talk(world, life, 5);
    world.run_for(30 * SECOND);
    assert_eq!(reasons(world, life), (None, None));
    world.application.assert_all_came(life);
    assert!(world.application.client(life).received >= 5);
}

/// Checks that so many steps after the opening lie before the upgrade if there are none, and behind it if
/// there are [`UPGRADE_STEPS`].
pub(crate) fn assert_spans_upgrade(world: &World<Numbered>, life: u64, step: u32) {
    match step {
        0 => assert_eq!(world.application.client(life).opened, 0, "the handshake is on its way"),
        UPGRADE_STEPS => assert_eq!(is_upgraded(world, life), (true, true), "too few steps"),
        _ => {}
    }
}

pub(crate) fn is_upgraded(world: &World<Numbered>, life: u64) -> (bool, bool) {
    let application = &world.application;
    (application.client(life).upgraded > 0, application.server(life).upgraded > 0)
}

/// Checks that of all that could come of a scenario just this has: of one seed alone, if `SEED` wants that,
/// nothing else.
pub(crate) fn assert_came<T: Ord + Debug>(
    came: BTreeSet<T>,
    expected: impl IntoIterator<Item = T>,
    what: impl Debug,
) {
    let expected: BTreeSet<_> = expected.into_iter().collect();
    if std::env::var_os("SEED").is_some() {
        assert!(came.is_subset(&expected), "{what:?}: {came:?}, {expected:?}");
    } else {
        assert_eq!(came, expected, "{what:?}");
    }
}

/// Runs a scenario with a few seeds.
pub(crate) fn scenario(run: impl Fn(u64) -> Log) {
    replay_many(3, run);
}
