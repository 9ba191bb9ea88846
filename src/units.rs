//! Times and sizes as people read them.

use std::cmp::Ordering;
use std::time::{Duration, SystemTime};

/// A time: `2.5 s`, `1 min 1 s`, `2 h 1 min`, `1 d 1 h`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{} s", (seconds * 10.0).round() / 10.0),
        (0, 0, _) if whole.is_multiple_of(60) => format!("{minutes} min"),
        (0, 0, _) => format!("{minutes} min {} s", whole % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// A time of day, to the second and in UTC: `2026-11-27T06:30:12Z`.
pub fn timestamp(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (days, hours, minutes, seconds) =
        (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    // Years that begin in March end with the day that only some of them have, and 400 of them have 146,097 days.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Five months have 153 days.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (era * 400 + year + month / 10, (month + 2) % 12 + 1);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}Z")
}

/// A number of bytes, exact or with one decimal, and in the units in which options take it: `1000`, `512K`,
/// `1.9G`.
pub fn size(bytes: u64) -> String {
    let units = [(1_u64 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}{name}", (bytes as f64 / unit as f64 * 10.0).round() / 10.0),
        None => bytes.to_string(),
    }
}

/// The order in which people look for names: `queue_9` before `queue_10`.
pub fn natural_order(mut one: &str, mut other: &str) -> Ordering {
    loop {
        let ((number, rest), (other_number, other_rest)) = (number(one), number(other));
        if !number.is_empty() && !other_number.is_empty() {
            // The longer number is the larger one.
            let key = |digits: &str| digits.trim_start_matches('0').len();
            let order = key(number).cmp(&key(other_number));
            let order =
                order.then_with(|| number.trim_start_matches('0').cmp(other_number.trim_start_matches('0')));
            if order.is_ne() {
                return order;
            }
            (one, other) = (rest, other_rest);
            continue;
        }
        let (mut ones, mut others) = (one.chars(), other.chars());
        match (ones.next(), others.next()) {
            (Some(c), Some(d)) if c == d => (one, other) = (ones.as_str(), others.as_str()),
            (c, d) => return c.cmp(&d),
        }
    }
}

/// The digits in front, and the rest.
fn number(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_as_the_calendar_has_it() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn durations_and_sizes_are_readable() {
        for (seconds, text) in [
            (0.26, "0.3 s"),
            (59.0, "59 s"),
            (60.0, "1 min"),
            (61.5, "1 min 1 s"),
            (7261.0, "2 h 1 min"),
            (90_000.0, "1 d 1 h"),
        ] {
            assert_eq!(duration(seconds), text);
        }
        for (bytes, text) in
            [(0, "0"), (1000, "1000"), (128 << 20, "128M"), (512 << 10, "512K"), (2_000_000_000, "1.9G")]
        {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn names_stand_where_people_look_for_them() {
        let mut names = ["b", "a10", "a9", "a", "a10b", "", "a9x2", "\u{e9}", "a9x01", "a010c"];
        names.sort_by(|one, other| natural_order(one, other));
        assert_eq!(names, ["", "a", "a9", "a9x01", "a9x2", "a10", "a10b", "a010c", "b", "\u{e9}"]);
    }
}
