//! Literals that Python reads, and those that it refuses.

use super::*;

/// What is read, as Python's `repr` prints it; what is wrong else.
fn read(text: &str) -> String {
    Value::from_literal(text).map_or_else(|error| error.to_string(), |value| value.to_string())
}

#[test]
fn numbers_are_read_as_python_does() {
    for (text, repr) in [
        ("0", "0"),
        ("00_0", "0"),
        ("-1", "-1"),
        ("+ 1_000", "1000"),
        ("0xFf", "255"),
        ("0b_101", "5"),
        ("-0o17", "-15"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("9223372036854775808", "9223372036854775808"),
        ("-340282366920938463463374607431768211456", "-340282366920938463463374607431768211456"),
        ("0x100000000000000000000000000000000", "340282366920938463463374607431768211456"),
        ("1.", "1.0"),
        (".5", "0.5"),
        ("-0.0", "-0.0"),
        ("1_0.2_5e+0_2", "1025.0"),
        ("01.5", "1.5"),
        ("1e-5", "1e-05"),
        ("-1e999", "-inf"),
    ] {
        assert_eq!(read(text), repr, "{text}");
    }
    assert_eq!(Value::from_literal("-9223372036854775808"), Ok(Value::Int(i64::MIN)));
    assert_eq!(read(&"7".repeat(MAX_DIGITS)), "7".repeat(MAX_DIGITS));
}

#[test]
fn texts_and_bytes_are_read_as_python_does() {
    for (text, value) in [
        (r#"'it\'s'"#, Value::from("it's")),
        (r#""a\\b\n\x41\101\0é漢\u20ac\U0001f980""#, "a\\b\nAA\0é漢€🦀".into()),
        (r"'\d\ '", r"\d\ ".into()),
        (r"r'\n\''", r"\n\'".into()),
        ("'a\\\nb'", "ab".into()),
        ("'''a\n'b\"'''", "a\n'b\"".into()),
        ("''", "".into()),
        ("''''''", "".into()),
        ("u'a' R\"b\" 'c'", "abc".into()),
        (r"'\777'", "\u{1ff}".into()),
        (r"b'\xff\377\777\u20ac\''", b"\xff\xff\xff\\u20ac'".to_vec().into()),
        (r"Br'\x' b'a'", b"\\xa".to_vec().into()),
    ] {
        assert_eq!(Value::from_literal(text), Ok(value), "{text}");
    }
}

#[test]
fn containers_are_read_as_python_does() {
    for (text, repr) in [
        (" None ", "None"),
        ("[True,False ,]", "[True, False]"),
        ("()", "()"),
        ("(1)", "1"),
        ("( 1 , )", "(1,)"),
        ("1,", "(1,)"),
        ("1, (2, 3)", "(1, (2, 3))"),
        ("\n[1, # one\n 2]\n", "[1, 2]"),
        ("{}", "{}"),
        ("{1: {'a': ()}, (1, 'b'): None,}", "{1: {'a': ()}, (1, 'b'): None}"),
        ("{1, 2,}", "{1, 2}"),
        ("{'a' 'b'}", "{'ab'}"),
        ("set()", "set()"),
        ("[frozenset(), frozenset({1})]", "[frozenset(), frozenset({1})]"),
    ] {
        assert_eq!(read(text), repr, "{text}");
    }
}

#[test]
fn errors_say_the_column_and_what_is_wrong_there() {
    for (text, error) in [
        ("", "column 1: this is no Python literal (text needs quotes)"),
        ("é", "column 1: this is no Python literal (text needs quotes)"),
        ("['é', x]", "column 7: this is no Python literal (text needs quotes)"),
        ("nan", "column 1: this is no Python literal (text needs quotes)"),
        ("-True", "column 2: this is no number as Python writes it"),
        ("--1", "column 2: this is no number as Python writes it"),
        ("1__0", "column 1: this is no number as Python writes it"),
        ("1_", "column 1: this is no number as Python writes it"),
        ("0x", "column 1: this is no number as Python writes it"),
        ("0o8", "column 1: this is no number as Python writes it"),
        ("1._5", "column 1: this is no number as Python writes it"),
        ("...", "column 1: this is no number as Python writes it"),
        ("1١", "column 1: this is no number as Python writes it"),
        ("017", "column 1: a number does not begin with 0 (octal is 0o17)"),
        ("2j", "column 1: complex numbers have no counterpart here"),
        ("[1 2]", "column 4: a comma or the closing bracket was expected here"),
        ("[1", "column 3: a comma or the closing bracket was expected here"),
        ("[1,", "column 4: this is no Python literal (text needs quotes)"),
        ("(,)", "column 2: this is no Python literal (text needs quotes)"),
        ("{1: 2, 3}", "column 9: a colon was expected here"),
        ("{1, 2: 3}", "column 6: a comma or the closing bracket was expected here"),
        ("{(1, []): 2}", "column 2: Python cannot hash this: it is no key, and no element of a set"),
        ("1 2", "column 3: nothing more was expected here"),
        ("1\n2", "column 3: nothing more was expected here"),
        ("set([1])", "column 1: a call is no literal, but for set() and frozenset({...})"),
        ("'a", "column 1: the text that begins here has no end"),
        ("r'a\\'", "column 2: the text that begins here has no end"),
        ("'a\n'", "column 1: the text that begins here has no end"),
        ("'a' b'b'", "column 5: bytes and text cannot be joined"),
        ("b'é'", "column 3: bytes are written in ASCII and escapes"),
        ("f'a'", "column 1: this is no Python literal (text needs quotes)"),
        (r"'\x4'", "column 2: this escape is cut short or stands for no character"),
        (r"'\x+4'", "column 2: this escape is cut short or stands for no character"),
        (r"'\ud800'", "column 2: this escape is cut short or stands for no character"),
        (r"'\U00110000'", "column 2: this escape is cut short or stands for no character"),
        (r"'\N{DIGIT ONE}'", "column 2: names of characters are not known here"),
    ] {
        assert_eq!(read(text), error, "{text}");
    }
    let long = "7".repeat(MAX_DIGITS + 1);
    assert!(read(&long).starts_with("column 1: a number has at most 4300 digits"));
}

#[test]
fn nesting_is_bounded_and_long_numbers_take_linear_time() {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(read(&nested(64)), nested(64));
    assert_eq!(read(&nested(65)), "column 65: brackets are nested too deep here");
    assert_eq!(read(&"(".repeat(1_000_000)), "column 65: brackets are nested too deep here");
    assert_eq!(read(&"set(".repeat(1_000_000)), "column 257: this is no Python literal (text needs quotes)");
    let text = format!("-0x1{}", "0".repeat(4_000_000));
    let Ok(Value::BigInt(number)) = Value::from_literal(&text) else { panic!() };
    assert_eq!(number.to_string().len(), text.len());
}
