//! The names of compression where it is left out. There are no values of these types, so that nothing of it runs.

use alloc::{boxed::Box, string::String};

use bytes::Bytes;

use super::{DecodeFailure, Deflated, NotDeflated, NotOffered, UnknownCoding};

/// Compressors that connections share: none.
#[derive(Debug, Default)]
pub(crate) struct Codecs;

impl Codecs {
    pub(crate) const fn new() -> Self {
        Self
    }
}

#[derive(Clone, Debug)]
pub(crate) enum PerMessageDeflate {}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HttpCompression {}

impl HttpCompression {
    pub(crate) const fn compresses(&self, _len: usize) -> bool {
        match *self {}
    }

    pub(crate) const fn posts(&self, _len: usize) -> Option<Coding> {
        match *self {}
    }
}

#[derive(Clone, Debug)]
pub(crate) enum DeflateParameters {}

impl DeflateParameters {
    pub(crate) fn accept<'a>(
        options: &PerMessageDeflate,
        _offers: impl Iterator<Item = &'a [u8]>,
    ) -> Option<(Self, String)> {
        match *options {}
    }

    pub(crate) fn offer(options: &PerMessageDeflate) -> String {
        match *options {}
    }

    pub(crate) fn check<'a>(
        options: &PerMessageDeflate,
        _response: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Option<Self>, NotOffered> {
        match *options {}
    }
}

pub(crate) enum Extension {}

impl Extension {
    pub(crate) fn new(parameters: DeflateParameters) -> Box<Self> {
        match parameters {}
    }

    pub(crate) const fn compresses(&self, _len: usize) -> bool {
        match *self {}
    }

    pub(crate) const fn deflate<'a>(
        &mut self,
        _pieces: [&[u8]; 2],
        _shared: Option<&SharedForm>,
        _codecs: &'a mut Codecs,
    ) -> Option<Deflated<'a>> {
        match *self {}
    }

    pub(crate) const fn announce(&mut self, _len: u64) -> u64 {
        match *self {}
    }

    pub(crate) const fn inflate<'a>(
        &mut self,
        _input: &mut &[u8],
        _room: usize,
        _codecs: &'a mut Codecs,
    ) -> Result<&'a [u8], NotDeflated> {
        match *self {}
    }

    pub(crate) const fn lacks_tail(&self) -> bool {
        match *self {}
    }

    pub(crate) const fn end_message(&mut self, _codecs: &mut Codecs) {
        match *self {}
    }
}

#[derive(Clone)]
pub(crate) enum SharedForm {}

impl SharedForm {
    pub(crate) const fn new() -> Option<Self> {
        None
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {}

impl Coding {
    pub(crate) fn accepted<'a>(
        options: Option<&HttpCompression>,
        _fields: impl Iterator<Item = &'a [u8]>,
    ) -> Option<Self> {
        match *options? {}
    }

    pub(crate) fn of_body<'a>(
        options: Option<&HttpCompression>,
        mut fields: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Option<Self>, UnknownCoding> {
        if let Some(options) = options {
            match *options {}
        }
        let is_identity = |field: &[u8]| {
            let mut codings = field.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
            codings.all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity"))
        };
        if fields.all(is_identity) { Ok(None) } else { Err(UnknownCoding) }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {}
    }

    pub(crate) fn encode(self, _body: &[u8], _: &HttpCompression, _: &mut Codecs) -> Option<Bytes> {
        match self {}
    }

    pub(crate) fn decode(self, _body: &[u8], _max: usize) -> Result<Bytes, DecodeFailure> {
        match self {}
    }
}
