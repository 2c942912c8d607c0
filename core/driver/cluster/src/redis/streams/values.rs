//! Entries in responses.

use bytes::Bytes;
use enginewire_socketio::adapter::EntryId;

use super::{super::resp::Value, positions::NONE};

/// Entry of a log, with names and values in turn.
type LoggedEntry = (EntryId, Vec<(Bytes, Bytes)>);

/// Returns the id of the last entry, in the response to XREVRANGE.
pub(in crate::redis) fn last(response: &Value) -> Option<EntryId> {
    match response.as_array()? {
        [] => Some(NONE),
        [entry, ..] => id(entry.as_array()?.first()?),
    }
}

/// The entries in the response to XRANGE, and whether these are all.
///
/// They are not if the response was cut behind them for its size, or is none.
pub(in crate::redis) fn entries(response: &Value) -> (Vec<LoggedEntry>, bool) {
    let Some(all) = response.as_array() else { return (Vec::new(), false) };
    let entries = all.iter().map_while(|entry| {
        let [entry, fields] = entry.as_array()? else { return None };
        Some((id(entry)?, fields_of(fields)?))
    });
    let entries: Vec<_> = entries.collect();
    let is_complete = entries.len() == all.len();
    (entries, is_complete)
}

/// Fields whose names are text.
pub(in crate::redis) fn texts(fields: &[(Bytes, Bytes)]) -> Vec<(&str, &[u8])> {
    fields
        .iter()
        .filter_map(|(name, value)| Some((str::from_utf8(name).ok()?, &value[..])))
        .collect()
}

/// The id of an entry.
pub(super) fn id(value: &Value) -> Option<EntryId> {
    value.as_str()?.parse().ok()
}

/// The fields of an entry. `None` if not all of them are there.
pub(super) fn fields_of(fields: &Value) -> Option<Vec<(Bytes, Bytes)>> {
    let pairs = fields.as_array()?.chunks(2).map(|pair| match pair {
        [Value::Text(name), Value::Text(value)] => Some((name.clone(), value.clone())),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::positions::tests::{entry, id, text},
        *,
    };

    #[test]
    fn response_that_is_cut_or_none_has_not_all_entries() {
        let fields = || vec![text("a"), text("b")];
        let ids = |response: &[Value]| {
            let (entries, is_complete) = entries(&Value::Array(response.to_vec()));
            (entries.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), is_complete)
        };
        let one = entry("1-0", fields());
        assert_eq!(ids(&[]), (vec![], true));
        assert_eq!(ids(&[one.clone(), entry("2-0", fields())]), (vec![id(1, 0), id(2, 0)], true));
        let in_fields = entry("2-0", vec![text("a"), Value::Oversized]);
        let between_fields = entry("2-0", vec![text("a"), text("b"), Value::Oversized]);
        let behind_id = Value::Array(vec![text("2-0"), Value::Oversized]);
        for cut in [in_fields, between_fields, behind_id, Value::Oversized] {
            assert_eq!(ids(&[one.clone(), cut.clone()]), (vec![id(1, 0)], false), "{cut:?}");
            assert_eq!(ids(&[cut]), (vec![], false));
        }
        // That to a command that is refused.
        assert_eq!(entries(&Value::Null), (vec![], false));
    }

    #[test]
    fn last_entry_is_that_of_the_stream_or_none() {
        assert_eq!(last(&Value::Array(vec![])), Some(id(0, 0)));
        assert_eq!(last(&Value::Array(vec![entry("12-3", vec![])])), Some(id(12, 3)));
        assert_eq!(last(&Value::Null), None);
        assert_eq!(last(&Value::Array(vec![entry("12", vec![])])), None);
    }
}
