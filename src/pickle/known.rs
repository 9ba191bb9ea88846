//! Instances of well-known classes of Python's standard library, as text and as bytes.
//!
//! How they are pickled is the same in Python 3.6 to 3.13, but for the protocols: 0 to 2 name the builtins as Python 2
//! did, and have no bytes, only text to encode.

use std::fmt::Write;

use super::bigint::BigInt;
use super::describe::global;
use super::instance::Instance;
use super::opcode::byte;
use super::payload::Pickled;
use super::value::Value;
use super::walk::Walker;

impl Pickled {
    /// What Python's `str()` gives for an instance of `Decimal`, `datetime`, `date`, `time`, `timedelta`,
    /// `UUID`, `complex` or `range`, and for `Ellipsis`. `None` for other objects, and for times in zones that are
    /// no fixed offset.
    ///
    /// ```
    /// use netq::pickle::Pickled;
    ///
    /// // datetime.datetime(2024, 2, 29, 12, 30, 1)
    /// let pickle = b"\x80\x03cdatetime\ndatetime\nC\n\x07\xe8\x02\x1d\x0c\x1e\x01\0\0\0\x85R.";
    /// assert_eq!(Pickled::from_pickle(pickle)?.to_text().unwrap(), "2024-02-29 12:30:01");
    /// # Ok::<(), netq::pickle::PickleError>(())
    /// ```
    pub fn to_text(&self) -> Option<String> {
        let Some(instance) = self.decode_instance() else {
            let mut walker = Walker::new();
            let root = walker.walk_code(self.as_bytes()).ok()?;
            let is_it =
                matches!(global(&walker, self.as_bytes(), root)?, (BUILTINS | BUILTINS_2, "Ellipsis"));
            return is_it.then(|| "Ellipsis".to_owned());
        };
        let Instance { module, name, args, state } = &instance;
        match (module.as_str(), name.as_str(), args.as_slice()) {
            ("decimal", "Decimal", [digits]) => digits.as_str().map(str::to_owned),
            ("datetime", "timedelta", _) => duration(&instance),
            ("datetime", _, [data]) => moment(name, data),
            ("datetime", _, [data, Value::Opaque(zone)]) => {
                Some(moment(name, data)? + &offset(&zone.decode_instance()?)?)
            }
            ("uuid", "UUID", _) => uuid(state.as_ref()?),
            // How protocols 0 and 1 make an instance.
            (_, "_reconstructor", _) if self.type_name() == "uuid.UUID" => uuid(state.as_ref()?),
            (BUILTINS | BUILTINS_2, "complex", [Value::Float(real), Value::Float(imaginary)]) => {
                Some(complex(*real, *imaginary))
            }
            (BUILTINS | BUILTINS_2, "range" | "xrange", [from, to, step]) => Some(match step {
                Value::Int(1) => format!("range({from}, {to})"),
                _ => format!("range({from}, {to}, {step})"),
            }),
            _ => None,
        }
    }

    /// The bytes of a `bytearray`, and of a `bytes` that protocol 0, 1 or 2 had to describe as something else. `None` for
    /// other objects.
    ///
    /// ```
    /// use netq::pickle::Pickled;
    ///
    /// let data = Pickled::from_pickle(b"cbuiltins\nbytearray\nC\x02ab\x85R.")?;
    /// assert_eq!(data.bytearray().unwrap(), b"ab");
    /// # Ok::<(), netq::pickle::PickleError>(())
    /// ```
    pub fn bytearray(&self) -> Option<Vec<u8>> {
        let mut walker = Walker::new();
        let root = walker.walk_code(self.as_bytes()).ok()?;
        if let Some(i) = walker.atom(self.as_bytes(), root) {
            return (i.byte == byte::BYTEARRAY8).then(|| i.data.to_vec());
        }
        let instance = self.decode_instance()?;
        match (&*instance.module, &*instance.name, instance.args.as_slice()) {
            (BUILTINS | BUILTINS_2, "bytearray", []) => Some(Vec::new()),
            (BUILTINS | BUILTINS_2, "bytearray", [data]) => bytes(data),
            // Python 3.7 and older, with protocols 0 to 2.
            (BUILTINS | BUILTINS_2, "bytearray", [Value::Str(text), Value::Str(_)]) => latin1(text),
            _ => bytes_of(&instance),
        }
    }
}

const BUILTINS: &str = "builtins";
const BUILTINS_2: &str = "__builtin__";

fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Bytes(data) => Some(data.clone()),
        Value::Opaque(object) => bytes_of(&object.decode_instance()?),
        _ => None,
    }
}

