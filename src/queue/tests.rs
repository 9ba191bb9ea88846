//! What `BoundedQueue` promises without guards and many items at a time, as `queue.Queue` does.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::state::JOINERS;
use super::testing::{LONG, eventually, woken};
use super::{BoundedQueue, GetError, JoinError, Limits, PutError, TooManyDone, Wait};

const SHORT: Duration = Duration::from_millis(20);

#[test]
fn first_in_is_first_out() {
    let queue = BoundedQueue::new(0);
    (0..1000).for_each(|n| queue.try_put(n).unwrap());
    (0..1000).for_each(|n| assert_eq!(queue.try_get(), Ok(n)));
    assert_eq!(queue.try_get(), Err(GetError::Empty));
}

#[test]
fn a_full_queue_takes_no_more_and_hands_the_item_back() {
    let queue = BoundedQueue::new(2);
    queue.try_put("a".to_string()).unwrap();
    assert!(!queue.is_full());
    queue.try_put("b".to_string()).unwrap();
    assert!(queue.is_full());
    assert_eq!(queue.try_put("c".to_string()), Err(PutError::Full("c".to_string())));
    assert_eq!(queue.len(), 2);
}

#[test]
fn maxsize_0_is_never_full() {
    let queue = BoundedQueue::new(0);
    (0..10_000).for_each(|n| queue.try_put(n).unwrap());
    assert!(!queue.is_full());
}

#[test]
fn a_timeout_is_waited_for_and_not_much_longer() {
    let queue = BoundedQueue::new(1);
    let start = Instant::now();
    assert_eq!(queue.get(Wait::at_most(SHORT)), Err(GetError::Empty));
    queue.try_put(1).unwrap();
    assert_eq!(queue.put(2, Wait::at_most(SHORT)), Err(PutError::Full(2)));
    assert_eq!(queue.join(Wait::at_most(SHORT)), Err(JoinError::TimedOut));
    let there = Wait::at_most(SHORT).while_alive(&|| true);
    assert_eq!(queue.put(2, there), Err(PutError::Full(2)));
    assert!(start.elapsed() >= 4 * SHORT);
    assert!(start.elapsed() < LONG);
}

#[test]
fn a_put_waits_until_a_slot_is_free_and_a_get_until_an_item_is_there() {
    let queue = BoundedQueue::new(1);
    thread::scope(|scope| {
        let getter = scope.spawn(|| queue.get(Wait::forever()));
        eventually("asleep", || queue.stats().waiting_getters == 1);
        queue.try_put(1).unwrap();
        assert_eq!(getter.join().unwrap(), Ok(1));
        queue.try_put(2).unwrap();
        let putter = scope.spawn(|| queue.put(3, Wait::forever()));
        eventually("asleep", || queue.stats().waiting_putters == 1);
        assert_eq!(queue.try_get(), Ok(2));
        assert_eq!(putter.join().unwrap(), Ok(()));
    });
    let stats = queue.stats();
    assert_eq!((stats.waiting_getters, stats.waiting_putters, stats.len), (0, 0, 1));
}

#[test]
fn weights_bound_the_sum_and_an_item_over_the_bound_never_fits() {
    let limits = Limits { maxsize: 3, max_weight: Some(10), weigh: Vec::len };
    let queue = BoundedQueue::with_limits(limits);
    assert!(matches!(queue.put(vec![0u8; 11], Wait::forever()), Err(PutError::TooLarge(_))));
    queue.try_put(vec![0; 6]).unwrap();
    assert!(matches!(queue.try_put(vec![0; 5]), Err(PutError::Full(_))));
    queue.try_put(vec![0; 4]).unwrap();
    assert!(queue.is_full());
    assert_eq!((queue.stats().weight, queue.stats().max_weight), (10, Some(10)));
    queue.try_get().unwrap();
    assert_eq!(queue.stats().weight, 4);
    queue.try_put(vec![]).unwrap();
    queue.try_put(vec![]).unwrap();
    assert!(matches!(queue.try_put(vec![]), Err(PutError::Full(_))), "3 items");
}

