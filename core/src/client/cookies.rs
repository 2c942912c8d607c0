//! The cookies of one session (RFC 6265, as far as a client of one server needs it).

use alloc::{string::String, vec::Vec};
use core::{fmt, hash::Hasher, time::Duration};

use crate::{exchange::AnswerHead, fingerprint::Fingerprint, time::Time};

/// Names and values that the server has set.
#[derive(Clone, Default)]
pub(super) struct Cookies(Vec<Cookie>);

#[derive(Clone)]
struct Cookie {
    name: String,
    value: String,
    expires: Time,
}

impl Cookies {
    /// Takes the cookies that an answer sets. Attributes other than `Max-Age` are for clients of many
    /// servers. Those that go beyond the limits are ignored.
    pub(super) fn store(&mut self, now: Time, head: &dyn AnswerHead) {
        for value in (0..).map_while(|nth| head.header_nth("set-cookie", nth)) {
            // The grammar of section 4.1.1 is ASCII; of what is not, browsers make different things.
            if let Ok(value) = core::str::from_utf8(value) {
                self.set(now, value);
            }
        }
    }

    /// The value of the one `Cookie` field that there may be (section 5.4): what the application has for
    /// it, and the server's. `None` if there are no cookies.
    pub(super) fn header(&self, now: Time, own: Option<&str>) -> Option<String> {
        let mut header = String::from(own.unwrap_or_default());
        for cookie in self.0.iter().filter(|cookie| cookie.expires > now) {
            if !header.is_empty() {
                header.push_str("; ");
            }
            header.push_str(&cookie.name);
            header.push('=');
            header.push_str(&cookie.value);
        }
        (!header.is_empty()).then_some(header)
    }

    pub(super) fn fingerprint<H: Hasher>(&self, now: Time, into: &mut Fingerprint<H>) {
        into.push(&self.0.len());
        for Cookie { name, value, expires } in &self.0 {
            into.push(&(name, value));
            into.push_time(now, Some(*expires));
        }
    }

    fn set(&mut self, now: Time, value: &str) {
        let mut parts = value.split(';');
        let pair = parts.next().and_then(|pair| pair.split_once('='));
        let Some((name, value)) = pair.map(|(name, value)| (name.trim(), value.trim())) else {
            return;
        };
        if name.is_empty() || name.len() + value.len() > MAX_LEN {
            return;
        }
        self.0.retain(|cookie| cookie.name != name);
        let expires = parts.filter_map(max_age).next_back().map_or(Time::MAX, |age| now + age);
        if expires > now && self.0.len() < MAX_COOKIES {
            let (name, value) = (String::from(name), String::from(value));
            self.0.push(Cookie { name, value, expires });
        }
    }
}

/// Never shows a value: it may be a secret.
impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|cookie| &cookie.name)).finish()
    }
}

/// Section 5.2.2: seconds, of which zero and fewer mean that the cookie is to be forgotten.
fn max_age(attribute: &str) -> Option<Duration> {
    let (name, seconds) = attribute.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("max-age") {
        return None;
    }
    let seconds = seconds.trim();
    let digits = seconds.strip_prefix('-').unwrap_or(seconds);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = if digits.len() < seconds.len() { 0 } else { digits.parse().unwrap_or(u64::MAX) };
    Some(Duration::from_secs(seconds))
}

/// More than any load balancer sets; all of them go with each request.
const MAX_COOKIES: usize = 16;

/// Name and value of one: what section 6.1 wants a client to take.
const MAX_LEN: usize = 4096;

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    struct Answer<'a>(&'a [&'a str]);

    impl AnswerHead for Answer<'_> {
        fn status(&self) -> u16 {
            200
        }

        fn header_nth(&self, name: &str, nth: usize) -> Option<&[u8]> {
            assert_eq!(name, "set-cookie");
            self.0.get(nth).map(|value| value.as_bytes())
        }
    }

    fn after(values: &[&str]) -> Option<String> {
        let mut cookies = Cookies::default();
        cookies.store(Time::ZERO, &Answer(values));
        cookies.header(Time::ZERO, None)
    }

    #[test]
    fn cookies_are_sent_back_in_order_without_their_attributes() {
        let values = ["io=abc; Path=/; HttpOnly; SameSite=Lax", "route = node-1 ;Secure", "e="];
        assert_eq!(after(&values).as_deref(), Some("io=abc; route=node-1; e="));
        assert_eq!(after(&[]), None);
        assert_eq!(after(&["no pair", "=x", ""]), None);
    }

    #[test]
    fn the_last_value_of_a_name_counts_and_max_age_ends_it() {
        assert_eq!(after(&["a=1", "b=2", "a=3"]).as_deref(), Some("b=2; a=3"));
        assert_eq!(after(&["a=1", "a=; Max-Age=0"]), None);
        assert_eq!(after(&["a=1; max-age=-5"]), None);
        assert_eq!(after(&["a=1; Max-Age=x; Max-Age"]).as_deref(), Some("a=1"));
        let mut cookies = Cookies::default();
        cookies.store(Time::ZERO, &Answer(&["a=1; Max-Age=60", "b=2"]));
        assert_eq!(cookies.header(Time::from_millis(59_999), None).as_deref(), Some("a=1; b=2"));
        let later = Time::from_millis(60_000);
        assert_eq!(cookies.header(later, None).as_deref(), Some("b=2"));
        assert_eq!(cookies.header(later, Some("own=1")).as_deref(), Some("own=1; b=2"));
        assert_eq!(Cookies::default().header(later, Some("own=1")).as_deref(), Some("own=1"));
    }

    #[test]
    fn a_server_cannot_make_us_keep_any_number_of_them() {
        let values: Vec<_> = (0..100).map(|i| format!("c{i}=x")).collect();
        let values: Vec<_> = values.iter().map(|value| &**value).collect();
        assert_eq!(after(&values).unwrap().split("; ").count(), MAX_COOKIES);
        assert_eq!(after(&[&format!("a={}", "x".repeat(MAX_LEN))]), None);
    }
}
