//! Objects of one's own whose methods wait, and read their arguments by Python's rules.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use netq::{Answer, BaseManager, Call, Exception, Monitor, Shared, Value, Wait};

use crate::{KEY, until};

/// `threading.Event`, with a word about its arguments.
struct Event(Monitor<bool>);

impl Shared for Event {
    fn exposed(&self) -> &[&'static str] {
        &["wait", "set", "limit", "float"]
    }

    fn call(&self, call: Call<'_>) -> Result<Answer, Exception> {
        let [a, b] = call.bind(["a", "b"], 0)?;
        match call.method() {
            "wait" => {
                let time = call.seconds(a, "timeout")?.map_or(Wait::forever(), Wait::at_most);
                let there = || !call.caller().is_gone();
                let is_set = self.0.wait(0, time.while_alive(&there), |set, _| set.then_some(()));
                Ok(is_set.is_ok().into())
            }
            "set" => {
                let mut set = self.0.lock();
                *set = true;
                set.wake(0, usize::MAX);
                Ok(Value::None.into())
            }
            "limit" => Ok(call.limit(a, b)?.map_or(Value::None, |limit| limit.as_secs_f64().into()).into()),
            _ => Ok(call.float(a)?.map_or(Value::None, Value::from).into()),
        }
    }
}

#[test]
fn an_object_of_one_s_own_waits_until_it_is_woken_or_its_caller_or_the_hub_is_gone() {
    let event = Arc::new(Event(Monitor::new(false)));
    let mut hub = BaseManager::new("127.0.0.1:0", KEY);
    hub.register("event", event.clone());
    hub.start().unwrap();
    let proxy = hub.proxy("event", &[]).unwrap();
    assert_eq!(proxy.call("wait", &[0.01.into()]).unwrap(), false.into());
    let negative = proxy.call("wait", &[(-1).into()]).unwrap_err().to_string();
    assert_eq!(negative, "ValueError: 'timeout' must be a non-negative number");

    let waiting = |count| until("so many wait", || event.0.lock().waiting(0) == count);
    thread::scope(|scope| {
        let waits = [(); 2].map(|()| {
            let proxy = hub.proxy("event", &[]).unwrap();
            scope.spawn(move || proxy.call("wait", &[]))
        });
        waiting(2);
        proxy.call("set", &[]).unwrap();
        waits.into_iter().for_each(|wait| assert_eq!(wait.join().unwrap().unwrap(), true.into()));
        *event.0.lock() = false;
    });
    *event.0.lock() = false;
    let proxy = hub.proxy("event", &[]).unwrap();
    thread::scope(|scope| {
        let wait = scope.spawn(move || proxy.call("wait", &[600.into()]));
        waiting(1);
        hub.shutdown().unwrap();
        waiting(0);
        wait.join().unwrap().unwrap_err();
    });
}

#[test]
fn numbers_and_times_are_read_as_python_reads_them() {
    let mut hub = BaseManager::new("127.0.0.1:0", KEY);
    hub.register("event", Arc::new(Event(Monitor::new(false))));
    hub.start().unwrap();
    let proxy = hub.proxy("event", &[]).unwrap();
    let limit = |args: &[Value]| proxy.call("limit", args).unwrap();
    assert_eq!(limit(&[]), Value::None);
    assert_eq!(limit(&[true.into(), Value::None]), Value::None);
    assert_eq!(limit(&[false.into(), (-1).into()]), 0.0.into());
    assert_eq!(limit(&["".into(), 5.into()]), 0.0.into());
    assert_eq!(limit(&[1.into(), true.into()]), 1.0.into());
    assert_eq!(limit(&[true.into(), 2.5.into()]), 2.5.into());
    assert_eq!(limit(&[true.into(), f64::INFINITY.into()]), Duration::MAX.as_secs_f64().into());
    let wrong = |method: &str, args: &[Value]| proxy.call(method, args).unwrap_err().to_string();
    let negative = "ValueError: 'timeout' must be a non-negative number";
    assert_eq!(wrong("limit", &[true.into(), (-0.5).into()]), negative);
    assert_eq!(wrong("limit", &[true.into(), f64::NAN.into()]), negative);
    assert!(
        wrong("limit", &[true.into(), "1".into()])
            .starts_with("TypeError: limit() needs a number of seconds")
    );
    let float = |value: Value| proxy.call("float", &[value]).unwrap();
    assert_eq!(
        (float(Value::None), float((-3).into()), float(true.into())),
        (Value::None, (-3.0).into(), 1.0.into())
    );
    assert!(wrong("float", &["1".into()]).starts_with("TypeError: float() needs a number, not str"));
}
