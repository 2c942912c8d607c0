//! Messages on their way out, encoded at most once however many peers they go to.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use core::{
    fmt,
    hash::{Hash, Hasher},
};

use bytes::Bytes;
use once_cell::race::OnceBox;

use crate::{Message, Text, codec::base64, deflate::SharedForm};

/// One event on its way out. It is one message, or several that no other message may come between.
///
/// Cloning is cheap and shares the payloads. What a WebSocket needs besides the payload is a type
/// byte, made on the spot. What polling needs of a binary message is its base64 form, and what compression makes of a
/// message is its compressed form: [`Encoded::shared`] and [`Encoded::group`] keep both once they were made, for all
/// clones.
#[derive(Clone, Hash)]
pub struct Encoded(Repr);

/// Messages that must not be compressed are a variant of their own, because a flag would make each of these larger.
#[derive(Clone, Hash)]
enum Repr {
    One(Message),
    Many(Arc<[Shared]>),
    #[cfg_attr(not(feature = "deflate"), expect(dead_code, reason = "nothing is compressed"))]
    Plain(Arc<[Shared]>),
}

/// Every queue holds these by value.
const _: () = assert!(size_of::<Encoded>() <= 40);

struct Shared {
    message: Message,
    /// `4` and the base64 of a binary message, made by the first who needs it.
    base64: OnceBox<Bytes>,
    /// The compressed form of the message.
    compressed: Option<SharedForm>,
}

impl Shared {
    fn new(message: Message) -> Self {
        Self { message, base64: OnceBox::new(), compressed: SharedForm::new() }
    }
}

/// By the message: the forms that are kept besides follow from it.
impl Hash for Shared {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.message.hash(state);
    }
}

impl Encoded {
    /// One message for one peer. Allocates nothing beyond the message itself.
    pub fn new(message: impl Into<Message>) -> Self {
        Self(Repr::One(message.into()))
    }

    /// One message for many peers, whose clones share its forms.
    ///
    /// They are its base64 form and, with the feature `deflate`, its compressed form. Costs an allocation for each form
    /// that the message can have: text has no base64 form.
    pub fn shared(message: impl Into<Message>) -> Self {
        Self::new(message).into_shared()
    }

    /// Turns the message into one whose clones share its forms, see [`shared`](Self::shared).
    #[must_use]
    pub fn into_shared(self) -> Self {
        Self(match self.0 {
            Repr::One(message) if message.is_binary() || cfg!(feature = "deflate") => {
                Repr::Many(Arc::new([Shared::new(message)]))
            }
            repr => repr,
        })
    }

    /// Asks that the message not be compressed, on any transport.
    ///
    /// Costs an allocation. For data that are compressed already, and for secrets beside text that an attacker chooses (see
    /// [`PerMessageDeflate`](crate::PerMessageDeflate)). A response to a poll is compressed if any message in it may be,
    /// as in the reference.
    ///
    /// ```
    /// let jpeg = enginewire::Encoded::new(vec![0xff, 0xd8]).without_compression();
    /// ```
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn without_compression(self) -> Self {
        Self(match self.0 {
            Repr::One(message) => Repr::Plain(Arc::new([Shared::new(message)])),
            Repr::Many(shared) | Repr::Plain(shared) => Repr::Plain(shared),
        })
    }

    /// Returns whether the message may be compressed, see `without_compression`.
    pub const fn is_compressible(&self) -> bool {
        matches!(self.0, Repr::One(_) | Repr::Many(_))
    }

    /// Groups several messages that belong together. They are sent one right behind the other, such
    /// as a Socket.IO packet and its attachments. The clones share their forms, as those of [`shared`](Self::shared).
    pub fn group(messages: impl IntoIterator<Item = Message>) -> Self {
        Self(Repr::Many(messages.into_iter().map(Shared::new).collect()))
    }

    /// Number of messages; zero only for an empty group.
    pub fn parts(&self) -> usize {
        match &self.0 {
            Repr::One(_) => 1,
            Repr::Many(shared) | Repr::Plain(shared) => shared.len(),
        }
    }

