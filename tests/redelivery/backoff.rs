//! What failed rests before it is given again.

use std::time::{Duration, Instant};

use netq::{Error, QueueProxy};

use crate::cli::{DEADLINE, Hub, wait_for};

fn nothing_waits(queue: &QueueProxy) -> bool {
    matches!(queue.try_get(), Err(Error::Empty))
}

#[test]
fn what_failed_rests_for_twice_as_long_each_time_and_holds_up_no_other_item() {
    let hub = Hub::start(&["q,redeliver,attempts=2,backoff=0.5"]);
    let queue = hub.queue("q");
    queue.put_all(0..2).unwrap();
    // At most so long, and up to a tenth less.
    for shortest in [0.45, 0.9] {
        let failed = Instant::now();
        assert!(queue.take_timeout(DEADLINE).unwrap().fail(None).unwrap());
        assert_eq!(hub.figure("q", "resting"), 1);
        if shortest < 0.9 {
            let other = queue.try_take().unwrap();
            assert_eq!(other.as_i64(), Some(1));
            other.done().unwrap();
        }
        assert!(nothing_waits(&queue));
        let again = queue.take_timeout(DEADLINE).unwrap();
        assert_eq!(again.as_i64(), Some(0));
        assert!(failed.elapsed() >= Duration::from_secs_f64(shortest), "{:?}", failed.elapsed());
        assert_eq!(hub.figure("q", "resting"), 0);
        assert!(again.give_back().unwrap(), "which counts nothing, and rests for no time");
    }
    assert!(queue.try_take().unwrap().fail(None).unwrap());
    assert_eq!(hub.rest("q_dead"), [0.into()]);
    queue.join().unwrap();
}

#[test]
fn what_its_worker_died_of_rests_as_what_a_worker_says_has_failed_unless_that_says_for_how_long() {
    let hub = Hub::start(&["q,redeliver,backoff=3600"]);
    let queue = hub.queue("q");
    queue.put_all(0..3).unwrap();
    let dies = hub.queue("q");
    assert_eq!(dies.get_many(2, None).unwrap(), [0.into(), 1.into()]);
    drop(dies);
    // It had not begun with the second, which is back in its place.
    wait_for("the return of both", || (hub.figure("q", "length") == 2).then_some(()));
    assert_eq!(hub.figure("q", "resting"), 1);
    let second = queue.try_take().unwrap();
    assert_eq!(second.as_i64(), Some(1));
    assert!(second.fail(Some(Duration::ZERO)).unwrap());
    let second = queue.try_take().unwrap();
    assert_eq!(second.as_i64(), Some(1));
    assert!(second.fail(None).unwrap());
    let third = queue.try_take().unwrap();
    assert_eq!(third.as_i64(), Some(2));
    third.done().unwrap();
    assert!(nothing_waits(&queue));
    assert_eq!((hub.figure("q", "resting"), hub.figure("q", "unfinished")), (2, 2));
}
