//! The example `browser` of the tokio crate in headless Chromium: the page connects with the official
//! client, upgrades and echoes.

use enginewire_tests::example::{Running, script, succeed};

#[test]
fn the_page_connects_upgrades_and_echoes() {
    let (_server, line) = Running::start("enginewire-tokio", "browser", &["0", "0"]);
    let url = line.strip_prefix("open ").expect("the example prints its address");
    succeed(script("browser.mjs").arg(url));
}
