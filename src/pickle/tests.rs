//! What real Python wrote (3.7 with protocol 3, 3.8 with 4, 3.13 with 5), and what becomes of it.

use super::{Kind, Pickled, Span, Value, Walker};

/// The spans of a request's four parts and of its arguments.
fn request(walker: &mut Walker, bytes: &[u8]) -> (Vec<Span>, Vec<Span>) {
    let root = walker.walk(bytes).unwrap();
    let (kind, parts) = walker.elements(bytes, root).unwrap();
    assert_eq!((kind, parts.len()), (Kind::Tuple, 4));
    let (kind, arguments) = walker.elements(bytes, parts[2]).unwrap();
    assert_eq!(kind, Kind::Tuple);
    assert_eq!(walker.elements(bytes, parts[3]).unwrap().0, Kind::Dict);
    (parts.to_vec(), arguments.to_vec())
}

/// The only argument of a request.
fn item(bytes: &[u8]) -> Pickled {
    let mut walker = Walker::new();
    let (_, arguments) = request(&mut walker, bytes);
    assert_eq!(arguments.len(), 1);
    let payload = walker.extract(bytes, arguments[0]).unwrap();
    assert_eq!(Pickled::from_pickle(&payload.to_pickle()), Ok(payload.clone()));
    let owned = walker.extract_owned([b"head", bytes].concat().into(), 4, arguments[0]);
    assert_eq!(owned, Ok(payload.clone()));
    payload
}

#[test]
fn item_is_the_same_payload_from_protocols_3_4_and_5() {
    let old = item(
        b"\x80\x03(X\x05\0\0\0identq\0X\x03\0\0\0putq\x01]q\x02(]q\x03K\x01ah\x03e\x85q\x04}q\x05tq\x06.",
    );
    let new = item(b"\x80\x04\x95!\0\0\0\0\0\0\0(\x8c\x05ident\x94\x8c\x03put\x94]\x94(]\x94K\x01ah\x03e\x85\x94}\x94t\x94.");
    let newest = item(b"\x80\x05\x95!\0\0\0\0\0\0\0(\x8c\x05ident\x94\x8c\x03put\x94]\x94(]\x94K\x01ah\x03e\x85\x94}\x94t\x94.");
    assert_eq!(new.as_bytes(), b"]\x94(]\x94K\x01ah\x01e");
    assert_eq!(old, new);
    assert_eq!(newest, new);
    assert_eq!(new.decode().to_string(), "[[1], [1]]");
}

#[test]
fn item_that_is_the_method_name_or_the_ident_gets_the_text_itself() {
    for (request, code) in [
        (
            &b"\x80\x03(X\x05\0\0\0identq\0X\x03\0\0\0putq\x01h\x01\x85q\x02}q\x03tq\x04."[..],
            &b"X\x03\0\0\0put\x94"[..],
        ),
        (
            b"\x80\x04\x95\x18\0\0\0\0\0\0\0(\x8c\x05ident\x94\x8c\x03put\x94h\x01\x85\x94}\x94t\x94.",
            b"\x8c\x03put\x94",
        ),
        (
            b"\x80\x04\x95\x18\0\0\0\0\0\0\0(\x8c\x05ident\x94\x8c\x03put\x94h\0\x85\x94}\x94t\x94.",
            b"\x8c\x05ident\x94",
        ),
    ] {
        assert_eq!(item(request).as_bytes(), code);
    }
}

#[test]
fn reference_to_something_outside_is_written_once_and_then_referred_to() {
    // {'put': ('put', 1.5, b'ab')}
    let payload = item(b"\x80\x04\x95-\0\0\0\0\0\0\0(\x8c\x05ident\x94\x8c\x03put\x94}\x94h\x01h\x01G?\xf8\0\0\0\0\0\0C\x02ab\x94\x87\x94s\x85\x94}\x94t\x94.");
    assert_eq!(payload.as_bytes(), b"}\x94\x8c\x03put\x94h\x01G?\xf8\0\0\0\0\0\0C\x02ab\x94\x87\x94s");
    assert_eq!(payload.decode().to_string(), "{'put': ('put', 1.5, b'ab')}");
}

