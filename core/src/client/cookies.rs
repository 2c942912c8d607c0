//! The cookies of one session (RFC 6265bis).

mod date;

use alloc::{string::String, vec::Vec};
use core::{fmt, hash::Hasher, net::IpAddr, time::Duration};

use crate::{exchange::HttpResponse, fingerprint::Fingerprint, time::Time, url::Url};

/// Cookies that servers have set, the oldest first.
#[derive(Clone, Default)]
pub(super) struct Cookies(Vec<Cookie>);

#[derive(Clone, Hash)]
struct Cookie {
    /// Empty if the server has set a value only.
    name: String,
    value: String,
    domain: String,
    /// Whether `domain` is the one host that the cookie is for, and not what its name ends with.
    host_only: bool,
    path: String,
    secure: bool,
    expires: Time,
}

/// The part of a request's URL that decides on its cookies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    /// In lower case, an IPv6 address without brackets.
    pub(super) host: &'a str,
    /// Without the query.
    pub(super) path: &'a str,
    /// Whether the connection is encrypted.
    pub(super) secure: bool,
}

impl Cookies {
    /// Stores the cookies of a response to a request with `scope`. Those that break a rule are ignored.
    ///
    /// `wall_clock` is the UNIX time at [`Time::ZERO`], for a response without `Date`.
    pub(super) fn store(
        &mut self,
        now: Time,
        scope: Scope<'_>,
        wall_clock: Option<Duration>,
        head: &dyn HttpResponse,
    ) {
        let mut values = (0..).map_while(|nth| head.header_nth("set-cookie", nth)).peekable();
        if values.peek().is_none() {
            return;
        }
        let clock =
            unix_time(head).or_else(|| i64::try_from(since_epoch(wall_clock?, now).as_secs()).ok());
        for value in values {
            // The grammar of section 4.1.1 is ASCII; of what is not, browsers make different things.
            let parsed = core::str::from_utf8(value)
                .ok()
                .and_then(|value| Cookie::parse(now, scope, clock, value));
            if let Some(cookie) = parsed {
                self.insert(now, scope, cookie);
            }
        }
    }

    /// The value of the one `Cookie` field that a request may have (section 5.8.3): the application's
    /// `own`, then those of the store. `None` if there are no cookies.
    pub(super) fn header(&self, now: Time, scope: Scope<'_>, own: Option<&str>) -> Option<String> {
        let mut sent: Vec<_> =
            self.0.iter().filter(|cookie| cookie.expires > now && cookie.is_for(scope)).collect();
        // Stable: of equal lengths the oldest comes first.
        sent.sort_by_key(|cookie| core::cmp::Reverse(cookie.path.len()));
        let mut header = String::from(own.unwrap_or_default());
        for cookie in sent {
            if !header.is_empty() {
                header.push_str("; ");
            }
            if !cookie.name.is_empty() {
                header.push_str(&cookie.name);
                header.push('=');
            }
            header.push_str(&cookie.value);
        }
        (!header.is_empty()).then_some(header)
    }

    pub(super) fn fingerprint<H: Hasher>(&self, now: Time, into: &mut Fingerprint<H>) {
        into.push(&self.0.len());
        for cookie in &self.0 {
            let Cookie { name, value, domain, host_only, path, secure, expires } = cookie;
            into.push(&(name, value, domain, host_only, path, secure));
            into.push_time(now, Some(*expires));
        }
    }

    /// The storage model (section 5.7) from step 14 on: what depends on other cookies.
    fn insert(&mut self, now: Time, scope: Scope<'_>, cookie: Cookie) {
        self.0.retain(|cookie| cookie.expires > now);
        let shadows = |old: &Cookie| {
            old.secure
                && old.name == cookie.name
                && (domain_matches(&old.domain, &cookie.domain)
                    || domain_matches(&cookie.domain, &old.domain))
                && path_matches(&cookie.path, &old.path)
        };
        if !cookie.secure && !scope.is_trustworthy() && self.0.iter().any(shadows) {
            return;
        }
        let at = self.0.iter().position(|old| {
            old.name == cookie.name
                && old.domain == cookie.domain
                && old.host_only == cookie.host_only
                && old.path == cookie.path
        });
        match at {
            Some(at) if cookie.expires <= now => {
                self.0.remove(at);
            }
            // It is as old as the one before it.
            Some(at) => self.0[at] = cookie,
            None if cookie.expires <= now => {}
            None => {
                if self.0.len() == MAX_COOKIES {
                    self.0.remove(0);
                }
                self.0.push(cookie);
            }
        }
    }
}

