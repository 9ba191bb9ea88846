//! Times and sizes as people read them.

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
}
