//! What the ledger promises.

use super::*;
use crate::queue::Wait;
use crate::shared::DeadLetters;

fn queue_of(count: i64) -> Arc<BoundedQueue<Pickled>> {
    let queue = BoundedQueue::new(0);
    for number in 0..count {
        queue.try_put(Pickled::from(crate::Value::from(number))).unwrap();
    }
    queue
}

fn ledger_of(count: i64, policy: Redelivery) -> (Arc<BoundedQueue<Pickled>>, Arc<Ledger>) {
    let queue = queue_of(count);
    (queue.clone(), Arc::new(Ledger::new(queue, Some(policy))))
}

fn dead_letters(attempts: u32) -> (Arc<BoundedQueue<Pickled>>, Redelivery) {
    let dead = BoundedQueue::new(0);
    let dead_letters = Some(DeadLetters { attempts, queue: dead.clone() });
    (dead, Redelivery { dead_letters, ..Redelivery::default() })
}

/// Items that were got by a client, who has read the reply.
fn lend(ledger: &Arc<Ledger>, connection: u64, items: Vec<Taken<Pickled>>) -> Vec<Tag> {
    let (tags, mut loan) = ledger.lend(connection, items);
    loan.written();
    Box::new(loan).commit().unwrap();
    tags
}

fn take(queue: &Arc<BoundedQueue<Pickled>>) -> Vec<Taken<Pickled>> {
    vec![queue.take(Wait::not_at_all()).unwrap()]
}

fn rest(queue: &BoundedQueue<Pickled>) -> String {
    let mut items = Vec::new();
    while let Ok(item) = queue.try_get() {
        items.push(item.decode().to_string());
    }
    items.join(" ")
}

#[test]
fn what_is_not_done_when_its_connection_ends_goes_back_in_its_old_order() {
    let (queue, ledger) = ledger_of(5, Redelivery::default());
    for connection in [1, 2, 1, 2] {
        lend(&ledger, connection, take(&queue));
    }
    assert_eq!(ledger.done(1, 1), Some(1)); // 2
    assert_eq!(ledger.ended(2), 2);
    assert_eq!(ledger.ended(1), 1);
    assert_eq!(ledger.done(1, 1), None);
    assert_eq!(rest(&queue), "0 1 3 4");
}

#[test]
fn an_item_that_was_skipped_is_not_taken_for_done_and_comes_back_when_its_connection_ends() {
    let (queue, ledger) = ledger_of(3, Redelivery::default());
    lend(&ledger, 1, take(&queue)); // failed: no task_done()
    lend(&ledger, 1, take(&queue));
    assert_eq!(ledger.done(1, 1), Some(1));
    assert_eq!(ledger.done(1, 1), None, "it is not of the latest get");
    assert_eq!(ledger.ended(1), 1);
    assert_eq!(rest(&queue), "0 2");
}

#[test]
fn an_item_that_is_done_after_its_lease_is_done_wherever_it_is() {
    let policy = Redelivery { lease: Some(Duration::ZERO), ..Redelivery::default() };
    let (queue, ledger) = ledger_of(3, policy);
    lend(&ledger, 1, take(&queue));
    ledger.expire();
    assert_eq!(ledger.done(1, 1), Some(1), "it waits again");
    lend(&ledger, 1, take(&queue));
    ledger.expire();
    lend(&ledger, 2, take(&queue));
    assert_eq!(ledger.done(1, 1), Some(1), "it is at another client");
    assert_eq!(ledger.done(2, 1), Some(0), "who is late, and is not told so");
    assert_eq!((ledger.done(1, 1), ledger.done(2, 1)), (None, None));
    assert_eq!((ledger.ended(2), rest(&queue).as_str()), (0, "2"));
}

#[test]
fn what_a_client_has_skipped_or_lost_by_its_lease_leaves_nothing_behind() {
    let policy = Redelivery { lease: Some(Duration::ZERO), ..Redelivery::default() };
    let (queue, ledger) = ledger_of(1, policy);
    for _ in 0..100 {
        lend(&ledger, 1, take(&queue));
        ledger.expire();
    }
    assert_eq!(ledger.lock().counts(), [0, 1, 0]);
    assert_eq!(ledger.unfinished(1), 1);
}

