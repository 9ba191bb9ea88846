//! From [`Value`] to pickle code, of protocol 4 and with CPython's choice of opcodes, but without
//! memo entries: a value has no object identities to keep.

use super::opcode::byte;
use super::payload::Pickled;
use super::value::Value;

/// What is still to be written.
enum Work<'a> {
    Value(&'a Value),
    Opcode(u8),
}

/// Appends the code of a str.
pub(crate) fn encode_str(text: &str, out: &mut Vec<u8>) {
    counted([byte::SHORT_BINUNICODE, byte::BINUNICODE, byte::BINUNICODE8], text.as_bytes(), out);
}

impl Value {
    /// Appends the value's code to a pickle, without PROTO and STOP. `memo` is the number of memo
    /// entries that the pickle has; opaque values add theirs.
    ///
    /// Works without recursion, so that it cannot overflow the stack.
    ///
    /// ```
    /// use netq::pickle::Value;
    ///
    /// let mut pickle = b"\x80\x04".to_vec();
    /// Value::from((1, "a")).encode_into(&mut pickle, &mut 0);
    /// pickle.push(b'.');
    /// assert_eq!(pickle, b"\x80\x04K\x01\x8c\x01a\x86.");
    /// ```
    pub fn encode_into(&self, out: &mut Vec<u8>, memo: &mut usize) {
        encode(self, out, memo);
    }

    /// The value as a payload.
    pub fn to_pickled(&self) -> Pickled {
        if let Value::Opaque(payload) = self {
            return payload.clone();
        }
        let (mut code, mut memo) = (Vec::new(), 0);
        let refers = encode(self, &mut code, &mut memo);
        Pickled::new(code, memo as u32, refers)
    }
}

impl From<Value> for Pickled {
    fn from(value: Value) -> Self {
        match value {
            Value::Opaque(payload) => payload,
            other => other.to_pickled(),
        }
    }
}

/// Returns whether the code refers to memo entries.
fn encode(value: &Value, out: &mut Vec<u8>, memo: &mut usize) -> bool {
    let mut refers = false;
    // Allocates only for containers.
    let (mut next, mut work) = (Some(Work::Value(value)), Vec::new());
    while let Some(now) = next {
        match now {
            Work::Opcode(opcode) => out.push(opcode),
            Work::Value(value) => refers |= encode_one(value, out, memo, &mut work),
        }
        next = work.pop();
    }
    refers
}

/// As [`encode`], except that the parts of a container are left to do.
fn encode_one<'a>(value: &'a Value, out: &mut Vec<u8>, memo: &mut usize, work: &mut Vec<Work<'a>>) -> bool {
    match value {
        Value::None => out.push(byte::NONE),
        Value::Bool(true) => out.push(byte::NEWTRUE),
        Value::Bool(false) => out.push(byte::NEWFALSE),
        Value::Int(number) => int(*number, out),
        Value::BigInt(number) => long(number.as_le_bytes(), out),
        Value::Float(number) => {
            out.push(byte::BINFLOAT);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Str(text) => encode_str(text, out),
        Value::Bytes(data) => counted([byte::SHORT_BINBYTES, byte::BINBYTES, byte::BINBYTES8], data, out),
        Value::Tuple(items) => {
            let opcode = match items.len() {
                0 => byte::EMPTY_TUPLE,
                1 => byte::TUPLE1,
                2 => byte::TUPLE2,
                3 => byte::TUPLE3,
                _ => byte::TUPLE,
            };
            if opcode == byte::TUPLE {
                out.push(byte::MARK);
            }
            work.push(Work::Opcode(opcode));
            work.extend(items.iter().rev().map(Work::Value));
        }
        Value::FrozenSet(items) => {
            out.push(byte::MARK);
            work.push(Work::Opcode(byte::FROZENSET));
            work.extend(items.iter().rev().map(Work::Value));
        }
        Value::List(items) => {
            out.push(byte::EMPTY_LIST);
            fill(items.len(), [byte::APPEND, byte::APPENDS], out, work);
            work.extend(items.iter().rev().map(Work::Value));
        }
        Value::Set(items) => {
            out.push(byte::EMPTY_SET);
            // There is no opcode for one item.
            if !items.is_empty() {
                out.push(byte::MARK);
                work.push(Work::Opcode(byte::ADDITEMS));
            }
            work.extend(items.iter().rev().map(Work::Value));
        }
        Value::Dict(items) => {
            out.push(byte::EMPTY_DICT);
            fill(items.len(), [byte::SETITEM, byte::SETITEMS], out, work);
            for (key, value) in items.iter().rev() {
                work.extend([Work::Value(value), Work::Value(key)]);
            }
        }
        Value::Opaque(payload) => {
            *memo += payload.append_to(out, *memo);
            return payload.refers();
        }
    }
    false
}

/// The opcode after the items of a container: for one, or for several with a mark before them.
fn fill(count: usize, [one, several]: [u8; 2], out: &mut Vec<u8>, work: &mut Vec<Work<'_>>) {
    match count {
        0 => {}
        1 => work.push(Work::Opcode(one)),
        _ => {
            out.push(byte::MARK);
            work.push(Work::Opcode(several));
        }
    }
}

fn int(number: i64, out: &mut Vec<u8>) {
    if let Ok(number) = u8::try_from(number) {
        out.extend_from_slice(&[byte::BININT1, number]);
    } else if let Ok(number) = u16::try_from(number) {
        out.push(byte::BININT2);
        out.extend_from_slice(&number.to_le_bytes());
    } else if let Ok(number) = i32::try_from(number) {
        out.push(byte::BININT);
        out.extend_from_slice(&number.to_le_bytes());
    } else {
        long(super::bigint::BigInt::from(i128::from(number)).as_le_bytes(), out);
    }
}

fn long(bytes: &[u8], out: &mut Vec<u8>) {
    if let Ok(len) = u8::try_from(bytes.len()) {
        out.extend_from_slice(&[byte::LONG1, len]);
    } else {
        // The length has 4 bytes: a number of 2 GiB is none that anyone can calculate with.
        out.push(byte::LONG4);
        out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    }
    out.extend_from_slice(bytes);
}

/// Data behind its length, which has 1, 4 or 8 bytes.
fn counted(opcodes: [u8; 3], data: &[u8], out: &mut Vec<u8>) {
    // With room for what is behind large data: else the next byte would double the memory again.
    out.reserve(data.len() + 64);
    if let Ok(len) = u8::try_from(data.len()) {
        out.extend_from_slice(&[opcodes[0], len]);
    } else if let Ok(len) = u32::try_from(data.len()) {
        out.push(opcodes[1]);
        out.extend_from_slice(&len.to_le_bytes());
    } else {
        out.push(opcodes[2]);
        out.extend_from_slice(&(data.len() as u64).to_le_bytes());
    }
    out.extend_from_slice(data);
}