/// Never shows a value: it may be a secret.
impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|cookie| &cookie.name)).finish()
    }
}

impl Cookie {
    /// Reads a `Set-Cookie` field (section 5.6), and completes it by the request of the response
    /// (section 5.7, up to step 20). `clock` is the UNIX time.
    fn parse(now: Time, scope: Scope<'_>, clock: Option<i64>, field: &str) -> Option<Self> {
        if field.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return None;
        }
        let (pair, attributes) = field.split_once(';').unwrap_or((field, ""));
        let (name, value) = pair.split_once('=').unwrap_or(("", pair));
        let (name, value) = (trim(name), trim(value));
        if name.len() + value.len() > MAX_PAIR || (name.is_empty() && value.is_empty()) {
            return None;
        }
        let attributes = Attributes::parse(attributes, clock);
        let age = attributes.max_age.or(attributes.expires);
        let (domain, host_only) = match attributes.domain.filter(|domain| !domain.is_empty()) {
            None => (String::from(scope.host), true),
            Some(domain) => cookie_domain(domain, scope.host)?,
        };
        let path = attributes.path.filter(|path| path.starts_with('/'));
        let cookie = Self {
            name: String::from(name),
            value: String::from(value),
            domain,
            host_only,
            path: String::from(path.unwrap_or_else(|| default_path(scope.path))),
            secure: attributes.secure,
            expires: age.map_or(Time::MAX, |age| now + age.min(MAX_AGE)),
        };
        let is_at_root = attributes.path == Some("/");
        (cookie.may_come_from(scope) && cookie.keeps_prefix(is_at_root)).then_some(cookie)
    }

    /// Whether the scheme allows what the cookie claims.
    fn may_come_from(&self, scope: Scope<'_>) -> bool {
        !self.secure || scope.is_trustworthy()
    }

    /// Whether the cookie has the attributes that the prefix of its name promises.
    fn keeps_prefix(&self, is_at_root: bool) -> bool {
        let begins = |text: &str, prefix: &str| {
            text.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
        };
        let [secure, host] = ["__Secure-", "__Host-"];
        if self.name.is_empty() {
            // A server would take the value for a name.
            return !begins(&self.value, secure) && !begins(&self.value, host);
        }
        let host_kept = self.secure && self.host_only && is_at_root;
        (!begins(&self.name, secure) || self.secure) && (!begins(&self.name, host) || host_kept)
    }

    /// Whether the cookie is sent with a request (section 5.8.3).
    fn is_for(&self, scope: Scope<'_>) -> bool {
        let is_for_host = if self.host_only {
            scope.host == self.domain
        } else {
            domain_matches(scope.host, &self.domain)
        };
        is_for_host
            && path_matches(scope.path, &self.path)
            && (!self.secure || scope.is_trustworthy())
    }
}

impl<'a> Scope<'a> {
    /// The scope of a request to the server at `url` for `target`, a path and query.
    pub(super) fn of(url: &'a Url, target: &'a str) -> Self {
        let path = target.split('?').next().unwrap_or_default();
        Self { host: url.host(), path, secure: url.is_secure() }
    }

    /// Whether cookies that are `Secure` may be set and sent: also on the loopback interface, as in
    /// Chromium.
    fn is_trustworthy(self) -> bool {
        let is_local = |address: IpAddr| address.is_loopback();
        let host = self.host.strip_suffix('.').unwrap_or(self.host);
        self.secure || domain_matches(host, "localhost") || self.host.parse().is_ok_and(is_local)
    }
}

/// The attributes of a `Set-Cookie` field (section 5.6). Of equal names the last valid one counts.
#[derive(Default)]
struct Attributes<'a> {
    expires: Option<Duration>,
    max_age: Option<Duration>,
    domain: Option<&'a str>,
    path: Option<&'a str>,
    secure: bool,
}

