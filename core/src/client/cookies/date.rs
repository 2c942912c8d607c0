//! Dates of HTTP and of cookies, in all forms that servers write.

/// Seconds since 1970 of a date, by the algorithm of RFC 6265bis section 5.1.1.
///
/// It reads the three forms of RFC 9110 section 5.6.7 and many others: the parts come in any order,
/// and zone and weekday are passed over. `None` if a part is missing or there is no such date.
pub(super) fn parse(date: &str) -> Option<i64> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in date.as_bytes().split(|&byte| is_delimiter(byte)) {
        if time.is_none()
            && let Some(found) = hms(token)
        {
            time = Some(found);
        } else if day.is_none()
            && let Some(found) = number(token, 1, 2)
        {
            day = Some(found);
        } else if month.is_none()
            && let Some(found) = month_of(token)
        {
            month = Some(found);
        } else if year.is_none()
            && let Some(found) = number(token, 2, 4)
        {
            year = Some(match found {
                70..=99 => found + 1900,
                0..=69 => found + 2000,
                _ => found,
            });
        }
    }
    let ([hour, minute, second], day, month, year) = (time?, day?, month?, year?);
    let exists = year >= 1601
        && (1..=days_of(month, year)).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 59;
    let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    exists.then(|| days_since_1970(year, month, day) * 86_400 + seconds)
}

const fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'/' | b';'..=b'@' | b'['..=b'`' | b'{'..=b'~')
}

/// The number that `token` begins with, of so many digits; behind them stands something else.
fn number(token: &[u8], min: usize, max: usize) -> Option<u16> {
    let digits = token.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let fold = |number: u16, &digit: &u8| number * 10 + u16::from(digit - b'0');
    // At most four of them.
    (min..=max).contains(&digits).then(|| token[..digits].iter().fold(0, fold))
}

/// Hour, minute and second, each of one or two digits.
fn hms(token: &[u8]) -> Option<[u16; 3]> {
    let mut parts = token.splitn(3, |&byte| byte == b':');
    let exact = |part: &[u8]| {
        let digits = part.iter().all(u8::is_ascii_digit);
        number(part, 1, 2).filter(|_| digits)
    };
    let [hour, minute] = [exact(parts.next()?)?, exact(parts.next()?)?];
    Some([hour, minute, number(parts.next()?, 1, 2)?])
}

/// The month, from 1, whose first three letters `token` begins with.
fn month_of(token: &[u8]) -> Option<u16> {
    let name = token.get(..3)?;
    let at = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
    u16::try_from(at + 1).ok()
}

const MONTHS: [&[u8]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];

const fn days_of(month: u16, year: u16) -> u16 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1 January 1970 in the Gregorian calendar.
fn days_since_1970(year: u16, month: u16, day: u16) -> i64 {
    // Years begin with March here, so that the day of a leap year is the last of one.
    let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = years / 4 - years / 100 + years / 400;
    // 153 days are five months, of 31, 30, 31, 30 and 31 days.
    let day_of_year = (153 * months + 2) / 5 + day - 1;
    // 1 March of year 0 was so many days before 1970.
    i64::from(years) * 365 + i64::from(leap_days) + i64::from(day_of_year) - 719_468
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_in_all_forms_are_understood() {
        for (date, seconds) in [
            // RFC 9110 section 5.6.7: one moment in its three forms.
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
            ("Sun Nov  6 08:49:37 1994", 784_111_777),
            // What servers make of them.
            ("Sun, 06-Nov-1994 08:49:37 GMT", 784_111_777),
            ("Sun, 6 Nov 1994 08:49:37 UTC", 784_111_777),
            ("Sun, 06 Nov 1994 8:49:37", 784_111_777),
            ("Sun, 06 November 1994 08:49:37 +0200", 784_111_777),
            ("sun, 06 NOV 94 08:49:37 gmt", 784_111_777),
            ("1994 Nov 6 08:49:37", 784_111_777),
            ("08:49:37 6 Nov 1994", 784_111_777),
            ("06/Nov/1994;08:49:37", 784_111_777),
            ("6th Nov 1994x 08:49:37.5Z", 784_111_777),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Thu, 01-Jan-70 00:00:01 GMT", 1),
            ("Wed, 31 Dec 1969 23:59:59 GMT", -1),
            ("Mon, 01 Jan 1601 00:00:00 GMT", -11_644_473_600),
            ("Thu, 31 Dec 2037 23:55:55 GMT", 2_145_916_555),
            ("Tue, 19 Jan 2038 03:14:08 GMT", 2_147_483_648),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
            ("Tue, 29 Feb 2000 12:00:00 GMT", 951_825_600),
            ("Thu, 29 Feb 2024 00:00:00 GMT", 1_709_164_800),
            ("Fri, 01 Mar 2024 00:00:00 GMT", 1_709_251_200),
            // Two digits: from 1970 to 2069.
            ("1 Jan 69 0:0:0", 3_124_224_000),
            ("1 Jan 00 0:0:0", 946_684_800),
        ] {
            assert_eq!(parse(date), Some(seconds), "{date}");
        }
    }

    #[test]
    fn texts_without_a_whole_date_are_refused() {
        for date in [
            "",
            "0",
            "-1",
            "Session",
            "Thu, 01 Jan 1970",
            "01 Jan 00:00:00 GMT",
            "Jan 1970 00:00:00",
            "01 1970 00:00:00",
            "Thu, 01 Foo 1970 00:00:00 GMT",
            "Thu, 00 Jan 1970 00:00:00 GMT",
            "Thu, 32 Jan 1970 00:00:00 GMT",
            "Thu, 31 Apr 1970 00:00:00 GMT",
            "Wed, 29 Feb 1900 00:00:00 GMT",
            "Wed, 29 Feb 2023 00:00:00 GMT",
            "Thu, 01 Jan 1600 00:00:00 GMT",
            "Thu, 01 Jan 100 00:00:00 GMT",
            "Thu, 01 Jan 19700 00:00:00 GMT",
            "Thu, 01 Jan 1970 24:00:00 GMT",
            "Thu, 01 Jan 1970 00:60:00 GMT",
            "Thu, 01 Jan 1970 00:00:60 GMT",
            "Thu, 01 Jan 1970 00:00 GMT",
            "Thu, 01 Jan 1970 000:00:00 GMT",
            "Thu, 01 Jan 1970 00:00:000 GMT",
            "Thu, 01 Jan 1970 00::00 GMT",
            "Thu, 01 Jan 1970 0h:00:00 GMT",
            "Thu, 01 Jan 1970 00:0m:00 GMT",
            "1970-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(date), None, "{date}");
        }
    }

    proptest! {
        #[test]
        fn dates_are_those_of_httpdate(seconds in 0..253_402_300_800_u64) {
            let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
            prop_assert_eq!(parse(&date).map(i64::unsigned_abs), Some(seconds), "{}", date);
        }

        #[test]
        fn any_text_is_parsed_without_a_panic(date in ".{0,60}", parts in "[0-9:A-Za-z ]{0,40}") {
            parse(&date);
            parse(&parts);
        }
    }
}
