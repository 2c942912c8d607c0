//! Rules of payloads, and comparison with serde_json.

mod binary;
mod decode;
mod differential;
mod encode;
mod hostile;
mod typed_events;
mod value;

use alloc::{string::String, vec::Vec};

use bytes::Bytes;
use enginewire::Text;
use serde::Serialize;

use super::{Args, EncodeError, Payload, write_event, write_value};

/// Received arguments.
fn args(json: &str) -> Args {
    with_attachments(json, &[])
}

fn with_attachments(json: &str, attachments: &[&'static [u8]]) -> Args {
    super::validate_json(json).unwrap();
    assert!(attachments.is_empty() || super::check_placeholders(json, attachments.len()));
    let attachments = attachments.iter().map(|bytes| Bytes::from_static(bytes)).collect();
    // Never at the start of a message.
    let message = Text::from(["2\u{20ac}", json].concat());
    Args::from_payload(Payload::from_json(message, 4, attachments))
}

fn event<P: Serialize + ?Sized>(payload: &P) -> Result<(String, Vec<Bytes>), EncodeError> {
    let (mut out, mut attachments) = (b"2".to_vec(), Vec::new());
    let result = write_event(&mut out, &mut attachments, "e", payload);
    if result.is_err() {
        assert_eq!((&out[..], attachments.len()), (&b"2"[..], 0));
    }
    result.map(|()| (String::from_utf8(out.split_off(1)).unwrap(), attachments))
}

fn json<P: Serialize + ?Sized>(payload: &P) -> Result<String, EncodeError> {
    let (mut out, mut attachments) = (Vec::new(), Vec::new());
    write_value(&mut out, &mut attachments, payload)?;
    assert_eq!(attachments.len(), 0);
    Ok(String::from_utf8(out).unwrap())
}