#[test]
fn basic_types_decode_and_encode_to_what_python_writes() {
    for (request, repr, code) in [
        (&b"\x80\x04\x95\x17\0\0\0\0\0\0\0(\x8c\x05ident\x94\x8c\x03put\x94N\x85\x94}\x94t\x94."[..], "None", &b"N"[..]),
        (
            b"\x80\x04\x95H\0\0\0\0\0\0\0(\x8c\x05ident\x94\x8c\x03put\x94]\x94(K\0K\xffM\0\x01J\0\0\x01\0J\xff\xff\xff\xff\x8a\x06\0\0\0\0\0\x01\x8a\x08\0\0\0\0\0\0\0\x80\x8a\x09\0\0\0\0\0\0\0\0\x01e\x85\x94}\x94t\x94.",
            "[0, 255, 256, 65536, -1, 1099511627776, -9223372036854775808, 18446744073709551616]",
            b"](K\0K\xffM\0\x01J\0\0\x01\0J\xff\xff\xff\xff\x8a\x06\0\0\0\0\0\x01\x8a\x08\0\0\0\0\0\0\0\x80\x8a\x09\0\0\0\0\0\0\0\0\x01e",
        ),
        (b"\x80\x04\x95\x1e\0\0\0\0\0\0\0(\x8c\x05ident\x94\x8c\x03put\x94\x8f\x94(K\x01K\x02\x90\x85\x94}\x94t\x94.", "{1, 2}", b"\x8f(K\x01K\x02\x90"),
        (b"\x80\x04\x95\x1b\0\0\0\0\0\0\0(\x8c\x05ident\x94\x8c\x03put\x94(K\x07\x91\x94\x85\x94}\x94t\x94.", "frozenset({7})", b"(K\x07\x91"),
        // Protocol 3 has no opcodes for sets.
        (b"\x80\x03(X\x05\0\0\0identq\0X\x03\0\0\0putq\x01cbuiltins\nset\nq\x02]q\x03(K\x01K\x02e\x85q\x04Rq\x05\x85q\x06}q\x07tq\x08.", "{1, 2}", b"\x8f(K\x01K\x02\x90"),
        (b"\x80\x03(X\x05\0\0\0identq\0X\x03\0\0\0putq\x01cbuiltins\nfrozenset\nq\x02]q\x03K\x07a\x85q\x04Rq\x05\x85q\x06}q\x07tq\x08.", "frozenset({7})", b"(K\x07\x91"),
    ] {
        let value = item(request).decode();
        assert_eq!(value.to_string(), repr);
        assert_eq!(value.to_pickled().as_bytes(), code);
        assert_eq!(value.to_pickled().decode(), value);
    }
}

#[test]
fn other_objects_stay_opaque_and_say_what_they_are() {
    for (request, name, code) in [
        (&b"\x80\x03(X\x05\0\0\0identq\0X\x03\0\0\0putq\x01cdatetime\ndate\nq\x02C\x04\x07\xe4\x01\x02q\x03\x85q\x04Rq\x05\x85q\x06}q\x07tq\x08."[..], "datetime.date", Some("GLOBAL datetime.date")),
        (b"\x80\x04\x955\0\0\0\0\0\0\0(\x8c\x05ident\x94\x8c\x03put\x94\x8c\x08datetime\x94\x8c\x04date\x94\x93\x94C\x04\x07\xe4\x01\x02\x94\x85\x94R\x94\x85\x94}\x94t\x94.", "datetime.date", Some("STACK_GLOBAL datetime.date")),
        (b"\x80\x04\x95>\0\0\0\0\0\0\0(\x8c\x05ident\x94\x8c\x03put\x94\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x93\x94)R\x94\x8c\x01a\x94K\x01s\x85\x94}\x94t\x94.", "collections.OrderedDict", Some("STACK_GLOBAL collections.OrderedDict")),
        (b"\x80\x05\x95\"\0\0\0\0\0\0\0(\x8c\x05ident\x94\x8c\x03put\x94\x96\x02\0\0\0\0\0\0\0xy\x94\x85\x94}\x94t\x94.", "bytearray", None),
    ] {
        let payload = item(request);
        assert_eq!(payload.decode(), Value::Opaque(payload.clone()));
        assert_eq!(payload.decode().to_string(), format!("<{name}>"));
        assert_eq!(payload.code().map(|code| code.to_string()).as_deref(), code);
    }
}