#[test]
fn task_done_is_called_once_for_each_item_and_the_last_one_ends_every_join() {
    let queue = BoundedQueue::new(0);
    assert_eq!(queue.join(Wait::not_at_all()), Ok(()));
    queue.try_put(1).unwrap();
    queue.try_put(2).unwrap();
    queue.try_get().unwrap();
    queue.task_done().unwrap();
    thread::scope(|scope| {
        let joins = [(); 3].map(|()| scope.spawn(|| woken(|wait| queue.join(wait))));
        eventually("asleep", || queue.lock().waiting(JOINERS) == 3);
        queue.task_done().unwrap();
        assert!(joins.into_iter().all(|join| join.join().unwrap().is_ok()));
    });
    assert_eq!(queue.task_done(), Err(TooManyDone));
}

#[test]
fn a_join_whose_client_is_gone_ends() {
    let queue = BoundedQueue::new(0);
    queue.try_put(1).unwrap();
    let wait = Wait::at_most(SHORT).while_alive(&|| false);
    assert_eq!(queue.join(wait), Err(JoinError::Gone));
}

#[test]
fn after_a_shutdown_puts_fail_and_gets_drain_the_queue() {
    let queue = BoundedQueue::new(1);
    queue.try_put(1).unwrap();
    thread::scope(|scope| {
        let putter = scope.spawn(|| woken(|wait| queue.put(2, wait)));
        eventually("asleep", || queue.stats().waiting_putters == 1);
        queue.shutdown(false);
        assert_eq!(putter.join().unwrap(), Err(PutError::ShutDown(2)));
    });
    assert_eq!(queue.stats().unfinished, 1);
    assert_eq!(queue.get(Wait::forever()), Ok(1));
    assert_eq!(queue.get(Wait::forever()), Err(GetError::ShutDown));
    assert_eq!(queue.put(3, Wait::forever()), Err(PutError::ShutDown(3)));
}

#[test]
fn an_immediate_shutdown_drops_the_items_counts_them_done_and_wakes_all() {
    let queue = BoundedQueue::with_limits(Limits { maxsize: 2, max_weight: Some(9), weigh: |_| 2 });
    let empty = BoundedQueue::<i32>::new(0);
    let item = Arc::new(());
    queue.try_put(Arc::clone(&item)).unwrap();
    queue.try_put(Arc::clone(&item)).unwrap();
    thread::scope(|scope| {
        let putter = scope.spawn(|| woken(|wait| queue.put(Arc::new(()), wait)).is_err());
        let join = scope.spawn(|| woken(|wait| queue.join(wait)));
        let getters = [(); 3].map(|()| scope.spawn(|| woken(|wait| empty.get(wait))));
        eventually("asleep", || queue.stats().waiting_putters == 1);
        eventually("asleep", || queue.lock().waiting(JOINERS) == 1);
        eventually("asleep", || empty.stats().waiting_getters == 3);
        queue.shutdown(true);
        empty.shutdown(true);
        assert!(putter.join().unwrap());
        assert_eq!(join.join().unwrap(), Ok(()));
        assert!(getters.into_iter().all(|getter| getter.join().unwrap() == Err(GetError::ShutDown)));
    });
    assert_eq!(Arc::strong_count(&item), 1);
    let stats = queue.stats();
    assert_eq!((stats.len, stats.weight, stats.discarded, stats.unfinished), (0, 0, 2, 0));
    assert_eq!(queue.try_get(), Err(GetError::ShutDown));
}

#[test]
fn a_shutdown_stays_immediate_when_asked_again() {
    let queue = BoundedQueue::new(0);
    queue.try_put(1).unwrap();
    let taken = queue.take(Wait::not_at_all()).unwrap();
    queue.shutdown(true);
    queue.shutdown(false);
    drop(taken);
    assert!(queue.is_empty());
}
