//! Binary data by number, without a copy.

use core::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer, de, de::Visitor, ser::SerializeStruct,
};

/// Number of binary data in a payload, to pass them without a copy.
///
/// A field of this type takes binary data from a received payload; [`Args::attachment`] then gives the data, which
/// share the storage of the received message. Other types of bytes copy, but for `&[u8]`.
///
/// To send, make it with the position of the data among those that are given beside the payload.
///
/// It cannot stand in an untagged or internally tagged enum, nor in a flattened struct: serde keeps their fields in
/// a buffer of its own. Take `Bytes` or `&[u8]` there.
///
/// [`Args::attachment`]: super::Args::attachment
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attachment(usize);

impl Attachment {
    /// Makes a reference to the attachment with this number, counted from zero.
    ///
    /// Sending it fails if there is no such attachment.
    pub const fn new(number: usize) -> Self {
        Self(number)
    }

    /// Returns the number: the position among all binary data of the packet.
    pub const fn number(&self) -> usize {
        self.0
    }
}

impl Serialize for Attachment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut placeholder = serializer.serialize_struct(NAME, 2)?;
        placeholder.serialize_field(PLACEHOLDER, &true)?;
        placeholder.serialize_field(NUMBER, &self.0)?;
        placeholder.end()
    }
}

impl<'de> Deserialize<'de> for Attachment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct(NAME, &[PLACEHOLDER, NUMBER], NumberVisitor)
    }
}

/// Our deserializers recognize the name and give the number.
struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Attachment;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("binary data that are not in a flattened struct or an untagged enum")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Attachment, E> {
        usize::try_from(number).map(Attachment).map_err(E::custom)
    }
}

/// By which our serializers and deserializers recognize an [`Attachment`].
pub(super) const NAME: &str = "$enginewire::Attachment";
/// The member by which a placeholder is one.
pub(super) const PLACEHOLDER: &str = "_placeholder";
/// The member of the placeholder that has the number.
pub(super) const NUMBER: &str = "num";
