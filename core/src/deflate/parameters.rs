//! Negotiation of permessage-deflate (RFC 7692 section 7.1): `Sec-WebSocket-Extensions`, on both sides.

use alloc::{format, string::String, vec::Vec};

use super::{
    NotOffered,
    options::{MAX_BITS, PerMessageDeflate},
};

/// Parameters of permessage-deflate that both sides of a WebSocket have agreed on, and our options.
///
/// Made by [`accept_deflate`](crate::wire::ws::accept_deflate) and
/// [`ClientKey::deflate`](crate::wire::ws::ClientKey::deflate).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeflateParameters {
    pub(super) threshold: usize,
    pub(super) level: u8,
    /// Our window is that of the options: the peer has not asked for less.
    pub(super) is_usual: bool,
    /// The parameters of our messages, and of those of the peer.
    pub(super) ours: Direction,
    pub(super) theirs: Direction,
}

/// The parameters of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Direction {
    /// A message may refer to those before it.
    pub(super) takeover: bool,
    /// Base-2 logarithm of the window.
    pub(super) bits: u8,
}

impl DeflateParameters {
    /// Accepts the first offer of a client that is in order, on the side of a server.
    ///
    /// Returns the value of the field in the response, too. `None` if there is no such offer: the WebSocket goes on
    /// without compression. `offers` are the values of all fields of the request.
    pub(crate) fn accept<'a>(
        options: &PerMessageDeflate,
        offers: impl Iterator<Item = &'a [u8]>,
    ) -> Option<(Self, String)> {
        let offers: Option<Vec<_>> = offers.map(extensions).collect();
        let mut offers = offers?.into_iter().flatten().filter(|offer| offer.name == NAME);
        offers.find_map(|offer| Self::accept_one(options, &Named::new(&offer)?))
    }

    fn accept_one(options: &PerMessageDeflate, offer: &Named) -> Option<(Self, String)> {
        let server_bits = match offer.server_max_window_bits {
            None => MAX_BITS,
            Some(Bits::Is(bits)) => bits,
            Some(Bits::Any) => return None,
        };
        let client_bits = match offer.client_max_window_bits {
            // Section 7.1.2.2: without it, a client cannot be told to use less.
            None if options.client_bits() < MAX_BITS => return None,
            None | Some(Bits::Any) => MAX_BITS,
            Some(Bits::Is(bits)) => bits,
        };
        let ours = Direction {
            takeover: options.server_context_takeover && !offer.server_no_context_takeover,
            bits: server_bits.min(options.server_bits()),
        };
        let theirs = Direction {
            takeover: options.client_context_takeover && !offer.client_no_context_takeover,
            bits: client_bits.min(options.client_bits()),
        };
        let mut value = String::from(NAME);
        push_flag(&mut value, SERVER_NO_CONTEXT_TAKEOVER, !ours.takeover);
        push_flag(&mut value, CLIENT_NO_CONTEXT_TAKEOVER, !theirs.takeover);
        if ours.bits < MAX_BITS || offer.server_max_window_bits.is_some() {
            push_bits(&mut value, SERVER_MAX_WINDOW_BITS, ours.bits);
        }
        if theirs.bits < MAX_BITS {
            push_bits(&mut value, CLIENT_MAX_WINDOW_BITS, theirs.bits);
        }
        let is_usual = ours.bits == options.server_bits();
        let PerMessageDeflate { threshold, level, .. } = *options;
        Some((Self { threshold, level, is_usual, ours, theirs }, value))
    }

    /// Returns the offer of a client.
    pub(crate) fn offer(options: &PerMessageDeflate) -> String {
        let mut value = String::from(NAME);
        push_flag(&mut value, SERVER_NO_CONTEXT_TAKEOVER, !options.server_context_takeover);
        push_flag(&mut value, CLIENT_NO_CONTEXT_TAKEOVER, !options.client_context_takeover);
        if options.server_bits() < MAX_BITS {
            push_bits(&mut value, SERVER_MAX_WINDOW_BITS, options.server_bits());
        }
        if options.client_bits() < MAX_BITS {
            push_bits(&mut value, CLIENT_MAX_WINDOW_BITS, options.client_bits());
        } else {
            // A hint that the parameter is understood.
            push_flag(&mut value, CLIENT_MAX_WINDOW_BITS, true);
        }
        value
    }

    /// Checks what a server has chosen of the [`offer`](Self::offer) of a client with these options.
    ///
    /// `Ok(None)` if it has chosen no extension.
    ///
    /// # Errors
    ///
    /// It has chosen what was not offered, or its parameters are not in order. The WebSocket fails (section 7.1).
    pub(crate) fn check<'a>(
        options: &PerMessageDeflate,
        response: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Option<Self>, NotOffered> {
        let chosen: Option<Vec<_>> = response.map(extensions).collect();
        let chosen: Vec<_> = chosen.ok_or(NotOffered)?.into_iter().flatten().collect();
        let chosen = match &*chosen {
            [] => return Ok(None),
            [one] if one.name == NAME => Named::new(one).ok_or(NotOffered)?,
            _ => return Err(NotOffered),
        };
        let server_bits = match chosen.server_max_window_bits {
            // Section 7.1.2.1: a server that accepts the parameter says so.
            None if options.server_bits() < MAX_BITS => return Err(NotOffered),
            None => MAX_BITS,
            Some(Bits::Is(bits)) if bits <= options.server_bits() => bits,
            Some(_) => return Err(NotOffered),
        };
        let client_bits = match chosen.client_max_window_bits {
            None => options.client_bits(),
            Some(Bits::Is(bits)) if bits <= options.client_bits() => bits,
            Some(_) => return Err(NotOffered),
        };
        if !options.server_context_takeover && !chosen.server_no_context_takeover {
            return Err(NotOffered);
        }
        let takeover = options.client_context_takeover && !chosen.client_no_context_takeover;
        Ok(Some(Self {
            threshold: options.threshold,
            level: options.level,
            is_usual: client_bits == options.client_bits(),
            ours: Direction { takeover, bits: client_bits },
            theirs: Direction { takeover: !chosen.server_no_context_takeover, bits: server_bits },
        }))
    }
}

