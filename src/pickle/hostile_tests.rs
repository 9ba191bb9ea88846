//! Pickles that are made to break the reader: bounded memory, bounded time, a clear answer.

use std::time::{Duration, Instant};

use super::{MAX_PENDING, PickleError, Pickled, Value, Walker};

fn error(pickle: &[u8]) -> PickleError {
    Pickled::from_pickle(pickle).unwrap_err()
}

/// Runs the test's work and fails when it takes longer than anything linear would.
fn soon<T>(work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    assert!(start.elapsed() < Duration::from_secs(20), "took {:?}", start.elapsed());
    result
}

#[test]
fn refusals_name_the_opcode_and_the_offset() {
    for (pickle, text) in [
        (
            &b"\x80\x04P1\n."[..],
            "opcode PERSID at offset 2 is refused: a persistent id means nothing outside the program that wrote it",
        ),
        (
            b"NQ.",
            "opcode BINPERSID at offset 1 is refused: a persistent id means nothing outside the program that wrote it",
        ),
        (
            b"\x97.",
            "opcode NEXT_BUFFER at offset 0 is refused: its data is out of band, in a buffer that is not here",
        ),
        (b"N2.", "opcode DUP at offset 1 is refused: no pickler writes it"),
        (b"N\xff.", "unknown opcode 0xff at offset 1"),
        (b"\x80\x06N.", "pickle protocol 6 at offset 0 is unknown (0 to 5 are known)"),
        (b"N", "the pickle ends at offset 1 without STOP"),
        (b"", "the pickle ends at offset 0 without STOP"),
        (b".", "STOP at offset 0 finds 0 objects on the stack, not one"),
        (b"NN.", "STOP at offset 2 finds 2 objects on the stack, not one"),
        (b"N..", "1 bytes follow the pickle's STOP, from offset 2"),
        (b"Na.", "APPEND at offset 1 finds too little on the stack"),
        (b"N(Na.", "APPEND at offset 3 finds too little on the stack"),
        (b"(\x94.", "MEMOIZE at offset 1 finds too little on the stack"),
        (b"(o.", "OBJ at offset 1 finds too little on the stack"),
        (b"Nt.", "TUPLE at offset 1 finds too little on the stack"),
        (b"N((e.", "APPENDS at offset 3 finds too little on the stack"),
        (b"h\x07.", "memo entry 7, wanted at offset 0, is not defined"),
        (b"Np-1\n.", "PUT at offset 1 has an argument that cannot be read"),
        (b"\x8e\0\0\0\0\0\0\0\x80.", "the pickle is cut off in BINBYTES8 at offset 0"),
        (b"B\xff\xff\xff\xff.", "the pickle is cut off in BINBYTES at offset 0"),
    ] {
        assert_eq!(error(pickle).to_string(), text, "{pickle:?}");
    }
}

#[test]
fn pickle_cut_off_anywhere_is_an_error() {
    let pickle = b"\x80\x04\x95H\0\0\0\0\0\0\0(\x8c\x05ident\x94\x8c\x03put\x94]\x94(K\0M\0\x01J\0\0\x01\0\x8a\x02\0\x01h\x01G\0\0\0\0\0\0\0\0cos\nsystem\n)\x81}\x8c\x01ah\0sbe\x85\x94}\x94t\x94.";
    assert!(Pickled::from_pickle(pickle).is_ok());
    for len in 0..pickle.len() {
        assert!(Pickled::from_pickle(&pickle[..len]).is_err(), "{len}");
    }
}

#[test]
fn million_marks_are_an_error_and_too_many_are_another() {
    let marks = vec![b'('; 1_000_000];
    assert_eq!(error(&marks), PickleError::NoStop { at: 1_000_000 });
    let marks = vec![b'('; MAX_PENDING + 1];
    assert_eq!(error(&marks), PickleError::TooManyPending { at: MAX_PENDING });
}

#[test]
fn list_a_million_deep_is_carried_but_not_decoded() {
    let mut pickle = b"]".repeat(1_000_000);
    pickle.extend_from_slice(&b"a".repeat(999_999));
    pickle.push(b'.');
    let payload = soon(|| Pickled::from_pickle(&pickle)).unwrap();
    assert_eq!(payload.decode(), Value::Opaque(payload));
}

#[test]
fn deeply_nested_value_is_encoded_without_recursion() {
    let mut value = Value::None;
    for _ in 0..1000 {
        value = Value::List(vec![value]);
    }
    let code = value.to_pickled();
    assert_eq!(code.len(), 2001);
    assert_eq!(code.decode(), Value::Opaque(code));
}