#[test]
fn objects_that_hold_themselves_are_taken_out_whole() {
    // l = []; l.append(l)
    let list = item(
        b"\x80\x04\x95\x1b\0\0\0\0\0\0\0(\x8c\x05ident\x94\x8c\x03put\x94]\x94h\x02a\x85\x94}\x94t\x94.",
    );
    assert_eq!(list.as_bytes(), b"]\x94h\0a");
    // t = ([],); t[0].append(t): the list comes first, then the tuple is fetched from the memo.
    let tuple = item(b"\x80\x04\x95 \0\0\0\0\0\0\0(\x8c\x05ident\x94\x8c\x03put\x94]\x94h\x02\x85\x94a0h\x03\x85\x94}\x94t\x94.");
    assert_eq!(tuple.as_bytes(), b"]\x94h\0\x85\x94a0h\x01");
    for (payload, name) in [(list, "list"), (tuple, "tuple")] {
        assert_eq!(payload.type_name(), name);
        assert_eq!(payload.decode(), Value::Opaque(payload.clone()));
    }
}

#[test]
fn items_of_put_many_are_independent_of_each_other() {
    // put_many([{'a': 1}, {'a': 2}, 'put_many'])
    let bytes = b"\x80\x04\x95-\0\0\0\0\0\0\0(\x8c\x01q\x94\x8c\x08put_many\x94]\x94(}\x94\x8c\x01a\x94K\x01s}\x94h\x04K\x02sh\x01e\x85\x94}\x94t\x94.";
    let mut walker = Walker::new();
    let (_, arguments) = request(&mut walker, bytes);
    let (kind, items) = walker.elements(bytes, arguments[0]).unwrap();
    assert_eq!(kind, Kind::List);
    let items = items.to_vec();
    let payloads: Vec<_> = (items.iter()).map(|&span| walker.extract(bytes, span).unwrap()).collect();
    assert_eq!(payloads[1].as_bytes(), b"}\x94\x8c\x01a\x94K\x02s");
    let values: Vec<_> = payloads.iter().map(|p| p.decode().to_string()).collect();
    assert_eq!(values, ["{'a': 1}", "{'a': 2}", "'put_many'"]);
}

#[test]
fn items_that_hold_what_holds_them_are_written_once() {
    // l = [1]; l.append(l): the second item is the list.
    let list = b"]\x94(K\x01h\0e.";
    // x = []; l = [x]; x.append(l): the item is x, and the list in it holds x, not a copy.
    let mutual = b"]\x94]\x94h\0aa.";
    // t = ([],); t[0].append(t); [t, t]: the second t is a reference into the first.
    let tuple = b"]\x94(]\x94h\x01\x85\x94a0h\x02h\x02e.";
    for (bytes, index, code) in [
        (&list[..], 1, &b"]\x94(K\x01h\0e"[..]),
        (mutual, 0, b"]\x94]\x94h\0aa0h\x01"),
        (tuple, 1, b"]\x94h\0\x85\x94a0h\x01"),
        // x as in `mutual`, but its pickler has not filed it.
        (b"]\x94]h\0aa.", 0, b"]\x94]h\0a\x94a0h\x01"),
    ] {
        let mut walker = Walker::new();
        let root = walker.walk(bytes).unwrap();
        let item = walker.elements(bytes, root).unwrap().1[index];
        assert_eq!(walker.extract(bytes, item).unwrap().as_bytes(), code);
    }
}

#[test]
fn a_state_setter_belongs_to_its_object() {
    // put(x, True), where x.__reduce__() is (A, (), [1], None, None, setter)
    let old =
        b"(Vq\np0\nVput\np1\n(cm\nA\np2\n(tRp3\ncm\nsetter\np4\ng3\n(lp5\nI1\na\x86R0I01\ntp6\n(dp7\ntp8\n.";
    let new = b"\x80\x03(X\x01\0\0\0qq\0X\x03\0\0\0putq\x01cm\nA\nq\x02)Rq\x03cm\nsetter\nq\x04h\x03]q\x05K\x01a\x86R0\x88\x86q\x06}q\x07tq\x08.";
    for (bytes, code) in [
        (&old[..], &b"cm\nA\n\x94(tR\x94cm\nsetter\n\x94h\x01(l\x94I1\na\x86R0"[..]),
        (new, b"cm\nA\n\x94)R\x94cm\nsetter\n\x94h\x01]\x94K\x01a\x86R0"),
    ] {
        let mut walker = Walker::new();
        let (_, arguments) = request(&mut walker, bytes);
        assert_eq!(walker.extract(bytes, arguments[0]).unwrap().as_bytes(), code);
        assert_eq!(walker.decode_span(bytes, arguments[1]), Ok(Value::Bool(true)));
    }
}