#[test]
fn of_a_batch_only_the_item_that_was_begun_counts_an_attempt() {
    let (dead, policy) = dead_letters(1);
    let (queue, ledger) = ledger_of(4, policy);
    let take_all = |connection| {
        lend(&ledger, connection, queue.take_many(9, usize::MAX, Wait::not_at_all()).unwrap());
    };
    take_all(1);
    ledger.ended(1); // 0 was begun
    take_all(2);
    assert_eq!(ledger.done(2, 1), Some(1)); // 0
    ledger.ended(2); // 1 was begun
    take_all(3);
    ledger.ended(3); // 1 was begun again
    assert_eq!((rest(&queue), rest(&dead)), ("2 3".into(), "1".into()));
}

#[test]
fn a_reply_that_was_never_read_counts_no_attempt() {
    let (dead, policy) = dead_letters(0);
    let (queue, ledger) = ledger_of(2, policy);
    lend(&ledger, 1, take(&queue));
    drop(ledger.lend(1, take(&queue)));
    assert_eq!(queue.len(), 1, "back at once");
    assert_eq!(ledger.ended(1), 1);
    assert_eq!((rest(&queue), rest(&dead)), ("1".into(), "0".into()), "0 was read, and skipped");
}

#[test]
fn what_a_worker_skips_counts_an_attempt() {
    let (dead, policy) = dead_letters(0);
    let (queue, ledger) = ledger_of(2, policy);
    lend(&ledger, 1, take(&queue));
    lend(&ledger, 1, take(&queue));
    ledger.done(1, 1);
    ledger.ended(1);
    assert_eq!((rest(&queue), rest(&dead)), (String::new(), "0".into()));
}

#[test]
fn leases_end_one_after_the_other_and_not_before_their_time() {
    let lease = Duration::from_millis(40);
    let policy = Redelivery { lease: Some(lease), ..Redelivery::default() };
    let (queue, ledger) = ledger_of(3, policy);
    let start = Instant::now();
    for connection in 1..=3 {
        lend(&ledger, connection, take(&queue));
        std::thread::sleep(lease / 4);
    }
    ledger.done(1, 1);
    for left in (0..2).rev() {
        while queue.stats().out > left {
            ledger.expire();
            assert!(start.elapsed() < Duration::from_secs(20), "{left} left");
        }
        assert!(start.elapsed() >= lease + lease / 4);
    }
    assert_eq!(rest(&queue), "1 2");
    assert_eq!(ledger.lock().counts()[2], 0);
}

#[test]
fn several_are_done_at_once_or_none() {
    let (queue, ledger) = ledger_of(3, Redelivery::default());
    lend(&ledger, 1, queue.take_many(3, usize::MAX, Wait::not_at_all()).unwrap());
    assert_eq!((ledger.done(1, 4), ledger.done(1, usize::MAX), ledger.done(2, 1)), (None, None, None));
    assert_eq!((ledger.done(1, 2), ledger.done(1, 0), ledger.done(9, 0)), (Some(2), Some(0), Some(0)));
    ledger.ended(1);
    assert_eq!(rest(&queue), "2");
}

#[test]
fn an_item_that_comes_back_too_often_becomes_a_dead_letter() {
    let (dead, policy) = dead_letters(2);
    let (queue, ledger) = ledger_of(1, policy);
    for connection in 0..3 {
        assert!(dead.is_empty());
        lend(&ledger, connection, take(&queue));
        ledger.ended(connection);
    }
    assert_eq!((rest(&queue), rest(&dead)), (String::new(), "0".into()));
    assert_eq!(queue.stats().unfinished, 0);
}

#[test]
fn an_item_that_the_dead_letter_queue_refuses_is_not_lost() {
    let (dead, policy) = dead_letters(1);
    dead.shutdown(false);
    let (queue, ledger) = ledger_of(1, policy);
    for connection in 0..5 {
        lend(&ledger, connection, take(&queue));
        ledger.ended(connection);
    }
    assert_eq!((rest(&queue), queue.stats().unfinished), ("0".into(), 1));
}