#[test]
fn doubling_references_are_carried_but_not_decoded() {
    // a = []; b = [a, a]; c = [b, b]; ...
    let mut pickle = b"]\x94".to_vec();
    for n in 0..60 {
        pickle.extend_from_slice(&[b'0', b']', 0x94, b'(', b'h', n, b'h', n, b'e']);
    }
    pickle.push(b'.');
    let payload = Pickled::from_pickle(&pickle).unwrap();
    assert_eq!(payload.as_bytes(), &pickle[..pickle.len() - 1]);
    assert_eq!(soon(|| payload.decode()), Value::Opaque(payload));
}

#[test]
fn doubling_references_are_extracted_once_each() {
    // The same as elements of one list: taking out the last takes all, once.
    let mut pickle = b"](]\x94".to_vec();
    for n in 0..200 {
        pickle.extend_from_slice(&[b']', 0x94, b'(', b'h', n, b'h', n, b'e']);
    }
    pickle.extend_from_slice(b"e.");
    let mut walker = Walker::new();
    let root = walker.walk(&pickle).unwrap();
    let last = *walker.elements(&pickle, root).unwrap().1.last().unwrap();
    let payload = walker.extract(&pickle, last).unwrap();
    assert!(payload.len() < pickle.len());
    assert_eq!(Pickled::from_pickle(&payload.to_pickle()), Ok(payload));
}

#[test]
fn copies_of_one_large_object_are_bounded() {
    let mut pickle = b"]X\0\0\x10\0".to_vec();
    pickle.resize(pickle.len() + 0x10_0000, b'x');
    pickle.extend_from_slice(b"\x94a(");
    pickle.extend_from_slice(&b"h\0".repeat(1000));
    pickle.extend_from_slice(b"e.");
    let mut walker = Walker::new();
    let root = walker.walk(&pickle).unwrap();
    let items = walker.elements(&pickle, root).unwrap().1.to_vec();
    let copies = items.iter().map_while(|&span| walker.extract(&pickle, span).ok());
    let count = copies.count();
    assert!((60..80).contains(&count), "{count}");
    let refused = walker.extract(&pickle, items[999]).unwrap_err();
    assert!(matches!(refused, PickleError::Expansion { .. }));
}

#[test]
fn long_chains_of_references_take_linear_time() {
    // Element k is a tuple that holds element k - 1 by reference, or an earlier and larger one.
    let count = 100_000_u32;
    let mut chain = b"](N\x94".to_vec();
    for n in 0..count {
        chain.push(b'j');
        chain.extend_from_slice(&n.to_le_bytes());
        chain.extend_from_slice(b"\x85\x94");
    }
    chain.extend_from_slice(b"e.");
    // One in the other, all starting at the same byte, then references from the inside out.
    let mut onion = b"](N\x94".to_vec();
    onion.extend_from_slice(&b"\x85\x94".repeat(count as usize));
    onion.push(b'(');
    for n in 0..=count {
        onion.push(b'j');
        onion.extend_from_slice(&n.to_le_bytes());
    }
    onion.extend_from_slice(b"te.");
    // Each tuple refers to the list around it before it is complete.
    let mut nested = Vec::new();
    for n in 0..count {
        nested.extend_from_slice(b"]\x94j");
        nested.extend_from_slice(&n.to_le_bytes());
    }
    nested.extend_from_slice(&b"\x85\x94aa".repeat(count as usize - 1));
    nested.extend_from_slice(b"\x85\x94a.");
    soon(|| {
        for pickle in [chain, onion, nested] {
            let mut walker = Walker::new();
            let root = walker.walk(&pickle).unwrap();
            let last = *walker.elements(&pickle, root).unwrap().1.last().unwrap();
            let payload = walker.extract(&pickle, last).unwrap();
            assert_eq!(Pickled::from_pickle(&payload.to_pickle()).as_ref(), Ok(&payload));
            payload.decode();
        }
    });
}

#[test]
fn scratch_memory_of_a_large_request_is_given_back() {
    let mut walker = Walker::new();
    let mut pickle = b"](".to_vec();
    pickle.extend_from_slice(&b"]\x94".repeat(100_000));
    pickle.extend_from_slice(b"e.");
    walker.walk(&pickle).unwrap();
    assert!(walker.memo.definitions.capacity() >= 100_000);
    walker.clear();
    assert!(walker.memo.definitions.capacity() < 10_000);
}

/// The generator of Marsaglia's "Xorshift RNGs": the same cases in each run.
struct XorShift(u64);