#[test]
fn what_is_thrown_away_last_ends_before_what_was_thrown_away_first() {
    // t = ('timeout', []); t[1].append(t); put(t, timeout=None): the keyword refers to the first item.
    let bytes = b"\x80\x04(\x8c\x01q\x94\x8c\x03put\x94\x8c\x07timeout\x94]\x94h\x02h\x03\x86\x94a00h\x04\x85\x94}\x94h\x02Nst\x94.";
    let mut walker = Walker::new();
    let (parts, arguments) = request(&mut walker, bytes);
    let keywords = walker.pairs(bytes, parts[3]).unwrap();
    assert_eq!(walker.text(bytes, keywords[0]), Some("timeout"));
    let code = b"\x8c\x07timeout\x94]\x94h\0h\x01\x86\x94a00h\x02";
    assert_eq!(walker.extract(bytes, arguments[0]).unwrap().as_bytes(), code);
}

#[test]
fn an_object_is_found_that_ends_before_those_that_were_complete_sooner() {
    // datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone.utc): its class, before the parts of its arguments.
    let bytes = b"\x80\x04\x8c\x08datetime\x94\x8c\x08datetime\x93C\n\x07\xe8\x02\x1d\0\0\0\0\0\0h\0\x8c\x08timezone\x93h\0\x8c\ttimedelta\x93K\0K\0K\0\x87R\x85R\x86R.";
    let instance = Pickled::from_pickle(bytes).unwrap().decode_instance().unwrap();
    assert_eq!((&*instance.module, &*instance.name), ("datetime", "datetime"));
    let Value::Opaque(zone) = &instance.args[1] else { panic!("{:?}", instance.args) };
    assert_eq!(zone.type_name(), "datetime.timezone");
}

#[test]
fn arguments_decode_and_keywords_come_in_pairs() {
    // get(True, timeout=0.5, block=False)
    let bytes = b"\x80\x04\x951\0\0\0\0\0\0\0(\x8c\x01q\x94\x8c\x03get\x94\x88\x85\x94}\x94(\x8c\x07timeout\x94G?\xe0\0\0\0\0\0\0\x8c\x05block\x94\x89ut\x94.";
    let mut walker = Walker::new();
    let (parts, arguments) = request(&mut walker, bytes);
    assert_eq!(walker.text(bytes, parts[0]), Some("q"));
    assert_eq!(walker.text(bytes, parts[1]), Some("get"));
    assert_eq!(walker.text(bytes, arguments[0]), None);
    assert_eq!(walker.decode_span(bytes, arguments[0]), Ok(Value::Bool(true)));
    let keywords = walker.decode_span(bytes, parts[3]).unwrap();
    assert_eq!(keywords.to_string(), "{'timeout': 0.5, 'block': False}");
    let (_, pairs) = walker.elements(bytes, parts[3]).unwrap();
    assert_eq!(walker.text(bytes, pairs[2]), Some("block"));
}

#[test]
fn elements_of_a_long_list_come_from_all_its_batches() {
    // Picklers append 1,000 items at a time, and a single one at the end without a mark.
    let mut bytes = b"\x80\x04]\x94".to_vec();
    for _ in 0..2 {
        bytes.push(b'(');
        bytes.extend_from_slice(&b"]\x94K\x07a".repeat(1000));
        bytes.push(b'e');
    }
    bytes.extend_from_slice(b"]\x94a.");
    let mut walker = Walker::new();
    let root = walker.walk(&bytes).unwrap();
    let (kind, items) = walker.elements(&bytes, root).unwrap();
    assert_eq!((kind, items.len()), (Kind::List, 2001));
    assert_eq!(items[1999].len(), 5);
    assert_eq!(items[2000].len(), 2);
}

