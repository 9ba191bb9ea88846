//! `netq demo`.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;

use crate::support::{netq, run, wait_for};

#[test]
fn every_result_comes_back_exactly_once() {
    let text = run(netq(["demo", "--workers", "3", "--tasks", "25"])).ok();
    let results: Vec<&str> =
        text.lines().filter_map(|line| line.split_once("  (worker ")).map(|r| r.0).collect();
    let expected: BTreeSet<String> = (1..=25).map(|number| format!("ImageUrl_{number}--->success")).collect();
    assert_eq!(results.len(), 25, "{text}");
    assert_eq!(results.iter().map(|result| (*result).to_owned()).collect::<BTreeSet<_>>(), expected);
    assert!(text.lines().last().unwrap().starts_with("25 of 25 results, each exactly once"), "{text}");
}

#[test]
fn demo_without_tasks_ends_too() {
    assert!(run(netq(["demo", "--tasks", "0", "--workers", "1"])).ok().contains("0 of 0 results"));
}

#[test]
fn demo_that_is_killed_leaves_no_hub() {
    let mut demo = netq(["demo", "--tasks", "100000", "--workers", "2"]).spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
    let hub = lines.next().unwrap();
    let address = hub.rsplit(' ').next().unwrap().to_owned();
    // Workers are there once there is a result.
    lines.find(|line| line.contains("--->success")).unwrap();
    demo.kill().unwrap();
    demo.wait().unwrap();
    wait_for("the hub's end", || TcpStream::connect(&address).is_err().then_some(()));
}
