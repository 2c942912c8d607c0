//! The store, by the sections of RFC 6265bis.

use alloc::{format, vec};

use proptest::prelude::*;

use super::*;
use crate::exchange::HeaderLines;

/// A response, for any field but `Date`, which is given apart.
struct Response<'a> {
    date: Option<&'a str>,
    cookies: &'a [&'a str],
}

impl HttpResponse for Response<'_> {
    fn status(&self) -> u16 {
        200
    }

    fn header_nth(&self, name: &str, nth: usize) -> Option<&[u8]> {
        match name {
            "date" if nth == 0 => self.date.map(str::as_bytes),
            "date" => None,
            "set-cookie" => self.cookies.get(nth).map(|value| value.as_bytes()),
            _ => panic!("nobody needs {name}"),
        }
    }
}

/// The scope of a URL.
fn scope(url: &str) -> Scope<'_> {
    let (scheme, rest) = url.split_once("://").unwrap();
    let at = rest.find('/').unwrap();
    Scope { host: &rest[..at], path: &rest[at..], secure: scheme == "https" }
}

const HERE: &str = "http://example.com/engine.io/";

fn store_at(cookies: &mut Cookies, now: Time, url: &str, values: &[&str]) {
    cookies.store(now, scope(url), None, &Response { date: None, cookies: values });
}

fn stored(url: &str, values: &[&str]) -> Cookies {
    let mut cookies = Cookies::default();
    store_at(&mut cookies, Time::ZERO, url, values);
    cookies
}

fn sent(cookies: &Cookies, url: &str) -> String {
    cookies.header(Time::ZERO, scope(url), None).unwrap_or_default()
}

/// What comes back to the same URL.
fn after(values: &[&str]) -> String {
    sent(&stored(HERE, values), HERE)
}

#[test]
fn names_and_values_are_sent_back_without_attributes() {
    for (values, expected) in [
        (&[][..], ""),
        (&["io=abc; Path=/; HttpOnly; SameSite=Lax"], "io=abc"),
        (&["a=1", "b=2"], "a=1; b=2"),
        (&[" \t a \t = 1 2 \t ; x"], "a=1 2"),
        (&["a=b=c=="], "a=b=c=="),
        (&["a=\"q,r\""], "a=\"q,r\""),
        (&["a=1;Unknown;; ;=;="], "a=1"),
        (&["a="], "a="),
        // A cookie without a name is its value.
        (&["no pair"], "no pair"),
        (&["=x"], "x"),
        (&["=x=y"], "x=y"),
        // Neither name nor value.
        (&["", "=", " = ", ";a=1", "; Path=/"], ""),
        (&["é=ü"], "é=ü"),
        // Control characters but the tab.
        (&["a=\tb\tc"], "a=b\tc"),
        (&["a=b\0", "a=\u{1}b", "a=b; Path=/\n", "a\r=b", "a=\u{7f}"], ""),
    ] {
        assert_eq!(after(values), expected, "{values:?}");
    }
}

#[test]
fn a_field_that_is_not_utf8_is_ignored() {
    struct Binary;
    impl HttpResponse for Binary {
        fn status(&self) -> u16 {
            200
        }
        fn header_nth(&self, name: &str, nth: usize) -> Option<&[u8]> {
            (name == "set-cookie").then(|| [&b"a=\xff"[..], b"b=1"].get(nth).copied()).flatten()
        }
    }
    let mut cookies = Cookies::default();
    cookies.store(Time::ZERO, scope(HERE), None, &Binary);
    assert_eq!(sent(&cookies, HERE), "b=1");
}

#[test]
fn sizes_are_bounded() {
    let value = "x".repeat(MAX_PAIR - 1);
    assert_eq!(after(&[&format!("a={value}")]).len(), MAX_PAIR + 1);
    assert_eq!(after(&[&format!("ab={value}")]), "");
    assert_eq!(after(&[&format!("{}=y", "n".repeat(MAX_PAIR))]), "");
    // An attribute that is too long is as none.
    let path = format!("/{}", "p".repeat(MAX_ATTRIBUTE));
    assert_eq!(after(&[&format!("a=1; Path={path}")]), "a=1");
    assert_eq!(after(&[&format!("a=1; Path={}", &path[..MAX_ATTRIBUTE])]), "");
    assert_eq!(after(&[&format!("a=1; Max-Age={}", "0".repeat(MAX_ATTRIBUTE + 1))]), "a=1");
}