#[test]
fn exceptions_and_tokens_are_read_apart() {
    let empty = item(b"\x80\x04\x95,\0\0\0\0\0\0\0(\x8c\x05ident\x94\x8c\x03put\x94\x8c\x06_queue\x94\x8c\x05Empty\x94\x93\x94)R\x94\x85\x94}\x94t\x94.");
    let instance = empty.decode_instance().unwrap();
    assert_eq!((&*instance.module, &*instance.name), ("_queue", "Empty"));
    assert_eq!((instance.args, instance.state), (vec![], None));
    for token in [
        item(b"\x80\x03(X\x05\0\0\0identq\0X\x03\0\0\0putq\x01cmultiprocessing.managers\nToken\nq\x02)\x81q\x03X\x05\0\0\0Queueq\x04X\x01\0\0\0hq\x05K\x05\x86q\x06X\x02\0\0\0idq\x07\x87q\x08b\x85q\x09}q\x0atq\x0b."),
        item(b"\x80\x04\x95V\0\0\0\0\0\0\0(\x8c\x05ident\x94\x8c\x03put\x94\x8c\x18multiprocessing.managers\x94\x8c\x05Token\x94\x93\x94)\x81\x94\x8c\x05Queue\x94\x8c\x01h\x94K\x05\x86\x94\x8c\x02id\x94\x87\x94b\x85\x94}\x94t\x94."),
    ] {
        let instance = token.decode_instance().unwrap();
        assert_eq!((&*instance.module, &*instance.name), ("multiprocessing.managers", "Token"));
        assert_eq!(instance.state, Some(Value::from(("Queue", ("h", 5), "id"))));
    }
    assert_eq!(Value::from(1).to_pickled().decode_instance(), None);
}

#[test]
fn text_opcodes_of_protocol_0_are_understood() {
    // [True, 1, 2**70, 'a\u20ac', 0.5, ('x', {'k': None})]
    let payload = Pickled::from_pickle(b"(lp0\nI01\naI1\naL1180591620717411303424L\naVa\\u20ac\np1\naF0.5\na(Vx\np2\n(dp3\nVk\np4\nNstp5\na.").unwrap();
    let repr = "[True, 1, 1180591620717411303424, 'a€', 0.5, ('x', {'k': None})]";
    assert_eq!(payload.decode().to_string(), repr);
}

#[cfg(feature = "objects")]
#[test]
fn text_that_is_no_utf8_stays_opaque() {
    let payload = Pickled::from_pickle(b"\x80\x04]\x8c\x03\xed\xa0\x80a.").unwrap(); // ['\ud800']
    assert_eq!(payload.decode().to_string(), "[<str>]");
}

#[test]
fn memo_numbers_with_gaps_and_redefinitions_are_those_of_python() {
    for (pickle, repr) in [
        (&b"\x80\x02]q\x05(X\x01\0\0\0aq\x09h\x09e."[..], "['a', 'a']"),
        (b"\x80\x02](K\x01q\0K\x02q\0h\0e.", "[1, 2, 2]"),
        (b"\x80\x04](K\x01r\x00\x28\x6b\xeeK\x02\x94h\x01j\x00\x28\x6b\xeee.", "[1, 2, 2, 1]"),
    ] {
        let payload = Pickled::from_pickle(pickle).unwrap();
        assert_eq!(payload.decode().to_string(), repr);
        assert_eq!(Pickled::from_pickle(&payload.to_pickle()), Ok(payload));
    }
}

#[test]
fn payloads_are_put_together_with_their_references_shifted() {
    let mut bytes = b"\x80\x04](".to_vec();
    let shared = Pickled::from_pickle(b"](]\x94h\0e.").unwrap();
    // 300 of them: the references pass the width of one byte.
    let mut memo = 0;
    for _ in 0..300 {
        memo += shared.append_to(&mut bytes, memo);
    }
    bytes.extend_from_slice(b"e.");
    assert_eq!(memo, 300);
    let all = Pickled::from_pickle(&bytes).unwrap();
    assert_eq!(all.decode(), Value::List(vec![Value::List(vec![Value::List(vec![]); 2]); 300]));
    let value = Value::from(vec![Value::from(shared.clone()), shared.into()]);
    assert_eq!(value.to_pickled().as_bytes(), b"](](]\x94h\0e](]\x94h\x01ee");
}

