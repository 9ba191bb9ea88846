//! Any bytes as a payload: decoding, describing and encoding it end, and agree with each other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netq::pickle::{Pickled, Value};

fuzz_target!(|data: &[u8]| {
    let Ok(payload) = Pickled::from_pickle(data) else { return };
    let _ = (payload.code(), payload.type_name(), payload.decode_instance());
    let value = payload.decode();
    let text = value.to_string();
    let again = value.to_pickled();
    assert_eq!(Pickled::from_pickle(&again.to_pickle()).as_ref(), Ok(&again));
    // As text, because NaN is not equal to itself.
    assert_eq!(again.decode().to_string(), text);
    // Payloads that are put together stay what they are.
    let pair = Value::List(vec![Value::Opaque(payload.clone()), Value::Opaque(payload)]);
    let pair = Pickled::from_pickle(&pair.to_pickled().to_pickle()).expect("a list of two payloads");
    if !matches!(value, Value::Opaque(_))
        && let Value::List(items) = pair.decode()
    {
        assert!(items.iter().all(|item| item.to_string() == text), "{items:?} is not twice {text}");
    }
});