    /// The message at `index`, counted from zero in the order of sending.
    pub fn part(&self, index: usize) -> Option<Part<'_>> {
        match &self.0 {
            Repr::One(message) => {
                (index == 0).then_some(Part { message, cached: None, compressed: None })
            }
            Repr::Many(shared) | Repr::Plain(shared) => shared.get(index).map(|shared| Part {
                message: &shared.message,
                cached: Some(&shared.base64),
                compressed: shared.compressed.as_ref(),
            }),
        }
    }

    /// The message, if it is one for one peer.
    pub(crate) const fn as_single(&self) -> Option<&Message> {
        match &self.0 {
            Repr::One(message) => Some(message),
            Repr::Many(_) | Repr::Plain(_) => None,
        }
    }

    /// As [`as_single`](Self::as_single).
    pub(crate) fn into_single(self) -> Option<Message> {
        match self.0 {
            Repr::One(message) => Some(message),
            Repr::Many(_) | Repr::Plain(_) => None,
        }
    }

    /// Length of all payloads together, in bytes, before any encoding.
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::One(message) => message.len(),
            Repr::Many(shared) | Repr::Plain(shared) => {
                shared.iter().map(|shared| shared.message.len()).sum()
            }
        }
    }

    /// Whether no payload holds a byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Converts what applications have into a message to be sent.
///
/// Implemented for text (`&str`, `String`, [`Text`]), binary data (`&[u8]`, `[u8; N]`, `Vec<u8>`, [`Bytes`]),
/// references to them, [`Message`] and [`Encoded`]. [`Text`] and [`Bytes`] are not copied.
///
/// [`Bytes`]: https://docs.rs/bytes/1/bytes/struct.Bytes.html
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent as a message",
    label = "neither text nor binary data",
    note = "text: `&str`, `String`, `Text`; binary: `&[u8]`, `[u8; N]`, `Vec<u8>`, `Bytes`; or a `Message` or `Encoded`"
)]
pub trait IntoEncoded {
    /// Performs the conversion.
    fn into_encoded(self) -> Encoded;
}

impl IntoEncoded for Encoded {
    fn into_encoded(self) -> Encoded {
        self
    }
}

impl IntoEncoded for &Encoded {
    fn into_encoded(self) -> Encoded {
        self.clone()
    }
}

impl<M: Into<Message>> From<M> for Encoded {
    fn from(message: M) -> Self {
        Self::new(message)
    }
}

macro_rules! into_encoded {
    ($($type:ty),+) => {
        $(impl IntoEncoded for $type {
            #[inline]
            fn into_encoded(self) -> Encoded {
                Encoded::new(self)
            }
        })+
    };
}

into_encoded!(Message, &Message, Text, &Text, String, &String, &str);
into_encoded!(Bytes, &Bytes, Vec<u8>, &Vec<u8>, &[u8]);

impl<const N: usize> IntoEncoded for [u8; N] {
    fn into_encoded(self) -> Encoded {
        Encoded::new(self)
    }
}

impl<const N: usize> IntoEncoded for &[u8; N] {
    fn into_encoded(self) -> Encoded {
        Encoded::new(self)
    }
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = (0..self.parts()).filter_map(|index| self.part(index));
        f.debug_list().entries(parts).finish()
    }
}

/// One message of an [`Encoded`], borrowed, or any message about to be encoded.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    message: &'a Message,
    cached: Option<&'a OnceBox<Bytes>>,
    compressed: Option<&'a SharedForm>,
}

impl<'a> Part<'a> {
    /// The message.
    pub const fn message(&self) -> &'a Message {
        self.message
    }

    /// Returns the place of the compressed form, if it is kept.
    pub(crate) fn compressed(&self) -> Option<SharedForm> {
        self.compressed.cloned()
    }

    /// Appends the base64 of the payload, [`base64::encoded_len`] bytes.
    pub(crate) fn write_base64(&self, out: &mut Vec<u8>) {
        match self.cached {
            // Behind the type digit, see `typed_base64`.
            Some(_) => out.extend_from_slice(&self.typed_base64()[1..]),
            None => base64::encode(self.message.payload(), out),
        }
    }

    /// `4` and the base64 of the payload: revision 3 sends it behind a `b` as it is, revision 4
    /// without the digit, so one copy serves both.
    pub(crate) fn typed_base64(&self) -> Bytes {
        let encode = || {
            let payload = self.message.payload();
            let mut out = Vec::with_capacity(1 + base64::encoded_len(payload.len()));
            out.push(b'4');
            base64::encode(payload, &mut out);
            Bytes::from(out)
        };
        match self.cached {
            Some(cached) => cached.get_or_init(|| Box::new(encode())).clone(),
            None => encode(),
        }
    }
}

