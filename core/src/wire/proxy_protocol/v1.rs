//! Version 1: a line of text (section 2.1).

use core::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::{FromStr, Split},
};

use super::{Fault, Header, Parsed};
use crate::networks::unmapped;

pub(super) const SIGNATURE: &[u8] = b"PROXY ";

/// `PROXY UNKNOWN`, and the end of the line.
pub(super) const MIN_LEN: usize = 15;

/// With the end of the line.
const MAX_LEN: usize = 107;

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, Fault> {
    let line = &bytes[..bytes.len().min(MAX_LEN)];
    let Some(end) = memchr::memchr(b'\n', line) else {
        if line.len() == MAX_LEN {
            return Err(Fault::LineTooLong);
        }
        check_start(line)?;
        let ending = if line.ends_with(b"\r") { 1 } else { 2 };
        return Ok(Parsed::Partial(ending.max(MIN_LEN.saturating_sub(line.len()))));
    };
    let line = line[..end].strip_suffix(b"\r").ok_or(Fault::Line)?;
    let line = core::str::from_utf8(line).map_err(|_| Fault::Line)?;
    let mut words = line.split(' ');
    // The signature, which is known.
    words.next();
    let addresses = match words.next() {
        // Whatever else is in the line is to be ignored.
        Some("UNKNOWN") => None,
        Some("TCP4") => Some(addresses::<Ipv4Addr>(words).ok_or(Fault::Line)?),
        Some("TCP6") => Some(addresses::<Ipv6Addr>(words).ok_or(Fault::Line)?),
        _ => return Err(Fault::Line),
    };
    let (source, destination) = addresses.unzip();
    Ok(Parsed::Complete(Header { len: end + 1, source, destination }))
}

/// Refuses a line early that can become none.
fn check_start(line: &[u8]) -> Result<(), Fault> {
    let family = line.get(SIGNATURE.len()..).unwrap_or_default();
    let known: [&[u8]; 3] = [b"TCP4 ", b"TCP6 ", b"UNKNOWN"];
    if known.into_iter().any(|known| super::begins_alike(family, known)) {
        return Ok(());
    }
    Err(Fault::Line)
}

/// Source and destination: two addresses and two ports.
fn addresses<A: FromStr + Into<IpAddr>>(
    mut words: Split<'_, char>,
) -> Option<(SocketAddr, SocketAddr)> {
    let mut address = || Some(unmapped(words.next()?.parse::<A>().ok()?.into()));
    let (source, destination) = (address()?, address()?);
    let mut port = || words.next().and_then(port);
    let (source_port, destination_port) = (port()?, port()?);
    words.next().is_none().then(|| {
        (SocketAddr::new(source, source_port), SocketAddr::new(destination, destination_port))
    })
}

/// A decimal number without leading zeros.
fn port(word: &str) -> Option<u16> {
    let is_plain = word.bytes().all(|byte| byte.is_ascii_digit());
    let is_padded = word.len() > 1 && word.starts_with('0');
    if is_plain && !is_padded { word.parse().ok() } else { None }
}
