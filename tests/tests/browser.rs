//! The example `browser` of the tokio crate in headless Chromium: the page connects with the official
//! client, upgrades, echoes, and says why it cannot connect.

use enginewire_tests::process::{Running, example, script, succeed};

#[test]
fn page_connects_upgrades_echoes_and_explains_failures() {
    let mut server = Running::start(example("enginewire-tokio", "browser").arg("0"));
    let line = server.line().expect("a line");
    let url = line.strip_prefix("open ").expect("the example prints its address");
    succeed(script("browser.mjs").arg(url));
}

#[test]
fn page_tells_that_a_server_is_gone_and_connects_when_it_is_back() {
    succeed(script("browser.mjs").arg("--self-test"));
}