#[test]
fn a_tag_says_which_item_is_done_whoever_has_it_and_only_once() {
    let (queue, ledger) = ledger_of(3, Redelivery { lease: Some(Duration::ZERO), ..Redelivery::default() });
    let first = lend(&ledger, 1, take(&queue));
    let second = lend(&ledger, 1, take(&queue));
    assert_eq!((ledger.finish(9, &second), ledger.finish(9, &second)), (1, 0), "from any connection");
    ledger.expire();
    assert_eq!(ledger.finish(1, &first), 1, "it waits again");
    assert_eq!(rest(&queue), "2");
}

#[test]
fn an_item_done_by_its_first_tag_is_not_what_a_plain_task_done_means() {
    let (queue, ledger) = ledger_of(2, Redelivery::default());
    let first = lend(&ledger, 1, take(&queue));
    assert_eq!(ledger.give_back(1, &first), 1);
    let mut both = take(&queue);
    both.extend(take(&queue));
    lend(&ledger, 1, both);
    assert_eq!(ledger.finish(1, &first), 1);
    assert_eq!(ledger.unfinished(1), 1);
    assert_eq!(ledger.done(1, 1), Some(1));
    assert_eq!((ledger.ended(1), rest(&queue)), (0, String::new()));
}

#[test]
fn a_tag_whose_delivery_has_ended_gives_nothing_back_and_renews_no_lease() {
    let (queue, ledger) = ledger_of(1, Redelivery::default());
    let old = lend(&ledger, 1, take(&queue));
    assert_eq!(ledger.ended(1), 1);
    let new = lend(&ledger, 2, take(&queue));
    assert_eq!((ledger.give_back(1, &old), ledger.fail(1, &old, None), ledger.touch(&old)), (0, 0, 0));
    assert_eq!((ledger.touch(&new), ledger.give_back(2, &new), ledger.touch(&new)), (1, 1, 0));
    assert_eq!(rest(&queue), "0");
}

#[test]
fn tags_of_another_queue_or_that_were_never_given_are_no_tags() {
    let (queue, ledger) = ledger_of(1, Redelivery::default());
    let tag = lend(&ledger, 1, take(&queue))[0];
    assert!(ledger.check(tag));
    for other in [Tag { run: !tag.run, ..tag }, Tag { delivery: 1, ..tag }] {
        assert!(!ledger.check(other));
    }
}

#[test]
fn an_item_that_is_given_back_counts_no_attempt_and_one_that_failed_does() {
    let (dead, policy) = dead_letters(1);
    let (queue, ledger) = ledger_of(1, policy);
    for _ in 0..3 {
        let tags = lend(&ledger, 1, take(&queue));
        assert_eq!(ledger.give_back(1, &tags), 1);
    }
    for _ in 0..2 {
        assert!(dead.is_empty());
        let tags = lend(&ledger, 1, take(&queue));
        assert_eq!(ledger.fail(1, &tags, None), 1);
    }
    assert_eq!((rest(&queue), rest(&dead), queue.stats().unfinished), (String::new(), "0".into(), 0));
}

#[test]
fn an_item_that_failed_rests_and_holds_nobody_up() {
    let (queue, ledger) = ledger_of(2, Redelivery::default());
    let tags = lend(&ledger, 1, take(&queue));
    assert_eq!(ledger.fail(1, &tags, Some(Duration::MAX)), 1);
    ledger.expire();
    assert_eq!((ledger.resting(), rest(&queue).as_str()), (1, "1"));
    ledger.wake_all();
    assert_eq!((ledger.resting(), queue.len()), (0, 1));

    let tags = lend(&ledger, 1, take(&queue));
    ledger.fail(1, &tags, Some(Duration::from_nanos(1)));
    ledger.expire();
    assert_eq!((ledger.resting(), rest(&queue).as_str()), (0, "0"), "it has rested");
}

#[test]
fn an_item_that_rests_can_be_done_after_all() {
    let (queue, ledger) = ledger_of(1, Redelivery::default());
    let tags = lend(&ledger, 1, take(&queue));
    ledger.fail(1, &tags, Some(Duration::MAX));
    assert_eq!((ledger.finish(1, &tags), ledger.resting()), (1, 0));
    assert_eq!(queue.stats().gets, 1);
}

