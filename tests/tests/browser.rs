//! The example `browser` of the tokio crate in headless Chromium: the page connects with the official
//! client, upgrades and echoes.

use enginewire_tests::process::{Running, example, script, succeed};

#[test]
fn the_page_connects_upgrades_and_echoes() {
    let mut server = Running::start(example("enginewire-tokio", "browser").args(["0", "0"]));
    let line = server.line().expect("a line");
    let url = line.strip_prefix("open ").expect("the example prints its address");
    succeed(script("browser.mjs").arg(url));
}
