//! Serving objects of one's own: what may be registered, and how methods get their arguments.

use std::sync::Arc;

use netq::{Answer, BaseManager, Call, Error, Exception, IntoShared, Methods, Shared, SharedQueue, Value};

use crate::KEY;

/// A manager on which this is registered.
fn with(register: impl FnOnce(&mut BaseManager)) -> BaseManager {
    let mut hub = BaseManager::new("127.0.0.1:0", KEY);
    register(&mut hub);
    hub
}

fn nothing() -> Methods {
    Methods::new().with("nothing", |_| Ok(Value::None.into()))
}

#[test]
fn mistakes_in_what_is_registered_are_errors_when_the_manager_starts() {
    let error = |register: &dyn Fn(&mut BaseManager)| match with(register).start() {
        Err(Error::Misuse(what)) => what,
        other => panic!("{other:?}"),
    };
    for (name, why) in [
        ("", "cannot be a method's name in Python"),
        ("task queue", "cannot be a method's name in Python"),
        ("2nd", "cannot be a method's name in Python"),
        ("class", "a keyword of Python"),
        ("connect", "a method of Python's managers"),
    ] {
        let refused = error(&|hub| hub.register(name, nothing()));
        assert!(refused.starts_with(&format!("cannot register '{name}': ")) && refused.contains(why));
        let refused = error(&|hub| hub.register_factory(name, |_| Ok(nothing())));
        assert!(refused.contains(why), "{refused}");
    }
    let twice = error(&|hub| {
        hub.register("tasks", SharedQueue::new(0));
        hub.register_factory("tasks", |_| Ok(nothing()));
        hub.register("lambda", nothing());
    });
    assert_eq!(twice, "cannot register 'tasks': there is one already");
    let method = error(&|hub| hub.register("it", nothing().with("do it", |_| Ok(Value::None.into()))));
    assert!(method.contains("'do it' cannot be a method's name"), "{method}");
    let method = error(&|hub| hub.register("it", nothing().with("nothing", |_| Ok(Value::None.into()))));
    assert_eq!(method, "cannot register 'it': 'nothing' is there twice");
}

#[test]
fn a_factory_that_makes_what_cannot_be_called_says_so_to_its_caller() {
    let mut hub =
        with(|hub| hub.register_factory("Thing", |_| Ok(Methods::new().with("a-b", |_| Ok(1.into())))));
    hub.start().unwrap();
    let error = hub.proxy("Thing", &[]).unwrap_err().to_string();
    assert!(error.contains("'a-b' cannot be a method's name in Python"), "{error}");
}

#[test]
fn an_empty_key_is_refused_on_both_sides() {
    let mut hub = BaseManager::new("127.0.0.1:0", b"");
    hub.register("tasks", SharedQueue::new(0));
    let misuse =
        |error: Error| assert!(matches!(&error, Error::Misuse(what) if what.contains("key is empty")));
    misuse(hub.start().unwrap_err());
    misuse(hub.get_server().unwrap_err());
    misuse(hub.connect().unwrap_err());
    misuse(hub.queue("tasks").unwrap_err());
    misuse(hub.dispatch("stat").unwrap_err());
}

#[test]
fn objects_are_registered_by_value_and_shared() {
    struct Echo;

    impl Shared for Echo {
        fn exposed(&self) -> &[&'static str] {
            &["echo"]
        }

        fn call(&self, call: Call<'_>) -> Result<Answer, Exception> {
            let ([what], [or]) = call.parameters(["what"], ["or_"])?;
            Ok(call.get::<Option<String>>(what)?.or(call.text(or)?).into())
        }
    }

    let mut hub = with(|hub| {
        hub.register("by_value", Echo);
        hub.register("shared", Arc::new(Echo));
        hub.register("any", Arc::new(Echo).into_shared());
        hub.register_factory("made", |_| Ok(Echo));
        hub.register_factory("made_and_shared", |_| Ok(Arc::new(Echo)));
    });
    hub.start().unwrap();
    for name in ["by_value", "shared", "any", "made", "made_and_shared"] {
        let proxy = hub.proxy(name, &[]).unwrap();
        assert_eq!(proxy.call("echo", &["x".into()]).unwrap(), "x".into());
        let or = proxy.call_with("echo", &[Value::None], &[("or_", "y".into())]);
        assert_eq!(or.unwrap(), "y".into());
        let error = |args: &[Value], kwargs: &[(&str, Value)]| {
            proxy.call_with("echo", args, kwargs).unwrap_err().to_string()
        };
        assert_eq!(error(&[], &[("or_", 1.into())]), "TypeError: echo() missing required argument: 'what'");
        assert_eq!(error(&["x".into(), 1.into()], &[]), "TypeError: echo(): expected str, got int");
        assert!(error(&["x".into()], &[("what", 1.into())]).contains("multiple values"));
        assert!(error(&["x".into(), Value::None], &[("or_", 1.into())]).contains("multiple values"));
        assert!(error(&["x".into()], &[("or", 1.into())]).contains("unexpected keyword argument 'or'"));
        assert!(error(&vec![Value::None; 3], &[]).contains("at most 2 positional arguments but 3"));
    }
}
