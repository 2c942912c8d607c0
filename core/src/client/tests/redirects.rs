//! Responses that send the client elsewhere.

use super::*;
use crate::channel::RedirectFault;

/// A client that is opening a session with the server at `url`.
fn opening(url: &str, change: impl FnOnce(&mut ClientConfig)) -> Host {
    let mut config = ClientConfig::new(&Url::parse(url).unwrap());
    config.timestamp_requests = Some(false);
    config.remove_user_agent();
    change(&mut config);
    Host::with(config, false)
}

fn redirect(host: &mut Host, method: &str, status: u16, location: &str) {
    let fields = [("Location", location), ("Content-Length", "5")];
    host.answer(method, &Answer { status, fields: &fields }, "moved");
}

fn target(host: &Host, method: &str) -> String {
    let (_, request) = host.request(method).expect("a request");
    request.target.clone()
}

fn fields(host: &Host, method: &str) -> String {
    let (_, request) = host.request(method).expect("a request");
    String::from_utf8(request.headers.as_bytes().to_vec()).unwrap()
}

#[test]
fn requests_of_all_transports_go_where_the_handshake_was_redirected_to() {
    for status in [301, 302, 303, 307, 308] {
        let mut host = opening("http://a?token=1", |_| {});
        assert_eq!(target(&host, "GET"), "/engine.io/?token=1&EIO=4&transport=polling");
        redirect(&mut host, "GET", status, "/p?token=1&EIO=4&transport=polling");
        assert_eq!(target(&host, "GET"), "/p?token=1&EIO=4&transport=polling", "{status}");
        assert_eq!(
            host.session.url(),
            &Url::parse("http://a/p?token=1&EIO=4&transport=polling").unwrap()
        );
        host.answer_get(&open(r#"["websocket"]"#));
        assert_eq!(host.events(), [Event::Opened]);
        assert_eq!(target(&host, "GET"), "/p?token=1&EIO=4&transport=polling&sid=the-sid");
        host.send("a");
        assert_eq!(target(&host, "POST"), "/p?token=1&EIO=4&transport=polling&sid=the-sid");
        let (_, upgrade) = host.opening.first_key_value().unwrap();
        assert_eq!(upgrade.target, "/p?token=1&EIO=4&transport=websocket&sid=the-sid");
    }
}

#[test]
fn later_gets_are_followed_like_the_first() {
    let mut host = Host::polling();
    redirect(&mut host, "GET", 302, "/q/");
    assert!(target(&host, "GET").starts_with("/q/?EIO=4&transport=polling&"));
    assert!(target(&host, "GET").ends_with("&sid=the-sid"));
    host.answer_get("4a");
    assert_eq!(host.events(), [message("a")]);
    assert!(target(&host, "GET").starts_with("/q/?"));
}

#[test]
fn posts_are_followed_with_their_body_if_the_redirect_keeps_it_and_fail_otherwise() {
    for status in [307, 308] {
        let mut host = Host::polling();
        host.send("a");
        redirect(&mut host, "POST", status, "/q/");
        assert!(target(&host, "POST").starts_with("/q/?"));
        assert_eq!(host.posted(), "4a");
        let (_, post) = host.request("POST").unwrap();
        assert_eq!(post.content_type, Some("text/plain; charset=UTF-8"));
        host.answer_post();
        host.send("b");
        assert_eq!(host.posted(), "4b");
    }
    for status in [301, 302, 303] {
        let mut host = Host::polling();
        host.send("a");
        redirect(&mut host, "POST", status, "/q/");
        assert_eq!(host.closed(), error(TransportFault::Status(status)));
    }
}

#[test]
fn responses_that_only_look_like_redirects_are_failures() {
    for status in [300, 304, 305, 306, 309, 201] {
        let mut host = opening("http://a", |_| {});
        redirect(&mut host, "GET", status, "/p");
        assert_eq!(host.closed(), error(TransportFault::Status(status)));
    }
    let mut host = opening("http://a", |_| {});
    host.answer("GET", &Answer { status: 302, fields: &[] }, "");
    assert_eq!(host.closed(), error(TransportFault::Status(302)), "without a location");
}

#[test]
fn redirects_that_cannot_be_followed_end_the_session_with_their_reason() {
    for (url, location, fault) in [
        ("https://a", "http://a/p", RedirectFault::Downgrade),
        ("http://a", "ftp://a/p", RedirectFault::Location),
    ] {
        let mut host = opening(url, |_| {});
        redirect(&mut host, "GET", 302, location);
        assert_eq!(host.closed(), error(fault.into()));
        assert!(host.abandoned.is_empty());
    }
    let mut host = opening("http://a", |_| {});
    for _ in 0..20 {
        redirect(&mut host, "GET", 302, "/p");
    }
    redirect(&mut host, "GET", 302, "/p");
    assert_eq!(host.closed(), error(RedirectFault::TooMany { max: 20 }.into()));
}

#[test]
fn redirects_count_from_the_last_response_that_was_none() {
    let mut host = Host::polling();
    for _ in 0..3 {
        for _ in 0..20 {
            redirect(&mut host, "GET", 307, "/p");
        }
        host.answer_get("4a");
        assert_eq!(host.events(), [message("a")]);
    }
}

#[test]
fn a_circle_of_redirects_makes_room_for_the_next_transport() {
    let mut host = opening("http://a", |config| config.try_all_transports = true);
    for _ in 0..21 {
        redirect(&mut host, "GET", 302, "/p");
    }
    assert!(host.events().is_empty());
    let on = host.open_socket();
    host.text(on, &open("[]"));
    assert_eq!(host.events(), [Event::Opened]);
}

#[test]
fn credentials_and_the_application_s_cookies_stay_with_its_origin() {
    for (location, own) in [
        ("/p", true),
        ("http://a/p", true),
        ("http://a:81/p", false),
        ("http://b/p", false),
        ("https://a/p", false),
    ] {
        let mut host = opening("http://user:pass@a", |config| {
            config.push_header("X-Key", "k").unwrap();
            config.push_header("Proxy-Authorization", "p").unwrap();
            config.push_header("Cookie", "mine=1").unwrap();
        });
        let all = "Accept: */*\r\nAuthorization: Basic dXNlcjpwYXNz\r\nX-Key: k\r\n\
                   Proxy-Authorization: p\r\nCookie: mine=1\r\n";
        assert_eq!(fields(&host, "GET"), all);
        redirect(&mut host, "GET", 302, location);
        let few = "Accept: */*\r\nX-Key: k\r\n";
        assert_eq!(fields(&host, "GET"), if own { all } else { few }, "{location}");
        let mut host = opening("http://a", |config| {
            config.push_header("authorization", "Bearer x").unwrap();
        });
        redirect(&mut host, "GET", 302, location);
        assert_eq!(fields(&host, "GET").contains("Bearer"), own, "{location}");
        // Nor do they come back.
        host.answer_get(&open(r#"["websocket"]"#));
        redirect(&mut host, "GET", 302, "//a/p");
        assert_eq!(fields(&host, "GET").contains("Bearer"), own, "{location}");
        let (_, upgrade) = host.opening.first_key_value().unwrap();
        assert_eq!(upgrade.headers.values("authorization").count(), usize::from(own));
    }
}

#[test]
fn each_host_gets_the_cookies_that_it_has_set_also_with_a_redirect() {
    let mut host = opening("http://a", |_| {});
    let set = |cookie, location| [("Set-Cookie", cookie), ("Location", location)];
    host.answer("GET", &Answer { status: 302, fields: &set("of=a", "/engine.io/p") }, "");
    assert_eq!(fields(&host, "GET"), "Accept: */*\r\nCookie: of=a\r\n");
    host.answer("GET", &Answer { status: 302, fields: &set("x=1", "http://b/engine.io/") }, "");
    assert_eq!(fields(&host, "GET"), "Accept: */*\r\n");
    let fields_of_b = [("Set-Cookie", "of=b")];
    host.answer("GET", &Answer { status: 200, fields: &fields_of_b }, open("[]"));
    assert_eq!(fields(&host, "GET"), "Accept: */*\r\nCookie: of=b\r\n");
}

#[test]
fn a_redirect_of_the_last_post_ends_the_session_like_any_other_response() {
    let mut host = Host::polling();
    host.close();
    assert_eq!(host.posted(), "1");
    redirect(&mut host, "POST", 308, "/p");
    assert_eq!(host.closed(), CloseReason::ForcedClose);
}

#[test]
fn the_time_for_a_request_includes_its_redirects() {
    let mut host = opening("http://a", |config| config.request_timeout = Some(secs(3)));
    host.wait(secs(2));
    redirect(&mut host, "GET", 302, "/p");
    host.wait(secs(1) - millis(1));
    assert!(host.events().is_empty());
    host.wait(millis(1));
    assert_eq!(host.closed(), error(TransportFault::Timeout));
    assert_eq!(host.abandoned.len(), 1);
}

#[test]
fn an_upgrade_waits_for_a_post_that_was_redirected() {
    let (mut host, on) = Host::probing();
    host.send("a");
    host.text(on, "3probe");
    host.answer_get("6");
    redirect(&mut host, "POST", 307, "/q/");
    assert_eq!(host.posted(), "4a");
    assert!(host.events().is_empty());
    host.answer_post();
    assert_eq!(host.events(), [Event::Upgraded]);
}
