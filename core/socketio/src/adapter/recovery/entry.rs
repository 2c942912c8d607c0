//! Entries of a log that a cluster shares.

use core::{fmt, str::FromStr};

/// Id of an entry in the log that a cluster shares.
///
/// Later entries have greater ids. Its text, two numbers such as `1692872461-3`, is the offset that clients get. Redis
/// gives its streams ids of this form, whose first number is the time in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// The first number.
    pub time: u64,
    /// The number among the entries with the same first one.
    pub sequence: u64,
}

/// Error of a text that is no [`EntryId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is not the id of an entry")]
pub struct InvalidEntryId;

impl FromStr for EntryId {
    type Err = InvalidEntryId;

    /// Reads an id, as [`Display`](fmt::Display) writes it. Each entry has one text.
    fn from_str(text: &str) -> Result<Self, InvalidEntryId> {
        let (time, sequence) = text.split_once('-').ok_or(InvalidEntryId)?;
        Ok(Self { time: number(time)?, sequence: number(sequence)? })
    }
}

fn number(text: &str) -> Result<u64, InvalidEntryId> {
    let is_canonical = text.bytes().all(|byte| byte.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    if !is_canonical {
        return Err(InvalidEntryId);
    }
    text.parse().map_err(|_| InvalidEntryId)
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.time, self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn text_of_an_entry_is_parsed_back_and_ids_are_in_order() {
        let id = |time, sequence| EntryId { time, sequence };
        for id in [id(0, 0), id(1_692_872_461, 3), id(u64::MAX, u64::MAX)] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        assert!(id(1, 9) < id(2, 0) && id(9, 0) < id(10, 0) && id(2, 0) < id(2, 1));
    }

    #[test]
    fn other_text_is_no_entry() {
        for text in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "1-2-3",
            "+1-2",
            "1-+2",
            "01-2",
            "1-02",
            " 1-2",
            "1-2 ",
            "$",
            "18446744073709551616-0",
            "1-18446744073709551616",
            "١-٢",
            "AAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(text.parse::<EntryId>(), Err(InvalidEntryId), "{text}");
        }
    }
}
