//! Tests of the address of a client behind proxies.

use alloc::{format, string::ToString, vec::Vec};

use super::*;

/// The client of a request whose nearest proxy is 10.0.0.1, with these values of the field.
fn client_by(proxies: &TrustedProxies, name: &str, values: &[&str]) -> String {
    let headers = values.iter().map(|value| (name, value.as_bytes()));
    proxies.client_addr("10.0.0.1:5000".parse().unwrap(), headers).to_string()
}

fn client(values: &[&str]) -> String {
    client_by(&TrustedProxies::parse("10.0.0.0/8, fd00::/8").unwrap(), "X-Forwarded-For", values)
}

fn forwarded(values: &[&str]) -> String {
    let proxies = TrustedProxies::parse("10.0.0.0/8, fd00::/8").unwrap().field("Forwarded");
    client_by(&proxies, "forwarded", values)
}

#[test]
fn last_address_that_is_not_of_a_trusted_proxy_is_the_client() {
    for (values, expected) in [
        (&["203.0.113.9"][..], "203.0.113.9:0"),
        (&["203.0.113.9, 10.0.0.2"], "203.0.113.9:0"),
        (&["203.0.113.9,10.0.0.3 ,\t10.0.0.2"], "203.0.113.9:0"),
        (&["6.6.6.6, 203.0.113.9"], "203.0.113.9:0"),
        (&["6.6.6.6, 203.0.113.9, 10.0.0.2"], "203.0.113.9:0"),
        (&["10.0.0.9, 203.0.113.9"], "203.0.113.9:0"),
    ] {
        assert_eq!(client(values), expected, "{values:?}");
    }
}

#[test]
fn several_fields_are_one_list_in_their_order() {
    for (values, expected) in [
        (&["6.6.6.6", "203.0.113.9"][..], "203.0.113.9:0"),
        (&["203.0.113.9", "10.0.0.2"], "203.0.113.9:0"),
        (&["203.0.113.9", "10.0.0.3", "", "10.0.0.2"], "203.0.113.9:0"),
        (&["203.0.113.9", "unknown", "10.0.0.2"], "10.0.0.2:0"),
        (&["203.0.113.9", "unknown"], "10.0.0.1:5000"),
    ] {
        assert_eq!(client(values), expected, "{values:?}");
    }
}

#[test]
fn client_within_trusted_networks_is_the_first_address() {
    assert_eq!(client(&["10.0.0.9, 10.0.0.2"]), "10.0.0.9:0");
    assert_eq!(client(&["10.0.0.9", "10.0.0.2"]), "10.0.0.9:0");
}

#[test]
fn peer_is_the_client_without_a_field_of_its_own() {
    assert_eq!(client(&[]), "10.0.0.1:5000");
    assert_eq!(client(&[""]), "10.0.0.1:5000");
    assert_eq!(client(&[" , ,"]), "10.0.0.1:5000");
    let proxies = TrustedProxies::parse("10.0.0.0/8").unwrap();
    for name in ["Forwarded", "X-Real-IP", "X-Forwarded-For-Not", "X-Forwarded-Fo"] {
        assert_eq!(client_by(&proxies, name, &["6.6.6.6"]), "10.0.0.1:5000", "{name}");
    }
    assert_eq!(client_by(&proxies, "x-forwarded-for", &["6.6.6.6"]), "6.6.6.6:0");
}

#[test]
fn field_of_a_peer_that_is_not_trusted_is_ignored() {
    let proxies = TrustedProxies::parse("10.0.0.0/8").unwrap();
    let peer = "203.0.113.9:4000".parse().unwrap();
    let headers: [(&str, &[u8]); 1] = [("X-Forwarded-For", b"10.0.0.7")];
    assert_eq!(proxies.client_addr(peer, headers), peer);
    assert_eq!(TrustedProxies::new(Networks::new()).client_addr(peer, headers), peer);
}

#[test]
fn proxy_that_is_connected_by_a_mapped_address_is_trusted() {
    let proxies = TrustedProxies::parse("10.0.0.0/8").unwrap();
    let peer = "[::ffff:10.0.0.1]:4000".parse().unwrap();
    let headers: [(&str, &[u8]); 1] = [("X-Forwarded-For", b"::ffff:203.0.113.9")];
    assert_eq!(proxies.client_addr(peer, headers).to_string(), "203.0.113.9:0");
}

#[test]
fn addresses_may_have_brackets_and_ports() {
    for (node, expected) in [
        ("203.0.113.9:4711", "203.0.113.9:4711"),
        ("203.0.113.9:_hidden", "203.0.113.9:0"),
        ("2001:db8::1", "[2001:db8::1]:0"),
        ("[2001:db8::1]", "[2001:db8::1]:0"),
        ("[2001:db8::1]:4711", "[2001:db8::1]:4711"),
        ("fd00::9, fd00::1", "[fd00::9]:0"),
    ] {
        assert_eq!(client(&[node]), expected, "{node}");
    }
}