#[test]
fn large_payload_keeps_the_buffer_it_came_in() {
    let mut bytes = b"\x80\x04(\x8c\x01q\x94\x8c\x03put\x94B\0\0\x01\0".to_vec();
    bytes.resize(bytes.len() + 0x1_0000, b'x');
    bytes.extend_from_slice(b"\x95\x08\0\0\0\0\0\0\0\x94\x85\x94}\x94t\x94.");
    let mut walker = Walker::new();
    let (_, arguments) = request(&mut walker, &bytes);
    let copied = walker.extract(&bytes, arguments[0]).unwrap();
    bytes.shrink_to_fit();
    let message = bytes.as_ptr_range();
    let kept = walker.extract_owned(bytes.into(), 0, arguments[0]).unwrap();
    assert_eq!(kept, copied);
    assert_eq!(kept.len(), 5 + 0x1_0000 + 1);
    assert!(message.contains(&kept.as_bytes().as_ptr()), "it was not moved");
    assert_eq!(kept.clone(), copied);
}

#[test]
fn queued_text_of_64_bytes_costs_110_bytes_at_the_most() {
    let payload = Value::from("x".repeat(64)).to_pickled();
    assert!(size_of::<Pickled>() + payload.len() <= 110);
    fn shareable<T: Send + Sync>() {}
    shareable::<Pickled>();
}

#[cfg(feature = "objects")]
#[test]
fn an_instance_does_not_hide_the_dict_around_it() {
    let decode = |pickle: &[u8]| Pickled::from_pickle(pickle).unwrap().decode();
    // {'url': 'a', 'when': [date(2024, 2, 29)], 'url again': 'a'}, the keys and texts filed.
    let job = b"\x80\x04}\x94(\x8c\x03url\x94\x8c\x01a\x94\x8c\x04when\x94]\x94cdatetime\ndate\n\x94C\x04\x07\xe8\x02\x1d\x85\x94R\x94ah\x01h\x02u.";
    let value = decode(job);
    assert_eq!(value.to_string(), "{'url': 'a', 'when': [<datetime.date>], 'url': 'a'}");
    // Put again, it is what it was.
    assert_eq!(value.to_pickled().decode(), value);
    let Value::List(when) = value.get("when").unwrap() else { panic!("{value}") };
    let Value::Opaque(day) = &when[0] else { panic!("{value}") };
    assert_eq!(day.as_bytes(), b"cdatetime\ndate\n\x94C\x04\x07\xe8\x02\x1d\x85\x94R\x94");
    // Two parts with memo entries of their own; a set, as protocol 3 makes it, and what is below five levels.
    let two = decode(b"(]\x94h\0acbuiltins\nset\n]K\x01a\x85R]]]]]]cm\nA\n)R\x94aaaaaa)t.");
    assert_eq!(two.to_string(), "<tuple>");
    let two = decode(b"(cm\nA\n)R\x94h\0]cbuiltins\nset\n]K\x01a\x85Rat.");
    assert_eq!(two.to_string(), "(<m.A>, <m.A>, [{1}])");
    assert_eq!(two.to_pickled().decode(), two);
}

#[cfg(feature = "objects")]
#[test]
fn what_refers_to_what_holds_it_stays_whole() {
    for pickle in [
        // A list that holds itself and an instance; an instance that refers to the list that holds it.
        &b"]\x94(h\0cm\nA\n)Re."[..],
        b"]\x94cm\nA\nh\0\x85Ra.",
        // Lists in lists by reference, so many that there is no stack for them.
        &[
            &b"(cm\nA\n)R]\x94"[..],
            &(0..200_u8).flat_map(|n| [b']', 0x94, b'h', n, b'a']).collect::<Vec<_>>(),
            b"t.",
        ]
        .concat(),
    ] {
        let payload = Pickled::from_pickle(pickle).unwrap();
        assert_eq!(payload.decode(), Value::Opaque(payload));
    }
    // An instance that refers to itself hides nothing but itself.
    let list = Pickled::from_pickle(b"(K\x01cm\nA\n)R\x94h\0bt.").unwrap().decode();
    assert_eq!(list.to_string(), "(1, <m.A>)");
}
