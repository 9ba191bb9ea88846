//! Any bytes as a pickle: what the walker accepts can be taken out, and what was taken out stands on its own.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netq::pickle::{Kind, PickleError, Pickled, Span, Walker};

fuzz_target!(|data: &[u8]| {
    let mut walker = Walker::new();
    let Ok(root) = walker.walk(data) else { return };
    check(&walker, data, root, 0);
});

fn check(walker: &Walker, data: &[u8], span: Span, depth: u32) {
    let _ = (walker.text(data, span), walker.decode_span(data, span));
    let payload = match walker.extract(data, span) {
        Ok(payload) => payload,
        Err(PickleError::Expansion { .. }) => return,
        Err(error) => panic!("found but not to be taken out: {error}"),
    };
    assert_eq!(walker.extract_owned(data.to_vec().into(), 0, span).as_ref(), Ok(&payload));
    assert_eq!(Pickled::from_pickle(&payload.to_pickle()).as_ref(), Ok(&payload), "not a normal form");
    if depth < 3
        && let Some((_, parts)) = walker.elements(data, span)
    {
        parts.iter().take(20).for_each(|&part| check(walker, data, part, depth + 1));
    }
    if let Some((kind, parts)) = walker.elements(data, span)
        && kind == Kind::Dict
    {
        assert_eq!(walker.pairs(data, span).is_some(), parts.len() % 2 == 0);
    }
}
