//! The `Date` of responses (RFC 9110 section 6.6.1).

use alloc::sync::Arc;
use core::{
    ops::Range,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::time::Time;

/// Wall clock of a server, as its driver has told it. Clones share one clock.
///
/// The core reads no clock. A driver that knows the time of day says what it is with
/// [`set`](Self::set), and again from time to time: a wall clock can be adjusted, and the driver's own
/// can stand still while a machine is suspended. Responses have no `Date` before the first time.
///
/// ```
/// # use core::time::Duration;
/// use enginewire::{Time, wire::http::Config};
///
/// let config = Config::default();
/// // In production the time since 1970 by the system's clock.
/// config.wall_clock.set(Time::ZERO, Duration::from_secs(784_111_777));
/// let date = config.wall_clock.date(Time::from_millis(1_005)).unwrap();
/// assert_eq!(date.as_str(), "Sun, 06 Nov 1994 08:49:38 GMT");
/// ```
#[derive(Clone, Debug, Default)]
pub struct WallClock {
    /// Seconds from 1970 to the driver's epoch, 0 if that is unknown. Lasts until 2106.
    epoch: Arc<AtomicU32>,
}

impl WallClock {
    /// A clock that has not been set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the clock: at `now`, `since_1970` has passed since 1970-01-01T00:00:00Z without leap seconds.
    ///
    /// Dates are behind by less than a second, as they count whole ones.
    pub fn set(&self, now: Time, since_1970: Duration) {
        let epoch = since_1970.saturating_sub(now.since(Time::ZERO)).as_secs();
        self.epoch.store(u32::try_from(epoch).unwrap_or_default(), Ordering::Relaxed);
    }

    /// Returns the date and time at `now`. `None` if the clock has not been set.
    pub fn date(&self, now: Time) -> Option<HttpDate> {
        let epoch = self.epoch.load(Ordering::Relaxed);
        (epoch != 0).then(|| HttpDate::new(u64::from(epoch) + now.since(Time::ZERO).as_secs()))
    }
}

/// Two clocks are equal if they are the same one.
impl PartialEq for WallClock {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.epoch, &other.epoch)
    }
}

impl Eq for WallClock {}

/// Date and time in the form of HTTP, IMF-fixdate (RFC 9110 section 5.6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpDate {
    /// The whole line of the field, as every response has it.
    line: [u8; 37],
}

impl HttpDate {
    /// The date of a second since 1970. A handful of divisions by constants, some 20 ns: less than it
    /// would cost to share a formatted date between threads.
    #[expect(clippy::cast_possible_truncation, reason = "each is less than what it is divided by")]
    fn new(seconds: u64) -> Self {
        let (days, second) = (seconds / DAY, (seconds % DAY) as u32);
        let (year, month, day) = civil(days as u32);
        let mut line = *b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
        let text = &mut line[TEXT];
        // 1970-01-01 was a Thursday.
        text[..3].copy_from_slice(name(WEEKDAYS, (days % 7) as u32));
        put(&mut text[5..7], day);
        text[8..11].copy_from_slice(name(MONTHS, month));
        put(&mut text[12..14], year / 100);
        put(&mut text[14..16], year % 100);
        put(&mut text[17..19], second / 3600);
        put(&mut text[20..22], second / 60 % 60);
        put(&mut text[23..25], second % 60);
        Self { line }
    }

    /// The date as it stands in the header.
    pub fn as_str(&self) -> &str {
        // It is made of names and digits.
        core::str::from_utf8(&self.line[TEXT]).unwrap_or_default()
    }

    /// The header field, with its CRLF.
    pub(super) const fn as_line(&self) -> &[u8] {
        &self.line
    }
}

/// Year, month (from 0) and day of the month (from 1) of a day since 1970, in the Gregorian calendar.
///
/// Counted in years that begin in March, so that a leap day is the last of its year, and in eras of 400
/// years, which have equally many days (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
const fn civil(days: u32) -> (u32, u32, u32) {
    // From 0000-03-01 on.
    let days = days + 719_468;
    let (era, of_era) = (days / ERA, days % ERA);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // Months of 31, 30, 31, 30 and 31 days, again and again: 153 days in five.
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let next_year = month >= 10;
    (era * 400 + year + next_year as u32, (month + 2) % 12, day)
}

/// Writes two digits.
fn put(text: &mut [u8], number: u32) {
    text.copy_from_slice(&[b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]);
}

/// One of names of three letters each.
fn name(names: &'static [u8], index: u32) -> &'static [u8] {
    let start = 3 * index as usize;
    &names[start..start + 3]
}

/// Where the date is in the line of its field.
const TEXT: Range<usize> = 6..35;
const DAY: u64 = 86_400;
const ERA: u32 = 146_097;
const WEEKDAYS: &[u8] = b"ThuFriSatSunMonTueWed";
const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";

#[cfg(test)]
mod tests {
    use super::*;

    fn date(seconds: u64) -> HttpDate {
        HttpDate::new(seconds)
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            // The example of RFC 9110.
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
            (1_735_689_600, "Wed, 01 Jan 2025 00:00:00 GMT"),
            // No leap year.
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (u64::from(u32::MAX), "Sun, 07 Feb 2106 06:28:15 GMT"),
        ] {
            assert_eq!(date(seconds).as_str(), text);
        }
    }

    #[test]
    fn days_follow_each_other() {
        let length = |year: u32, month| match month {
            1 if year.is_multiple_of(400) => 29,
            1 if year.is_multiple_of(100) => 28,
            1 if year.is_multiple_of(4) => 29,
            1 => 28,
            3 | 5 | 8 | 10 => 30,
            _ => 31,
        };
        let mut expected = (1970, 0, 1);
        for days in 0..60_000 {
            assert_eq!(civil(days), expected, "day {days}");
            let (year, month, day) = expected;
            expected = match (month, day) {
                (11, 31) => (year + 1, 0, 1),
                (_, day) if day == length(year, month) => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }

    #[test]
    fn clock_runs_with_the_time_of_the_driver_and_can_be_set_anew() {
        let clock = WallClock::new();
        assert_eq!(clock.date(Time::from_millis(1)), None);
        let second = Time::from_millis(1_000);
        clock.set(second, Duration::from_millis(784_111_777_900));
        assert_eq!(clock.date(second), Some(date(784_111_777)));
        assert_eq!(clock.date(second + Duration::from_secs(60)), Some(date(784_111_837)));
        clock.clone().set(second, Duration::from_secs(86_401));
        assert_eq!(clock.date(second), Some(date(86_401)));
        assert_eq!(clock.date(Time::MAX).map(|date| date.as_str().len()), Some(29));
    }

    #[test]
    fn time_of_day_that_cannot_be_is_unknown() {
        let clock = WallClock::new();
        for since_1970 in [Duration::ZERO, Duration::from_secs(9), Duration::MAX] {
            clock.set(Time::from_millis(10_000), since_1970);
            assert_eq!(clock.date(Time::from_millis(10_000)), None);
        }
    }
}
