//! Times and sizes as people read them.

use std::cmp::Ordering;

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
