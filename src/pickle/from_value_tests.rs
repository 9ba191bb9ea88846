//! There and back between Rust's types and values, and what is said of what is neither.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use super::{FromValue, Value, WrongType};

/// There and back, for each of the values.
fn same<T: FromValue + Into<Value> + Clone + PartialEq + fmt::Debug>(values: &[T]) {
    for value in values {
        assert_eq!(T::from_value(value.clone().into()).as_ref(), Ok(value));
    }
}

#[test]
fn what_was_made_a_value_can_be_made_of_it() {
    same(&[i64::MIN, 0, i64::MAX]);
    same(&[u64::MAX]);
    same(&[i128::MIN, i128::MAX]);
    same(&[u128::MAX, 1 << 127]);
    same(&[u8::MAX]);
    same(&[0.1_f32, f32::MAX]);
    same(&['é', '\0']);
    same(&[(), ()]);
    same(&[Some("a".to_owned()), None]);
    same(&[vec![1_u8, 2], vec![]]);
    same(&[vec![vec![1_u8], vec![]]]);
    same(&[vec!["a".to_owned()]]);
    same(&[[1_u8, 2]]);
    same(&[[1_i32, -2]]);
    same(&[(1_u8, 'b', true, 0.5, "e".to_owned(), vec![6_u16])]);
    same(&[HashMap::from([("a".to_owned(), (1_u8,))])]);
    same(&[BTreeMap::from([(1_u8, Some('b'))])]);
    same(&[HashSet::from([1_i8]), HashSet::new()]);
    same(&[BTreeSet::from([vec![1_u8]])]);
}

#[test]
fn error_says_what_was_expected_and_where() {
    fn error<T: FromValue + fmt::Debug>(value: impl Into<Value>) -> String {
        T::from_value(value.into()).unwrap_err().to_string()
    }
    assert_eq!(error::<bool>(()), "expected bool, got NoneType");
    assert_eq!(error::<u64>(-1), "expected int in the range of u64, got int -1");
    assert_eq!(error::<u8>(256), "expected int in the range of u8, got int 256");
    assert_eq!(error::<i128>(u128::MAX), format!("expected int in the range of i128, got int {}", u128::MAX));
    assert_eq!(error::<u128>(-1), "expected int in the range of u128, got int -1");
    assert_eq!(error::<char>("ab"), "expected str of one character, got str");
    assert_eq!(error::<Vec<u8>>([1, 2]), "expected bytes, got list");
    assert_eq!(error::<Vec<i64>>("ab"), "expected list or tuple, got str");
    assert_eq!(error::<[u16; 2]>((1,)), "expected 2 items, got tuple of 1");
    assert_eq!(error::<(u16, u16)>([1, 2, 3]), "expected 2 items, got list of 3");
    assert_eq!(
        error::<HashMap<String, u8>>(Value::dict([("a", 1), ("b", -1)])),
        "'b': expected int in the range of u8, got int -1"
    );
    assert_eq!(error::<BTreeSet<u8>>([1]), "expected set or frozenset, got list");
    assert_eq!(Value::from(7).take::<u8>("a").unwrap_err().to_string(), "'a': expected dict, got int");
}

#[test]
fn error_names_the_fields_from_the_outermost_in() {
    #[derive(Debug)]
    struct Outer;
    impl FromValue for Outer {
        fn from_value(mut value: Value) -> Result<Self, WrongType> {
            value.take::<Inner>("inner").map(|_| Outer)
        }
    }
    struct Inner;
    impl FromValue for Inner {
        fn from_value(mut value: Value) -> Result<Self, WrongType> {
            value.take::<u8>("count").map(|_| Inner)
        }
    }
    let wrong = Outer::from_value(Value::dict([("inner", Value::dict([("count", "1")]))])).unwrap_err();
    assert_eq!(wrong.field(), "inner.count");
    assert_eq!(crate::Error::from(wrong.clone()).to_string(), wrong.to_string());
    let exception = crate::Exception::from(wrong);
    assert_eq!(exception.to_string(), "TypeError: 'inner.count': expected int in the range of u8, got str");
}