#[test]
fn more_cookies_than_fit_drop_the_oldest() {
    let values: Vec<_> = (0..MAX_COOKIES + 3).map(|i| format!("c{i}=x")).collect();
    let values: Vec<_> = values.iter().map(|value| &**value).collect();
    let cookies = sent(&stored(HERE, &values), HERE);
    assert_eq!(cookies.split("; ").count(), MAX_COOKIES);
    assert!(cookies.starts_with("c3=x; ") && cookies.ends_with("c52=x"), "{cookies}");
    // Those that have expired make room first.
    let mut cookies = stored(HERE, &["old=1", "short=1; Max-Age=1"]);
    let later = Time::from_millis(1000);
    store_at(&mut cookies, later, HERE, &values[..MAX_COOKIES - 1]);
    let header = cookies.header(later, scope(HERE), None).unwrap();
    assert!(header.starts_with("old=1; c0=x"), "{header}");
}

#[test]
fn a_cookie_of_the_same_name_domain_and_path_is_replaced_and_keeps_its_age() {
    assert_eq!(after(&["a=1", "b=2", "a=3"]), "a=3; b=2");
    // Another domain, or another path, is another cookie. Longer paths come first.
    assert_eq!(after(&["a=1", "a=2; Domain=example.com"]), "a=1; a=2");
    assert_eq!(after(&["a=1; Path=/", "a=2", "a=3; Path=/engine.io/"]), "a=3; a=2; a=1");
    assert_eq!(after(&["a=1", "a=2; Max-Age=0", "b=3"]), "b=3");
    assert_eq!(after(&["a=1", "a=2; Path=/; Max-Age=0"]), "a=1");
    // Without an attribute the path goes up to the last slash of the request's, but is not empty.
    assert_eq!(sent(&stored("http://a/x", &["a=1", "a=2; Path=/"]), "http://a/x"), "a=2");
    assert_eq!(sent(&stored("http://a/x/y", &["a=1", "a=2; Path=/x"]), "http://a/x/y"), "a=2");
    // Names have a case.
    assert_eq!(after(&["a=1", "A=2"]), "a=1; A=2");
}

#[test]
fn max_age_ends_a_cookie() {
    for (attribute, seconds) in [
        ("Max-Age=60", Some(60)),
        ("max-age=60", Some(60)),
        (" MAX-AGE = 60 ", Some(60)),
        ("Max-Age=0060", Some(60)),
        ("Max-Age=60; Max-Age=90", Some(90)),
        // Not a number: as none.
        ("Max-Age=60; Max-Age=x", Some(60)),
        ("Max-Age", None),
        ("Max-Age=", None),
        ("Max-Age=x", None),
        ("Max-Age=-", None),
        ("Max-Age=6.0", None),
        ("Max-Age=+60", None),
        ("Max-Age=\"60\"", None),
        // As good as forever, but no more than 400 days.
        ("Max-Age=99999999999999999999999", Some(400 * 86_400)),
        ("Max-Age=0", Some(0)),
        ("Max-Age=-0", Some(0)),
        ("Max-Age=-60", Some(0)),
        ("Max-Age=-99999999999999999999999", Some(0)),
    ] {
        let cookies = stored(HERE, &[&format!("a=1; {attribute}")]);
        assert_eq!(lives(&cookies), seconds, "{attribute}");
    }
}

/// Seconds until the only cookie expires. `None` if it never does.
fn lives(cookies: &Cookies) -> Option<u64> {
    match &cookies.0[..] {
        [] => Some(0),
        [cookie] if cookie.expires == Time::MAX => None,
        [cookie] => {
            let (scope, end) = (scope(HERE), cookie.expires);
            let just_before = end - Duration::from_nanos(1);
            assert!(cookies.header(just_before, scope, None).is_some());
            assert_eq!(cookies.header(end, scope, None), None);
            Some(end.since(Time::ZERO).as_secs())
        }
        more => panic!("{} cookies", more.len()),
    }
}

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