/// How protocols 0 to 2 make a `bytes`: by encoding a text, or of nothing.
fn bytes_of(instance: &Instance) -> Option<Vec<u8>> {
    match (&*instance.module, &*instance.name, instance.args.as_slice()) {
        ("_codecs", "encode", [Value::Str(text), Value::Str(_)]) => latin1(text),
        (BUILTINS_2, "bytes", []) => Some(Vec::new()),
        _ => None,
    }
}

fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(c).ok()).collect()
}

/// A date, a time of day, or both.
fn moment(class: &str, data: &Value) -> Option<String> {
    let data = bytes(data)?;
    let mut text = String::new();
    let time = match (class, &data[..]) {
        ("time", time) => time,
        // The highest bit of the month, or of a time's hour, says which of two equal times of a night it is.
        ("date" | "datetime", [high, low, month, day, time @ ..]) => {
            let year = u16::from_be_bytes([*high, *low]);
            write!(text, "{year:04}-{:02}-{day:02}", month & 0x7f).ok()?;
            time
        }
        _ => return None,
    };
    match (class, time) {
        ("date", []) => {}
        ("time" | "datetime", &[hour, minute, second, a, b, c]) => {
            let space = if text.is_empty() { "" } else { " " };
            write!(text, "{space}{:02}:{minute:02}:{second:02}", hour & 0x7f).ok()?;
            fraction(&mut text, u32::from_be_bytes([0, a, b, c]).into());
        }
        _ => return None,
    }
    Some(text)
}

fn fraction(text: &mut String, microseconds: i64) {
    if microseconds != 0 {
        // Into a String it cannot fail.
        let _ = write!(text, ".{microseconds:06}");
    }
}

/// The days, seconds and microseconds of a `timedelta`.
fn delta(instance: &Instance) -> Option<(i64, i64, i64)> {
    match (&*instance.name, instance.args.as_slice()) {
        (
            "timedelta",
            &[Value::Int(days), Value::Int(seconds @ 0..86_400), Value::Int(micros @ 0..1_000_000)],
        ) => Some((days, seconds, micros)),
        _ => None,
    }
}

fn duration(instance: &Instance) -> Option<String> {
    let (days, seconds, microseconds) = delta(instance)?;
    let mut text = match days {
        0 => String::new(),
        -1 | 1 => format!("{days} day, "),
        _ => format!("{days} days, "),
    };
    write!(text, "{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60).ok()?;
    fraction(&mut text, microseconds);
    Some(text)
}

/// What a `timezone` adds to a time.
fn offset(zone: &Instance) -> Option<String> {
    let ("timezone", [Value::Opaque(offset), ..]) = (&*zone.name, zone.args.as_slice()) else {
        return None;
    };
    let (days, seconds, microseconds) = delta(&offset.decode_instance()?)?;
    let total = days.checked_mul(86_400_000_000)?.checked_add(seconds * 1_000_000 + microseconds)?;
    let (sign, total) = (if total < 0 { '-' } else { '+' }, total.unsigned_abs() as i64);
    let (minutes, rest) = (total / 60_000_000, total % 60_000_000);
    let mut text = format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60);
    if rest != 0 {
        write!(text, ":{:02}", rest / 1_000_000).ok()?;
        fraction(&mut text, rest % 1_000_000);
    }
    Some(text)
}

fn uuid(state: &Value) -> Option<String> {
    let Value::Dict(fields) = state else { return None };
    let number = match fields.iter().find(|(key, _)| key.as_str() == Some("int"))? {
        (_, Value::Int(number)) => BigInt::from(i128::from(*number)),
        (_, Value::BigInt(number)) => number.clone(),
        _ => return None,
    };
    let bytes = number.as_le_bytes();
    let mut text = String::new();
    for index in (0..16).rev() {
        write!(text, "{:02x}", bytes.get(index).copied().unwrap_or(0)).ok()?;
        if matches!(index, 12 | 10 | 8 | 6) {
            text.push('-');
        }
    }
    Some(text)
}

fn complex(real: f64, imaginary: f64) -> String {
    // Without the end that tells a float from an int.
    let number = |number: f64| {
        let text = Value::Float(number).to_string();
        text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
    };
    let imaginary = number(imaginary);
    if real == 0.0 && real.is_sign_positive() {
        return format!("{imaginary}j");
    }
    let plus = if imaginary.starts_with('-') { "" } else { "+" };
    format!("({}{plus}{imaginary}j)", number(real))
}