#[test]
fn element_that_is_no_address_leaves_the_proxy_that_wrote_it() {
    for node in [
        "unknown",
        "_hidden",
        "localhost",
        "203.0.113",
        "203.0.113.9:",
        "203.0.113.9:65536",
        "203.0.113.9:+80",
        "203.0.113.9:8o",
        "203.0.113.9/32",
        "[2001:db8::1",
        "[2001:db8::1]80",
        "[203.0.113.9]",
        "2001:db8::1]",
        "fe80::1%eth0",
        "\"203.0.113.9\"",
        "203.0.113.9 6.6.6.6",
        "203.0.113.009",
        "::1::",
        "[]",
        ":80",
        "\u{fffd}",
    ] {
        assert_eq!(client(&[node]), "10.0.0.1:5000", "{node}");
        assert_eq!(client(&[&format!("203.0.113.9, {node}")]), "10.0.0.1:5000", "{node}");
        assert_eq!(client(&[&format!("203.0.113.9, {node}, 10.0.0.2")]), "10.0.0.2:0", "{node}");
        assert_eq!(client(&[&format!("{node}, 203.0.113.9")]), "203.0.113.9:0", "{node}");
    }
    let proxies = TrustedProxies::parse("10.0.0.1").unwrap();
    let headers: [(&str, &[u8]); 1] = [("X-Forwarded-For", b"203.0.113.9\xff")];
    let peer = "10.0.0.1:5000".parse().unwrap();
    assert_eq!(proxies.client_addr(peer, headers), peer);
}

#[test]
fn field_of_another_name_is_a_list_too() {
    let proxies = TrustedProxies::parse("10.0.0.0/8").unwrap().field("CF-Connecting-IP");
    assert_eq!(client_by(&proxies, "cf-connecting-ip", &["203.0.113.9"]), "203.0.113.9:0");
    assert_eq!(client_by(&proxies, "X-Forwarded-For", &["6.6.6.6"]), "10.0.0.1:5000");
}

#[test]
fn forwarded_is_read_by_its_parameter_for() {
    for (values, expected) in [
        (&["for=203.0.113.9"][..], "203.0.113.9:0"),
        (&["For=203.0.113.9;proto=https;by=10.0.0.1"], "203.0.113.9:0"),
        (&["proto=http ; FOR = \"203.0.113.9:4711\""], "203.0.113.9:4711"),
        (&["for=\"[2001:db8::1]:4711\""], "[2001:db8::1]:4711"),
        (&["for=\"[2001:db8::1]\", for=10.0.0.2"], "[2001:db8::1]:0"),
        (&["for=203.0.113.9", "for=10.0.0.2"], "203.0.113.9:0"),
        (&["for=6.6.6.6, for=203.0.113.9;host=\"a,b;for=7.7.7.7\""], "203.0.113.9:0"),
        (&["for=203.0.113.9;host=\"a\\\",b\""], "203.0.113.9:0"),
        (&["for=203.0.113.9:_x"], "203.0.113.9:0"),
        (&["for=203.0.113.9;flag"], "203.0.113.9:0"),
    ] {
        assert_eq!(forwarded(values), expected, "{values:?}");
    }
}

#[test]
fn quote_that_a_client_opens_swallows_no_later_element() {
    for start in ["for=\"6.6.6.6", "\"", "for=\"\\", "for=6.6.6.6;host=\"", "a=\"\\\"", "\\"] {
        assert_eq!(forwarded(&[&format!("{start}, for=203.0.113.9")]), "203.0.113.9:0", "{start}");
    }
}

#[test]
fn forwarded_without_an_address_leaves_the_proxy_that_wrote_it() {
    for element in [
        "for=unknown",
        "for=_hidden",
        "for=\"_hidden:80\"",
        "by=203.0.113.9",
        "203.0.113.9",
        "for=203.0.113.9;for=6.6.6.6",
        "for=\"203.0.113.9",
        "for=203.0.113.9\"",
        "for=",
        "for",
        "for=\"\"",
        "xfor=6.6.6.6",
        "=6.6.6.6",
    ] {
        assert_eq!(forwarded(&[element]), "10.0.0.1:5000", "{element}");
        let chained = format!("for=6.6.6.6, {element}, for=10.0.0.2");
        assert_eq!(forwarded(&[&chained]), "10.0.0.2:0", "{element}");
    }
    assert_eq!(forwarded(&["", " , "]), "10.0.0.1:5000");
}

#[test]
fn field_of_many_elements_is_read_to_the_one_that_counts() {
    let quotes = "\",".repeat(8_000);
    assert_eq!(forwarded(&[&quotes]), "10.0.0.1:5000");
    let proxies = "for=10.0.0.2,".repeat(1_200);
    assert_eq!(forwarded(&[&proxies]), "10.0.0.2:0");
    let fields: Vec<_> = (0..2_000).map(|_| "for=10.0.0.2").collect();
    assert_eq!(forwarded(&fields), "10.0.0.2:0");
}

#[test]
fn element_of_a_proxy_is_read_as_its_client() {
    for field in ["X-Forwarded-For", "Forwarded", "X-Real-IP"] {
        let proxies = TrustedProxies::parse("10.0.0.0/8").unwrap().field(field);
        for client in ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"] {
            let client: IpAddr = client.parse().unwrap();
            let (name, element) = proxies.element(Some(client));
            let headers = [(name, &b"198.51.100.1"[..]), (name, element.as_bytes())];
            let read = proxies.client_addr("10.0.0.1:80".parse().unwrap(), headers);
            assert_eq!(read.ip(), unmapped(client), "{field}: {element}");
        }
        // Elements before are not believed: the client is this proxy, as far as is known.
        let (name, element) = proxies.element(None);
        let headers = [(name, &b"198.51.100.1"[..]), (name, element.as_bytes())];
        let peer = "10.0.0.1:80".parse().unwrap();
        assert_eq!(proxies.client_addr(peer, headers), peer, "{field}: {element}");
    }
}
