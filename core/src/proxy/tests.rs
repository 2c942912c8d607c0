//! Tests of the choice of a proxy.

use super::*;

fn url(url: &str) -> Url {
    Url::parse(url).unwrap()
}

fn read(variables: &[(&str, &str)]) -> Result<Proxies, InvalidProxyVariable> {
    Proxies::from_variables(|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| String::from(*value))
    })
}

#[test]
fn address_of_a_proxy_has_a_default_scheme_and_port_and_credentials() {
    for (address, host, port, credentials) in [
        ("http://p:3128", "p", 3128, None),
        ("HTTP://p/", "p", 80, None),
        ("p:3128", "p", 3128, None),
        ("u:w@p:3128", "p", 3128, Some("Basic dTp3")),
        ("http://u:w@[::1]:8080", "::1", 8080, Some("Basic dTp3")),
    ] {
        let proxy = Proxy::parse(address).unwrap();
        let found = (proxy.url().host(), proxy.url().port(), proxy.url().credentials());
        assert_eq!(found, (host, port, credentials), "{address}");
    }
    for (address, error) in [
        ("socks5://p:1080", InvalidProxy::Scheme),
        ("https://p", InvalidProxy::Scheme),
        ("ws://p", InvalidProxy::Scheme),
        ("", InvalidProxy::Url(InvalidUrl::NoHost)),
        ("p:x", InvalidProxy::Url(InvalidUrl::Port)),
    ] {
        assert_eq!(Proxy::parse(address), Err(error), "{address}");
    }
}

#[test]
fn debug_shows_no_password_of_a_proxy() {
    let proxies = Proxies::all(Proxy::parse("http://user:hunter2@p").unwrap());
    let debug = format!("{proxies:?}");
    assert!(debug.contains("http://p/") && !debug.contains("hunter"), "{debug}");
}

#[test]
fn scheme_of_the_server_decides_on_the_proxy() {
    let proxies = Proxies {
        http: Some(Proxy::parse("one").unwrap()),
        https: Some(Proxy::parse("two").unwrap()),
        ..Proxies::default()
    };
    for (server, proxy) in [("http://a", "one"), ("ws://a", "one"), ("https://a", "two")] {
        assert_eq!(proxies.select(&url(server)).unwrap().url().host(), proxy, "{server}");
    }
    assert_eq!(Proxies::default().select(&url("http://a")), None);
}

#[test]
fn exceptions_are_hosts_domains_networks_and_ports() {
    for (list, server, is_exception) in [
        ("*", "http://a", true),
        ("a", "http://a", true),
        ("A", "http://a.:8", true),
        ("a", "http://b.a", true),
        (".a", "http://b.a", true),
        (".a", "http://a", true),
        ("*.a", "http://c.b.a", true),
        ("a.", "http://a", true),
        ("a", "http://ba", false),
        ("b.a", "http://a", false),
        ("a:8", "http://a:8", true),
        ("a:8", "http://a", false),
        ("a:80", "http://a", true),
        ("a:443", "https://a", true),
        ("x, a", "http://a", true),
        ("x\ta y", "http://a", true),
        (",, ,", "http://a", false),
        ("", "http://a", false),
        ("10.1.2.3", "http://10.1.2.3", true),
        ("10.1.2.3", "http://10.1.2.4", false),
        ("2.3", "http://10.1.2.3", false),
        ("10.1.2.3:8", "http://10.1.2.3:8", true),
        ("10.1.2.3:8", "http://10.1.2.3", false),
        ("10.0.0.0/8", "http://10.255.0.1", true),
        ("10.0.0.0/8", "http://11.0.0.1", false),
        ("10.0.0.0/8:81", "http://10.0.0.1:81", true),
        ("10.0.0.255/31", "http://10.0.0.254", true),
        ("10.0.0.255/32", "http://10.0.0.254", false),
        ("10.0.0.1/0", "http://192.0.2.1", true),
        ("10.0.0.1/0", "http://[::1]", false),
        ("10.0.0.1/33", "http://10.0.0.1", false),
        ("10.0.0.0/8", "http://10.example", false),
        ("::1", "http://[::1]", true),
        ("[::1]", "http://[::1]:8", true),
        ("[::1]:8", "http://[::1]:8", true),
        ("[::1]:8", "http://[::1]:9", false),
        ("[::1]8", "http://[::1]:8", false),
        ("fe80::/10", "http://[febf::1]", true),
        ("fe80::/10", "http://[fec0::1]", false),
        ("::/0", "http://[2001:db8::1]", true),
        ("::/129", "http://[::1]", false),
        ("10.0.0.1", "http://[::ffff:10.0.0.1]", true),
        ("::ffff:10.0.0.0/104", "http://10.1.1.1", true),
        ("a/b", "http://a", false),
        ("a:x", "http://a", false),
    ] {
        let mut proxies = Proxies::all(Proxy::parse("p").unwrap());
        proxies.add_exceptions(list);
        assert_eq!(proxies.select(&url(server)).is_none(), is_exception, "{list:?} {server}");
    }
}

#[test]
fn variables_have_lower_case_first_and_one_for_all_last() {
    let host = |proxy: &Option<Proxy>| proxy.as_ref().map(|proxy| String::from(proxy.url().host()));
    type Variables<'a> = &'a [(&'a str, &'a str)];
    let cases: [(Variables<'_>, Option<&str>, Option<&str>); 9] = [
        (&[], None, None),
        (&[("http_proxy", "a"), ("HTTP_PROXY", "b")], Some("a"), None),
        (&[("HTTP_PROXY", "b"), ("HTTPS_PROXY", "c")], Some("b"), Some("c")),
        (&[("https_proxy", "a"), ("HTTPS_PROXY", "c")], None, Some("a")),
        (&[("ALL_PROXY", "a")], Some("a"), Some("a")),
        (&[("all_proxy", "a"), ("https_proxy", " b ")], Some("a"), Some("b")),
        (&[("http_proxy", " "), ("HTTP_PROXY", "b")], Some("b"), None),
        (&[("HTTP_PROXY", "b"), ("REQUEST_METHOD", "GET")], None, None),
        (&[("http_proxy", "b"), ("REQUEST_METHOD", "GET")], Some("b"), None),
    ];
    for (variables, http, https) in cases {
        let proxies = read(variables).unwrap();
        let found = (host(&proxies.http), host(&proxies.https));
        assert_eq!(found, (http.map(Into::into), https.map(Into::into)), "{variables:?}");
    }
    for name in ["no_proxy", "NO_PROXY"] {
        let proxies = read(&[("ALL_PROXY", "p"), (name, "a")]).unwrap();
        assert!(proxies.select(&url("http://a")).is_none(), "{name}");
        assert!(proxies.select(&url("http://b")).is_some(), "{name}");
    }
}

#[test]
fn variable_that_names_no_http_proxy_is_an_error_if_it_is_needed() {
    let socks = ("ALL_PROXY", "socks5h://u:hunter2@p:1080");
    let error = read(&[socks]).unwrap_err();
    assert_eq!((error.variable, error.reason), ("ALL_PROXY", InvalidProxy::Scheme));
    assert!(!format!("{error} {error:?}").contains("hunter"), "{error}");
    let both = [("http_proxy", "a"), ("https_proxy", "a")];
    assert!(read(&[both[0], both[1], socks]).is_ok());
}
