//! URLs that are of other servers than the builder says.

use enginewire_cluster::redis::{Redis, RedisFault};
use enginewire_tests::{client::soon, host::Host};

use crate::server::RedisServer;

on_every_runtime!(servers_that_are_others_than_the_builder_says_are_told);

fn servers_that_are_others_than_the_builder_says_are_told<R: Host>() {
    let (server, sentinel) = (RedisServer::start(), RedisServer::with(&["--sentinel"]));
    let fault = |url: &str, name: Option<&str>| {
        let builder = Redis::<R>::builder(url);
        let builder = match name {
            Some(name) => builder.sentinel(name),
            None => builder,
        };
        soon("an error", builder.connect()).unwrap_err()
    };
    let error = fault(&sentinel.url(), None);
    assert!(matches!(error.fault(), RedisFault::Sentinel), "{error}");
    let error = fault(&sentinel.url(), Some("other"));
    assert!(matches!(error.fault(), RedisFault::UnknownMaster(name) if name == "other"), "{error}");
    assert_eq!(error.address(), Some(&*sentinel.address().to_string()));
    let error = fault(&server.url(), Some("main"));
    assert!(matches!(error.fault(), RedisFault::Command { command: "SENTINEL", .. }), "{error}");
    let error = fault(&format!("{},{}", server.url(), server.address()), None);
    assert!(matches!(error.fault(), RedisFault::NoCluster), "{error}");
}