#[test]
fn expires_counts_from_the_date_of_the_response() {
    let day = 86_400;
    for (attribute, seconds) in [
        ("Expires=Mon, 07 Nov 1994 08:49:37 GMT", Some(day)),
        ("expires=Monday, 07-Nov-94 08:49:37 GMT", Some(day)),
        ("EXPIRES=Mon Nov  7 08:49:37 1994", Some(day)),
        ("Expires=Mon, 07-Nov-1994 08:49:37 GMT", Some(day)),
        ("Expires=Mon, 07 Nov 1994 08:49:37 GMT; Path=/", Some(day)),
        ("Expires=Fri, 31 Dec 9999 23:59:59 GMT", Some(400 * day)),
        ("Expires=Sun, 06 Nov 1994 08:49:38 GMT", Some(1)),
        ("Expires=Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
        ("Expires=Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
        // No date: as none.
        ("Expires=", None),
        ("Expires=0", None),
        ("Expires=tomorrow", None),
        ("Expires=Mon, 07 Nov 1994 08:49:37 GMT; Expires=0", Some(day)),
        // Max-Age goes before it, whichever is last.
        ("Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60", Some(60)),
        ("Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", Some(60)),
        ("Max-Age=0; Expires=Mon, 07 Nov 1994 08:49:37 GMT", Some(0)),
        ("Max-Age=x; Expires=Mon, 07 Nov 1994 08:49:37 GMT", Some(day)),
    ] {
        let mut cookies = Cookies::default();
        let values = [&*format!("a=1; {attribute}")];
        let response = Response { date: Some(DATE), cookies: &values };
        // A clock of our own that is wrong does no harm.
        let wrong = Some(Duration::from_secs(4_000_000_000));
        cookies.store(Time::ZERO, scope(HERE), wrong, &response);
        assert_eq!(lives(&cookies), seconds, "{attribute}");
    }
}

#[test]
fn expires_counts_from_the_wall_clock_if_the_response_has_no_date() {
    let wall_clock = Some(Duration::from_secs(784_111_777 - 10));
    for (date, seconds) in [
        ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
        ("Sat, 05 Nov 1994 08:49:37 GMT", Some(0)),
    ] {
        for no_date in [None, Some("no date")] {
            let mut cookies = Cookies::default();
            let values = [&*format!("a=1; Expires={date}")];
            // Ten seconds after the driver's epoch.
            let now = Time::from_millis(10_000);
            let response = Response { date: no_date, cookies: &values };
            cookies.store(now, scope(HERE), wall_clock, &response);
            let left = cookies.0.first().map_or(0, |cookie| cookie.expires.since(now).as_secs());
            assert_eq!(Some(left), seconds, "{date}");
        }
    }
}

#[test]
fn without_any_clock_expires_only_deletes() {
    let stays = "a=1; Expires=Thu, 01 Jan 2026 00:00:00 GMT";
    assert_eq!(lives(&stored(HERE, &[stays])), None);
    for past in ["Thu, 01 Jan 1970 00:00:00 GMT", "Wed, 31 Dec 2025 23:59:59 GMT"] {
        assert_eq!(after(&["a=1", "b=2", &format!("a=; Expires={past}")]), "b=2", "{past}");
    }
}

#[test]
fn domains_are_matched_by_whole_labels() {
    let at = |host: &str| format!("http://{host}/");
    for (host, domain, goes_to, stays_from) in [
        // Host only.
        (
            "a.b.example",
            "",
            vec!["a.b.example"],
            vec!["b.example", "x.a.b.example", "aa.b.example"],
        ),
        ("a.b.example", "Domain", vec!["a.b.example"], vec!["x.a.b.example"]),
        ("a.b.example", "Domain=.", vec!["a.b.example"], vec!["x.a.b.example"]),
        ("a.b.example", "Domain=", vec!["a.b.example"], vec!["x.a.b.example"]),
        // The last one counts.
        ("a.b.example", "Domain=c.example; Domain=", vec!["a.b.example"], vec!["x.a.b.example"]),
        (
            "a.b.example",
            "Domain=b.example",
            vec!["a.b.example", "b.example", "x.y.b.example"],
            vec!["xb.example", "example", "b.example.com"],
        ),
        ("a.b.example", "Domain=.B.Example", vec!["b.example"], vec!["xb.example"]),
        ("a.b.example", "domain=a.b.example", vec!["x.a.b.example"], vec!["b.example"]),
        ("localhost", "Domain=localhost", vec!["localhost"], vec!["a.localhost"]),
        ("127.0.0.1", "Domain=127.0.0.1", vec!["127.0.0.1"], vec!["x.127.0.0.1", "27.0.0.1"]),
        ("::1", "", vec!["::1"], vec!["::2"]),
        ("::1", "Domain=::1", vec!["::1"], vec!["::2"]),
    ] {
        let cookies = stored(&at(host), &[&format!("a=1; {domain}")]);
        for to in goes_to {
            assert_eq!(sent(&cookies, &at(to)), "a=1", "{host} {domain}: {to}");
        }
        for to in stays_from {
            assert_eq!(sent(&cookies, &at(to)), "", "{host} {domain}: {to}");
        }
    }
    for (host, domain) in [
        ("a.example", "b.example"),
        ("a.example", "x.a.example"),
        ("a.example", "..example"),
        // Names that end with it, but not at a label.
        ("ba.example", "a.example"),
        // Public.
        ("a.example", "example"),
        ("a.example", "com"),
        ("a.example.", "example."),
        ("127.0.0.1", "0.0.1"),
        ("127.0.0.1", "1"),
        ("::1", "[::1]"),
        ("::ffff:1.2.3.4", "2.3.4"),
    ] {
        let cookies = stored(&at(host), &[&format!("a=1; Domain={domain}")]);
        assert!(cookies.0.is_empty(), "{host} {domain}");
    }
}

#[test]
fn paths_are_matched_by_whole_segments() {
    let at = |path: &str| format!("http://example.com{path}");
    for (path, attribute, goes_to, stays_from) in [
        // The default path.
        ("/", "", vec!["/", "/a", "/a/b"], vec![]),
        ("/a", "", vec!["/", "/a", "/b"], vec![]),
        ("/a/", "", vec!["/a", "/a/", "/a/b"], vec!["/", "/ab", "/b"]),
        ("/a/b", "", vec!["/a", "/a/b", "/a/c"], vec!["/", "/ab"]),
        ("/a/b/c", "Path", vec!["/a/b", "/a/b/x"], vec!["/a", "/a/bc"]),
        ("/a/b/c", "Path=x", vec!["/a/b", "/a/b/x"], vec!["/a"]),
        ("/a/b/c", "Path=", vec!["/a/b"], vec!["/a"]),
        // Its own.
        ("/a/b", "Path=/", vec!["/", "/x"], vec![]),
        ("/a/b", "Path=/a", vec!["/a", "/a/", "/a/x"], vec!["/", "/ab", "/A"]),
        ("/a/b", "Path=/a/", vec!["/a/", "/a/x"], vec!["/a", "/ab"]),
        ("/a/b", "path = /a", vec!["/a"], vec!["/"]),
        // A path that is not the request's may be set, but the last one counts.
        ("/a/b", "Path=/x; Path=/y", vec!["/y"], vec!["/x", "/a"]),
        ("/a/b", "Path=/x; Path=y", vec!["/a"], vec!["/x"]),
    ] {
        let cookies = stored(&at(path), &[&format!("a=1; {attribute}")]);
        for to in goes_to {
            assert_eq!(sent(&cookies, &at(to)), "a=1", "{path} {attribute}: {to}");
        }
        for to in stays_from {
            assert_eq!(sent(&cookies, &at(to)), "", "{path} {attribute}: {to}");
        }
    }
    // The default path at the root is that of the attribute: the one cookie replaces the other.
    let cookies = stored(&at("/a"), &["a=1", "a=2; Path=/"]);
    assert_eq!(sent(&cookies, &at("/")), "a=2");
}

#[test]
fn secure_cookies_are_set_and_sent_on_tls_and_on_loopback_only() {
    let [http, https] = ["http://example.com/", "https://example.com/"];
    let cookies = stored(https, &["a=1; Secure", "b=2; SECURE=no", "c=3"]);
    assert_eq!(sent(&cookies, https), "a=1; b=2; c=3");
    assert_eq!(sent(&cookies, http), "c=3");
    assert!(stored(http, &["a=1; Secure"]).0.is_empty());
    for local in ["localhost", "a.localhost", "localhost.", "127.0.0.1", "127.9.9.9", "::1"] {
        let url = format!("http://{local}/");
        assert_eq!(sent(&stored(&url, &["a=1; Secure"]), &url), "a=1", "{local}");
    }
    for other in ["notlocalhost", "localhost.example", "128.0.0.1", "127.0.0.1.example", "::2"] {
        let url = format!("http://{other}/");
        assert!(stored(&url, &["a=1; Secure"]).0.is_empty(), "{other}");
    }
}

#[test]
fn secure_cookies_are_left_alone_by_connections_without_tls() {
    let set = |url: &str, value: &str| {
        let mut cookies = stored("https://a.example.com/p/", &["a=1; Secure; Domain=example.com"]);
        store_at(&mut cookies, Time::ZERO, url, &[value]);
        sent(&cookies, "https://a.example.com/p/")
    };
    for value in ["a=2", "a=2; Domain=example.com", "a=; Max-Age=0; Domain=example.com"] {
        assert_eq!(set("http://a.example.com/p/", value), "a=1", "{value}");
    }
    // One that has expired is none.
    let mut cookies = stored("https://a/", &["a=1; Secure; Max-Age=1"]);
    store_at(&mut cookies, Time::from_millis(1000), "http://a/", &["a=2"]);
    assert_eq!(sent(&cookies, "http://a/"), "a=2");
    // It is for another path, or has another name.
    assert_eq!(set("http://a.example.com/", "a=2"), "a=1; a=2");
    assert_eq!(set("http://a.example.com/p/", "b=2"), "a=1; b=2");
    assert_eq!(set("https://a.example.com/p/", "a=2; Domain=example.com"), "a=2");
}

#[test]
fn prefixes_of_names_are_promises() {
    let [http, https] = ["http://example.com/p/", "https://example.com/p/"];
    for (url, value, stored_there) in [
        (https, "__Secure-a=1; Secure", true),
        (https, "__Secure-a=1", false),
        (https, "__SECURE-a=1", false),
        (http, "__Secure-a=1; Secure", false),
        (https, "__Host-a=1; Secure; Path=/", true),
        (https, "__host-a=1; Secure; Path=/", true),
        (https, "__Host-a=1; Secure", false),
        (https, "__Host-a=1; Path=/", false),
        (https, "__Host-a=1; Secure; Path=/p", false),
        (https, "__HOST-a=1; Secure; Path=/; Domain=example.com", false),
        (https, "__Host-a=1; Secure; Path=/; Domain=", true),
        // As the value of a cookie without a name.
        (https, "__Secure-a; Secure", false),
        (https, "=__Host-a=1; Secure; Path=/", false),
        (https, "__Hos-a=1", true),
        (https, "a=__Host-", true),
    ] {
        assert_eq!(!stored(url, &[value]).0.is_empty(), stored_there, "{url} {value}");
    }
    // The default path of a request at the root is not the attribute.
    assert!(stored("https://example.com/", &["__Host-a=1; Secure"]).0.is_empty());
}

#[test]
fn cookies_of_the_application_come_first() {
    let cookies = stored(HERE, &["a=1"]);
    let header = |cookies: &Cookies, own| cookies.header(Time::ZERO, scope(HERE), own);
    assert_eq!(header(&cookies, Some("own=1; own=2")).as_deref(), Some("own=1; own=2; a=1"));
    assert_eq!(header(&Cookies::default(), Some("own=1")).as_deref(), Some("own=1"));
    assert_eq!(header(&Cookies::default(), None), None);
}

proptest! {
    #[test]
    fn any_field_is_parsed_without_a_panic_and_sent_back_as_a_legal_field(
        fields in prop::collection::vec(
            "(_{0,2}[hH]ost-|__Secure-)?[a-c=\\PC\\x00-\\x1f]{0,6}(; ?(Path|Domain|Secure|Expires|Max-Age)=?\\PC{0,8}){0,3}",
            0..8,
        ),
    ) {
        let fields: Vec<_> = fields.iter().map(|field| &**field).collect();
        let cookies = stored(HERE, &fields);
        let header = sent(&cookies, HERE);
        prop_assert_eq!(HeaderLines::new().push("Cookie", &header), Ok(()), "{:?}", fields);
    }
}

#[test]
fn debug_shows_no_values() {
    assert_eq!(format!("{:?}", stored(HERE, &["io=secret"])), r#"["io"]"#);
}