fn push_flag(value: &mut String, name: &str, is_set: bool) {
    if is_set {
        value.push_str("; ");
        value.push_str(name);
    }
}

fn push_bits(value: &mut String, name: &str, bits: u8) {
    value.push_str(&format!("; {name}={bits}"));
}

/// The parameters of one permessage-deflate, by name.
#[derive(Default)]
struct Named {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<Bits>,
    client_max_window_bits: Option<Bits>,
}

/// The value of a window.
#[derive(Clone, Copy)]
enum Bits {
    Is(u8),
    /// None was given.
    Any,
}

impl Named {
    /// `None` if a parameter is unknown, is there twice, or has a value that it must not have (section 7.1).
    fn new(extension: &Extension<'_>) -> Option<Self> {
        let mut named = Self::default();
        for &(name, value) in &extension.parameters {
            let is_new = match name {
                SERVER_NO_CONTEXT_TAKEOVER if value.is_none() => {
                    !core::mem::replace(&mut named.server_no_context_takeover, true)
                }
                CLIENT_NO_CONTEXT_TAKEOVER if value.is_none() => {
                    !core::mem::replace(&mut named.client_no_context_takeover, true)
                }
                SERVER_MAX_WINDOW_BITS => {
                    named.server_max_window_bits.replace(window(value)?).is_none()
                }
                CLIENT_MAX_WINDOW_BITS => {
                    named.client_max_window_bits.replace(window(value)?).is_none()
                }
                _ => false,
            };
            if !is_new {
                return None;
            }
        }
        Some(named)
    }
}

/// A window: "a decimal integer value without leading zeroes between 8 to 15 inclusive" (section 7.1.2).
fn window(value: Option<&str>) -> Option<Bits> {
    let Some(value) = value else { return Some(Bits::Any) };
    let bits = match value.as_bytes() {
        [digit @ b'8'..=b'9'] => digit - b'0',
        [b'1', digit @ b'0'..=b'5'] => 10 + digit - b'0',
        _ => return None,
    };
    Some(Bits::Is(bits))
}

/// One extension of a field (RFC 6455 section 9.1).
#[derive(Debug, PartialEq, Eq)]
struct Extension<'a> {
    name: &'a str,
    parameters: Vec<(&'a str, Option<&'a str>)>,
}

/// Takes a field apart. `None` if it does not have its form.
///
/// The value of a parameter may be in quotes, but is a token then as well, so that none has a quote or a comma inside.
fn extensions(field: &[u8]) -> Option<Vec<Extension<'_>>> {
    let field = core::str::from_utf8(field).ok()?;
    let mut extensions = Vec::new();
    for extension in field.split(',') {
        if extension.trim_matches(WHITE_SPACE).is_empty() {
            // RFC 9110 section 5.6.1: empty members count for nothing.
            continue;
        }
        let mut parts = extension.split(';');
        let name = token(parts.next()?)?;
        let parameters = parts.map(parameter).collect::<Option<_>>()?;
        extensions.push(Extension { name, parameters });
    }
    Some(extensions)
}

fn parameter(text: &str) -> Option<(&str, Option<&str>)> {
    let Some((name, value)) = text.split_once('=') else { return Some((token(text)?, None)) };
    let value = value.trim_matches(WHITE_SPACE);
    let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let value = match unquoted {
        Some(value) if value.trim_matches(WHITE_SPACE).len() != value.len() => return None,
        Some(value) => value,
        None => value,
    };
    Some((token(name)?, Some(token(value)?)))
}

fn token(text: &str) -> Option<&str> {
    let text = text.trim_matches(WHITE_SPACE);
    let is_token = !text.is_empty() && text.bytes().all(crate::exchange::is_token);
    is_token.then_some(text)
}

const WHITE_SPACE: [char; 2] = [' ', '\t'];

/// The name of the extension (section 7). Names of extensions and parameters have a case.
const NAME: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

#[cfg(test)]
mod tests;