impl XorShift {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// Whatever is taken from a pickle is a payload that reads the same again.
fn check(walker: &mut Walker, pickle: &[u8]) -> usize {
    let Ok(root) = walker.walk(pickle) else {
        return 0;
    };
    let mut spans = vec![root];
    let mut checked = 0;
    while let Some(span) = spans.pop() {
        let payload = match walker.extract(pickle, span) {
            Ok(payload) => payload,
            Err(refused) => panic!("{refused} in {pickle:?}"),
        };
        let again = Pickled::from_pickle(&payload.to_pickle());
        assert_eq!(again.as_ref(), Ok(&payload), "{span:?} of {pickle:?}");
        let value = payload.decode();
        let again = value.to_pickled().decode();
        assert_eq!(again.type_name(), value.type_name());
        // What was thrown away beside an opaque part may be read as a part of the next one.
        assert!(!value.is_plain() || again.to_string() == value.to_string(), "{again} {value}");
        payload.code();
        payload.decode_instance();
        assert_eq!(walker.extract_owned(pickle.to_vec().into(), 0, span), Ok(payload));
        if let Some((_, parts)) = walker.elements(pickle, span)
            && checked < 20
        {
            spans.extend(parts);
        }
        checked += 1;
    }
    checked
}

#[test]
fn mutated_pickles_are_refused_or_become_valid_payloads() {
    let seeds: [&[u8]; 6] = [
        b"\x80\x04\x95-\0\0\0\0\0\0\0(\x8c\x01q\x94\x8c\x08put_many\x94]\x94(}\x94\x8c\x01a\x94K\x01s}\x94h\x04K\x02sh\x01e\x85\x94}\x94t\x94.",
        b"\x80\x03(X\x05\0\0\0identq\0X\x03\0\0\0putq\x01cbuiltins\nset\nq\x02]q\x03(K\x01K\x02e\x85q\x04Rq\x05\x85q\x06}q\x07tq\x08.",
        b"\x80\x04]\x94(]\x94h\x01\x85\x94a0h\x02h\x02h\x01h\0e.",
        b"(lp0\nI01\naL7L\naVa\\u20ac\np1\na(Vx\np2\n(dp3\nVk\np4\ng0\nstp5\na.",
        b"\x80\x04\x8c\x05a.b.c\x94\x8c\x01T\x94\x93\x94)\x81\x94\x8c\x01Q\x94K\x05\x86\x94h\x03\x87\x94b.",
        b"](]\x94(]\x94(h\0h\x01\x86\x94h\x02\x87\x94h\x03ee(h\0h\x01h\x02h\x03t\x94h\x04e.",
    ];
    let parts: [&[u8]; 16] = [
        b"\x94", b"h\0", b"h\x01", b"h\x02", b"h\x03", b"]", b"(", b"e", b"t", b"0", b"1", b"a", b"\x85",
        b"\x86", b"q\x02", b"N",
    ];
    let mut random = XorShift(0x9e37_79b9_7f4a_7c15);
    let mut walker = Walker::new();
    let mut checked = 0;
    for case in 0..60_000 {
        let mut pickle = seeds[case % seeds.len()].to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(pickle.len());
            match random.below(4) {
                0 => pickle[at] = random.below(256) as u8,
                1 => drop(pickle.remove(at)),
                2 => drop(pickle.splice(at..at, parts[random.below(parts.len())].iter().copied())),
                _ => pickle[at] = parts[random.below(parts.len())][0],
            }
        }
        checked += check(&mut walker, &pickle);
    }
    assert!(checked > 10_000, "{checked}");
}

#[test]
fn random_programs_are_refused_or_become_valid_payloads() {
    let parts: [&[u8]; 18] = [
        b"\x94",
        b"\x94",
        b"h\0",
        b"h\x01",
        b"h\x02",
        b"h\x03",
        b"]",
        b"]\x94",
        b"(",
        b"e",
        b"t",
        b"0",
        b"1",
        b"a",
        b"\x85\x94",
        b"\x86\x94",
        b"N",
        b"R\x94",
    ];
    let mut random = XorShift(88172645463325252);
    let mut walker = Walker::new();
    let mut checked = 0;
    for _ in 0..200_000 {
        let mut pickle = b"(N\x94]\x94".to_vec();
        for _ in 0..4 + random.below(20) {
            pickle.extend_from_slice(parts[random.below(parts.len())]);
        }
        pickle.extend_from_slice(b"t.");
        checked += check(&mut walker, &pickle);
    }
    assert!(checked > 10_000, "{checked}");
}
