//! Dates of JavaScript as text.

use alloc::{format, string::String};

const MILLISECONDS_PER_DAY: i64 = 86_400_000;

/// The last millisecond of a `Date`: 100,000,000 days after 1970. The first is as far before it.
const MOST: i64 = 100_000_000 * MILLISECONDS_PER_DAY;

/// Formats a time in ISO 8601 as `Date.prototype.toJSON` does. `None` for a date that is invalid.
pub(super) fn iso(milliseconds: i64) -> Option<String> {
    if !(-MOST..=MOST).contains(&milliseconds) {
        return None;
    }
    let (year, month, day) = civil(milliseconds.div_euclid(MILLISECONDS_PER_DAY));
    let time = milliseconds.rem_euclid(MILLISECONDS_PER_DAY);
    let year = match year {
        0..=9999 => format!("{year:04}"),
        _ => format!("{year:+07}"),
    };
    let (hour, minute) = (time / 3_600_000, time / 60_000 % 60);
    let (second, millisecond) = (time / 1000 % 60, time % 1000);
    Some(format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z"))
}

/// Year, month and day of a day after 1970-01-01, by the Gregorian calendar.
///
/// Counts in eras of 400 years, which are all alike, and in years that begin in March, so that a leap day is the last
/// of its year.
fn civil(day: i64) -> (i64, i64, i64) {
    const DAYS_PER_ERA: i64 = 146_097;
    let day = day + 719_468; // since 0000-03-01
    let (era, day) = (day.div_euclid(DAYS_PER_ERA), day.rem_euclid(DAYS_PER_ERA));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months have 153 days in each five from March on.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (400 * era + year + carry, month, day)
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::{MOST, iso};

    fn shown(milliseconds: i64) -> String {
        iso(milliseconds).unwrap()
    }

    #[test]
    fn dates_are_written_as_json_has_them() {
        // As Node.js 22 prints them.
        assert_eq!(shown(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(shown(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(shown(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(shown(951_868_799_999), "2000-02-29T23:59:59.999Z");
        assert_eq!(shown(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
        assert_eq!(shown(-62_135_596_800_000), "0001-01-01T00:00:00.000Z");
        assert_eq!(shown(-62_198_755_200_000), "-000001-01-01T00:00:00.000Z");
        assert_eq!(shown(253_402_300_799_999), "9999-12-31T23:59:59.999Z");
        assert_eq!(shown(253_402_300_800_000), "+010000-01-01T00:00:00.000Z");
        assert_eq!(shown(MOST), "+275760-09-13T00:00:00.000Z");
        assert_eq!(shown(-MOST), "-271821-04-20T00:00:00.000Z");
    }

    #[test]
    fn dates_out_of_range_are_invalid() {
        for milliseconds in [MOST + 1, -MOST - 1, i64::MAX, i64::MIN] {
            assert_eq!(iso(milliseconds), None);
        }
    }
}