impl<'a> From<&'a Message> for Part<'a> {
    fn from(message: &'a Message) -> Self {
        Self { message, cached: None, compressed: None }
    }
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn clones_of_a_shared_message_share_one_base64_form() {
        let binary = &b"\x01\x02\x03\x04"[..];
        let group = Encoded::group([Message::from("a"), Message::from(binary)]);
        for (encoded, index) in [(Encoded::shared(binary), 0), (group.into_shared(), 1)] {
            let clone = encoded.clone();
            let first = encoded.part(index).unwrap().typed_base64();
            let second = clone.part(index).unwrap().typed_base64();
            assert_eq!(first, "4AQIDBA==");
            assert_eq!(first.as_ptr(), second.as_ptr());
            let mut out = Vec::new();
            clone.part(index).unwrap().write_base64(&mut out);
            assert_eq!(out, b"AQIDBA==");
        }
    }

    #[test]
    fn a_message_for_one_peer_shares_its_payload_and_keeps_nothing_else() {
        let payload = Bytes::from_static(b"payload");
        let encoded = Encoded::new(payload.clone());
        let clone = encoded.clone();
        assert_eq!(clone.part(0).unwrap().message().payload().as_ptr(), payload.as_ptr());
        assert!(encoded.part(0).unwrap().cached.is_none());
        let mut out = Vec::new();
        encoded.part(0).unwrap().write_base64(&mut out);
        assert_eq!(encoded.part(0).unwrap().typed_base64()[1..], out);
    }

    #[test]
    fn a_group_holds_its_messages_in_order() {
        let group = Encoded::group([Message::from("a€"), Message::from(&[1u8, 2][..])]);
        assert_eq!((group.parts(), group.len(), group.is_empty()), (2, 6, false));
        assert_eq!(group.part(0).unwrap().message(), &Message::from("a€"));
        assert_eq!(group.part(1).unwrap().message(), &Message::from(&[1u8, 2][..]));
        assert!(group.part(2).is_none());
        assert_eq!(format!("{group:?}"), r#"[Text("a€"), Binary(b"\x01\x02")]"#);
    }

    #[test]
    fn one_message_is_one_part_whatever_it_was_made_from() {
        for (encoded, message) in [
            (Encoded::from("x"), Message::from("x")),
            (Encoded::from(String::from("x")), Message::from("x")),
            (Encoded::from(Text::from_static("x")), Message::from("x")),
            (Encoded::from(Message::from("x")), Message::from("x")),
            (Encoded::shared("x"), Message::from("x")),
            (Encoded::from(&b"x"[..]), Message::from(&b"x"[..])),
            (Encoded::from(Vec::from(*b"x")), Message::from(&b"x"[..])),
            (Encoded::from(Bytes::from_static(b"x")), Message::from(&b"x"[..])),
            (Encoded::shared(&b"x"[..]), Message::from(&b"x"[..])),
        ] {
            assert_eq!((encoded.parts(), encoded.len()), (1, 1));
            assert_eq!(encoded.part(0).unwrap().message(), &message);
            assert!(encoded.part(1).is_none());
        }
    }

    #[test]
    fn empty_is_about_bytes_not_messages() {
        assert!(Encoded::new("").is_empty());
        assert_eq!(Encoded::new("").parts(), 1);
        assert!(Encoded::group([]).is_empty());
        assert_eq!(Encoded::group([]).parts(), 0);
        assert!(Encoded::group([]).part(0).is_none());
    }
}