impl<'a> Attributes<'a> {
    fn parse(attributes: &'a str, clock: Option<i64>) -> Self {
        let mut found = Self::default();
        for attribute in attributes.split(';') {
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            let (name, value) = (trim(name), trim(value));
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            if value.len() > MAX_ATTRIBUTE {
                continue;
            }
            if is("expires") {
                if let Some(date) = date::parse(value) {
                    found.expires = lifetime(date, clock);
                }
            } else if is("max-age") {
                found.max_age = max_age(value).or(found.max_age);
            } else if is("domain") {
                found.domain = Some(value.strip_prefix('.').unwrap_or(value));
            } else if is("path") {
                found.path = Some(value);
            } else if is("secure") {
                found.secure = true;
            }
        }
        found
    }
}

/// Removes spaces and tabs at both ends.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Time from now to `expires`; zero if that has passed. `None`, as long as the session, if the time
/// is not known and `expires` may be still to come.
fn lifetime(expires: i64, clock: Option<i64>) -> Option<Duration> {
    let left = match clock {
        Some(clock) => expires.saturating_sub(clock),
        None if expires < EARLIEST_CLOCK => 0,
        None => return None,
    };
    Some(Duration::from_secs(u64::try_from(left).unwrap_or(0)))
}

/// Section 5.6.2: seconds, of which zero and fewer mean that the cookie is to be forgotten.
fn max_age(value: &str) -> Option<Duration> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = if digits.len() < value.len() { 0 } else { digits.parse().unwrap_or(u64::MAX) };
    Some(Duration::from_secs(seconds))
}

/// The domain of a cookie with the attribute `domain`, and whether it is for that host only. `None`
/// if the host may not set it.
///
/// There is no list of public suffixes here: a name of one label, such as `com`, is one.
fn cookie_domain(domain: &str, host: &str) -> Option<(String, bool)> {
    let domain = domain.to_ascii_lowercase();
    let is_public = !domain.trim_end_matches('.').contains('.');
    if domain == host {
        let host_only = is_public || host.parse::<IpAddr>().is_ok();
        return Some((domain, host_only));
    }
    (!is_public && domain_matches(host, &domain)).then_some((domain, false))
}

/// Section 5.1.3: whether `host` is `domain`, or a name below it.
fn domain_matches(host: &str, domain: &str) -> bool {
    host == domain
        || (host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
            && host.parse::<IpAddr>().is_err())
}

/// Section 5.1.4: the path of a cookie without one, all of the request's up to the last slash.
fn default_path(path: &str) -> &str {
    match path.rfind('/') {
        Some(end) if end > 0 && path.starts_with('/') => &path[..end],
        _ => "/",
    }
}

/// Section 5.1.4: whether `path` is at or below `cookie_path`.
fn path_matches(path: &str, cookie_path: &str) -> bool {
    path.strip_prefix(cookie_path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || cookie_path.ends_with('/'))
}

/// The server's clock, as its response tells it.
fn unix_time(head: &dyn HttpResponse) -> Option<i64> {
    date::parse(core::str::from_utf8(head.header_nth("date", 0)?).ok()?)
}

/// UNIX time at `now`.
fn since_epoch(wall_clock: Duration, now: Time) -> Duration {
    wall_clock.saturating_add(now.since(Time::ZERO))
}

/// Cookies that are kept: what section 6.1 wants a client to keep of one domain. For one more the
/// oldest is dropped.
const MAX_COOKIES: usize = 50;

/// Bytes of name and value together (section 5.6).
const MAX_PAIR: usize = 4096;

/// Bytes of an attribute's value (section 5.6).
const MAX_ATTRIBUTE: usize = 1024;

/// 400 days, the longest that a cookie is kept (section 5.5).
const MAX_AGE: Duration = Duration::from_secs(400 * 86_400);

/// 1 January 2026: no clock shows less, as this code is younger.
const EARLIEST_CLOCK: i64 = 1_767_225_600;

#[cfg(test)]
mod tests;