#[test]
fn a_lease_counts_from_the_take_and_not_from_the_reply() {
    let (queue, ledger) = ledger_of(1, Redelivery { lease: Some(Duration::ZERO), ..Redelivery::default() });
    let (_, loan) = ledger.lend(1, take(&queue));
    ledger.expire();
    assert_eq!(
        (queue.len(), queue.take(Wait::not_at_all()).unwrap().attempts()),
        (1, 0),
        "nobody could begin"
    );
    drop(loan);
    assert_eq!(rest(&queue), "0", "and it comes back once");
}

#[test]
fn a_renewed_lease_begins_anew() {
    let lease = Duration::from_secs(60);
    let (queue, ledger) = ledger_of(2, Redelivery { lease: Some(lease), ..Redelivery::default() });
    let tags = [lend(&ledger, 1, take(&queue)), lend(&ledger, 1, take(&queue))].concat();
    let aged = Instant::now();
    tags.iter().for_each(|&tag| assert!(ledger.lock().renew(tag, Some(aged))));
    assert_eq!(ledger.touch(&tags[1..]), 1);
    ledger.expire();
    assert_eq!(rest(&queue), "0");
    assert_eq!(ledger.touch_all(1), 1);
}

#[test]
fn a_tag_and_a_plain_task_done_go_together() {
    let (queue, ledger) = ledger_of(4, Redelivery::default());
    let tags = lend(&ledger, 1, queue.take_many(3, usize::MAX, Wait::not_at_all()).unwrap());
    assert_eq!(ledger.finish(1, &tags[..1]), 1);
    assert_eq!((ledger.done(1, 1), ledger.unfinished(1)), (Some(1), 1), "the second, not the first again");
    assert_eq!(ledger.ended(1), 1);
    assert_eq!(rest(&queue), "2 3");
}

#[test]
fn what_failed_rests_as_the_queue_has_it_however_it_failed_unless_its_worker_says_how_long() {
    let minute = Duration::from_secs(60);
    let policy = Redelivery { backoff: Some(minute), ..Redelivery::default() };
    let (queue, ledger) = ledger_of(4, policy);
    let tags = [(); 3].map(|()| lend(&ledger, 1, take(&queue))[0]);
    ledger.fail(1, &tags[..1], None);
    ledger.fail(1, &tags[1..2], Some(Duration::ZERO));
    assert_eq!(ledger.ended(1), 1, "it dies with the third");
    ledger.expire();
    assert_eq!((ledger.resting(), rest(&queue).as_str()), (2, "1 3"));
    let due = |ledger: &Ledger, after| ledger.lock().first_due(Instant::now() + after).is_some();
    assert!(!due(&ledger, minute * 8 / 10) && due(&ledger, minute));
    ledger.wake_all();
    assert_eq!(queue.take(Wait::not_at_all()).unwrap().attempts(), 1);
}

#[test]
fn items_come_back_by_themselves_in_the_order_of_their_times_and_those_that_do_not_are_not_looked_at() {
    let (queue, ledger) = ledger_of(200, Redelivery::default());
    let tags: Vec<Tag> = (0..200).map(|_| lend(&ledger, 1, take(&queue))[0]).collect();
    // Some rest, in a mixed order.
    let hours = |number: u64| 1 + number % 50;
    let within = |hours: u64| Duration::from_secs(3600 * hours);
    for number in (0..100).map(|n| n * 37 % 100) {
        assert_eq!(ledger.fail(1, &tags[number..=number], Some(within(hours(number as u64)))), 1);
    }
    assert_eq!(ledger.lock().counts(), [200, 1, 100]);
    assert_eq!((ledger.finish(1, &tags[..10]), ledger.lock().counts()), (10, [190, 1, 90]), "done after all");
    let half = Instant::now() + Duration::from_secs(1800);
    let due = |after| {
        let mut state = ledger.lock();
        let due = std::iter::from_fn(|| {
            let tag = state.first_due(half + within(after))?;
            state.remove(tag.item).map(|_| tag.item)
        });
        let items: Vec<u64> = due.collect();
        assert!(items.is_sorted_by_key(|&number| hours(number)), "{items:?}");
        items
    };
    assert_eq!(due(0), [0; 0]);
    let mut first = due(22);
    first.sort_unstable();
    assert_eq!(first, (10..22).chain(50..72).collect::<Vec<u64>>());
    assert_eq!(due(50).len(), 90 - 34);
    assert_eq!(ledger.lock().counts(), [100, 1, 0]);
    assert_eq!(ledger.resting(), 0);
}
