//! Compression: permessage-deflate (RFC 7692), and content codings of HTTP.
//!
//! `options` is what an application sets, `parameters` what both sides of a WebSocket have agreed on, `extension` the
//! state of one WebSocket. `codecs` has compressors that all connections of a thread share, `shared` the compressed form
//! of a broadcast, and `coding` the bodies of HTTP. Without the feature `deflate`, `disabled` stands here: it has the
//! same names, and no value of them.

#[cfg(feature = "deflate")]
mod codecs;
#[cfg(feature = "deflate")]
mod coding;
#[cfg(not(feature = "deflate"))]
mod disabled;
#[cfg(feature = "deflate")]
mod extension;
#[cfg(feature = "deflate")]
mod options;
#[cfg(feature = "deflate")]
mod parameters;
#[cfg(feature = "deflate")]
mod shared;

use bytes::Bytes;

#[cfg(not(feature = "deflate"))]
pub(crate) use self::disabled::{
    Codecs, Coding, DeflateParameters, Extension, HttpCompression, PerMessageDeflate, SharedForm,
};
#[cfg(feature = "deflate")]
pub(crate) use self::{codecs::Codecs, coding::Coding, extension::Extension, shared::SharedForm};
#[cfg(feature = "deflate")]
pub use self::{
    options::{HttpCompression, PerMessageDeflate},
    parameters::DeflateParameters,
};

/// Getters of the options of compression in a configuration, of which there are none without the feature `deflate`.
macro_rules! options_of {
    ($config:ty, $as_ref:ident) => {
        impl $config {
            pub(crate) fn per_message_deflate(&self) -> Option<&crate::deflate::PerMessageDeflate> {
                #[cfg(feature = "deflate")]
                return self.per_message_deflate.$as_ref();
                #[cfg(not(feature = "deflate"))]
                None
            }

            pub(crate) fn http_compression(&self) -> Option<&crate::deflate::HttpCompression> {
                #[cfg(feature = "deflate")]
                return self.http_compression.$as_ref();
                #[cfg(not(feature = "deflate"))]
                None
            }
        }
    };
}

pub(crate) use options_of;

/// A message on its way out, compressed.
#[cfg_attr(not(feature = "deflate"), expect(dead_code, reason = "nothing is compressed"))]
pub(crate) enum Deflated<'a> {
    /// For this peer.
    Own(&'a [u8]),
    /// For all peers with the same window.
    Shared(Bytes),
}

/// Error of bytes that are not compressed data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotDeflated;

/// A server has chosen an extension that was not offered to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotOffered;

/// Why a body was not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "deflate"), expect(dead_code, reason = "nothing is inflated"))]
pub(crate) enum DecodeFailure {
    /// It would be longer than it may be.
    TooLarge,
    /// It is not in its coding.
    Invalid,
}

/// A body is in a coding that is not known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnknownCoding;

/// The end of each compressed message, which does not travel (RFC 7692 section 7.2.1).
pub(crate) const TAIL: &[u8] = &[0, 0, 0xff, 0xff];
