//! `netq work`. Its commands here are those of a Unix shell.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use netq::{Pickled, Value};

use crate::support::{DEADLINE, Directory, Hub, Running, entry, wait_for};

/// `netq work tasks OPTION... --results results -- COMMAND...`
fn work(hub: &Hub, options: &[&str], command: &[&str]) -> Command {
    let words = ["work", "tasks", "--results", "results"].iter().chain(options).chain(&["--"]).chain(command);
    hub.command(&words.copied().collect::<Vec<_>>())
}

fn hub_with(tasks: &[&str]) -> Hub {
    let hub = Hub::start(&["tasks", "results"]);
    for task in tasks {
        hub.queue("tasks").put(*task).unwrap();
    }
    hub
}

/// The entries of a result, but for the time, which is checked to be one.
#[track_caller]
fn parts(result: &Value) -> [Value; 4] {
    assert!(matches!(entry(result, "seconds"), Some(Value::Float(seconds)) if *seconds >= 0.0), "{result}");
    ["task", "status", "stdout", "stderr"].map(|name| entry(result, name).expect(name).clone())
}

#[test]
fn command_runs_once_for_each_item_and_its_result_is_put() {
    let item = r#"a  b 'c' "d" $HOME; *"#;
    let hub = hub_with(&[item, "two"]);
    let script = r#"echo "<$1>"; echo "[$2]" >&2"#;
    let mut command = work(&hub, &["--idle-exit", "0.05"], &["sh", "-c", script, "sh", "{}", "x={}"]);
    assert_eq!(Running::start(&mut command).wait().ok(), "");
    let results = hub.rest("results");
    assert_eq!(results.len(), 2);
    let [stdout, stderr] = [format!("<{item}>\n"), format!("[x={item}]\n")];
    assert_eq!(parts(&results[0]), [item.into(), 0.into(), stdout.into(), stderr.into()]);
    assert_eq!(parts(&results[1])[2], "<two>\n".into());
    assert_eq!(hub.figure("tasks", "unfinished"), 0);
}

#[test]
fn first_failure_ends_the_work_after_its_result_was_put() {
    let hub = hub_with(&["0", "3", "0"]);
    let ended = Running::start(&mut work(&hub, &["-j", "2"], &["sh", "-c", "exit $0"])).wait();
    assert!(ended.error(1).contains("'sh' ended with status 3 for '3'"), "{ended:?}");
    let results = hub.rest("results");
    assert!(results.iter().any(|result| parts(result)[1] == 3.into()));
    // Whatever was taken has a result.
    assert_eq!(results.len() + hub.rest("tasks").len(), 3);
}

#[test]
fn failures_are_results_with_keep_going_and_are_counted_at_the_end() {
    let hub = hub_with(&["exit 3", "kill -9 $$", "printf '\\377'"]);
    let mut command = work(&hub, &["--keep-going", "--idle-exit=0.05"], &["sh", "-c"]);
    assert_eq!(Running::start(&mut command).wait().error(1), "netq: 2 of 3 commands failed");
    let results = hub.rest("results");
    assert_eq!(
        results.iter().map(|result| parts(result)[1].clone()).collect::<Vec<_>>(),
        [3, -9, 0].map(Value::from)
    );
    assert_eq!(parts(&results[2])[2], Value::Bytes(vec![0xff]));
}

#[test]
fn commands_run_at_the_same_time_with_j() {
    let hub = hub_with(&["1", "2", "3"]);
    let directory = Directory::new("same-time");
    // Each waits for the two others, for up to 10 seconds.
    let script = r#"touch "$1/$2"; i=0
        until [ -e "$1/1" ] && [ -e "$1/2" ] && [ -e "$1/3" ]; do
            i=$((i + 1)); [ $i -lt 1000 ] || exit 1; sleep 0.01
        done"#;
    let path = directory.file("");
    let mut command =
        work(&hub, &["-j", "3", "--idle-exit", "0.05"], &["sh", "-c", script, "sh", &path, "{}"]);
    Running::start(&mut command).wait().ok();
    assert_eq!(hub.rest("results").len(), 3);
}

#[test]
fn much_output_on_both_sides_is_kept() {
    let hub = hub_with(&["1000000"]);
    let script = "head -c $0 /dev/zero >&2; head -c $0 /dev/zero; head -c $0 /dev/zero >&2";
    Running::start(&mut work(&hub, &["--idle-exit", "0.05"], &["sh", "-c", script])).wait().ok();
    let [_, _, Value::Str(stdout), Value::Str(stderr)] = parts(&hub.take("results")) else { panic!() };
    assert_eq!((stdout.len(), stderr.len()), (1_000_000, 2_000_000));
}

#[test]
fn result_that_the_hub_refuses_is_put_without_its_output_and_says_so() {
    let limits =
        [("--max-message", "20K", "the hub's limit of 20480 bytes"), ("--memory", "40K", "--memory")];
    for (option, size, reason) in limits {
        let hub = Hub::start(&["tasks", "results", option, size]);
        for item in ["100000", "1"] {
            hub.queue("tasks").put(item).unwrap();
        }
        let options = ["--idle-exit", "0.5"];
        let ended = Running::start(&mut work(&hub, &options, &["head", "/dev/zero", "-c"])).wait();
        assert_eq!(ended.ok(), "");
        let results = hub.rest("results");
        let [task, status, stdout, Value::Str(stderr)] = parts(&results[0]) else { panic!() };
        assert_eq!([task, status, stdout], ["100000".into(), 0.into(), "".into()]);
        assert!(stderr.starts_with("netq: this result is without its output"), "{stderr}");
        assert!(stderr.contains(reason), "{stderr}");
        assert_eq!(parts(&results[1])[..3], ["1".into(), 0.into(), "\0".into()]);
        assert_eq!(hub.figure("tasks", "unfinished"), 0);
    }
}

#[test]
fn result_has_no_item_where_the_hub_has_no_room_for_it() {
    let hub = Hub::start(&["tasks", "results", "--max-message", "20K"]);
    // With the rest of a result it is over the limit.
    let item = "x".repeat(20_400);
    hub.queue("tasks").put(item).unwrap();
    Running::start(&mut work(&hub, &["--idle-exit", "0.5"], &["true"])).wait().ok();
    let [task, status, _, Value::Str(stderr)] = parts(&hub.take("results")) else { panic!() };
    assert_eq!([task, status], [Value::None, 0.into()]);
    assert!(stderr.starts_with("netq: this result is without the item and its output"), "{stderr}");
    assert_eq!(hub.figure("tasks", "unfinished"), 0);
}

#[test]
fn output_is_printed_where_there_is_no_results_queue() {
    let hub = hub_with(&["one", "two"]);
    let words = [
        "work",
        "tasks",
        "--idle-exit=0.05",
        "--keep-going",
        "--",
        "sh",
        "-c",
        "echo $0; echo oh >&2; exit 1",
    ];
    let ended = hub.run(&words);
    assert_eq!(
        ended.stderr,
        "oh\nnetq: 'sh' ended with status 1 for 'one'\noh\nnetq: 'sh' ended with status 1 for 'two'\n\
         netq: 2 of 2 commands failed\n"
    );
    assert_eq!((ended.code, ended.stdout), (Some(1), b"one\ntwo\n".to_vec()));
}

#[test]
fn item_that_is_no_text_is_passed_as_bytes_or_as_a_literal() {
    let hub = hub_with(&[]);
    let queue = hub.queue("tasks");
    queue.put(b"caf\xe9".to_vec()).unwrap();
    queue.put(("crop", 7)).unwrap();
    queue.put("a\0b").unwrap();
    let mut command = work(&hub, &["--idle-exit", "0.05", "--keep-going"], &["printf", "%s"]);
    Running::start(&mut command).wait().error(1);
    let results = hub.rest("results");
    assert_eq!(parts(&results[0])[2], Value::Bytes(b"caf\xe9".to_vec()));
    assert_eq!(parts(&results[1])[..3], [("crop", 7).into(), 0.into(), "('crop', 7)".into()]);
    let [_, status, _, Value::Str(stderr)] = parts(&results[2]) else { panic!() };
    assert_eq!(status, 127.into());
    assert!(stderr.contains("cannot run 'printf' for this item"), "{stderr}");
}

#[test]
fn object_that_cannot_be_an_argument_is_not_run_and_not_done() {
    let job = || Pickled::from_pickle(b"cjobs\nJob\n)\x81.").unwrap();
    let hub = Hub::start(&["tasks,redeliver,attempts=1", "plain", "results"]);
    let tasks = hub.queue("tasks");
    tasks.put(job()).unwrap();
    tasks.put("text").unwrap();
    let ended = Running::start(&mut work(&hub, &["--keep-going", "--idle-exit", "3"], &["echo"])).wait();
    assert_eq!(ended.error(1), "netq: 0 of 1 commands failed, and 2 times none was run for an item");
    let line = "netq: 'echo' was not run for <jobs.Job>, which cannot be an argument";
    assert!(ended.stderr.starts_with(line), "{ended:?}");
    assert_eq!(parts(&hub.rest("results")[0])[2], "text\n".into());
    assert_eq!(hub.rest("tasks_dead"), [Value::Opaque(job())]);
    // Where there are no dead letters it goes back, and whoever takes it stops.
    hub.queue("plain").put(job()).unwrap();
    let ended = hub.run(&["work", "plain", "--", "echo"]);
    assert!(ended.error(1).starts_with(line), "{ended:?}");
    assert_eq!(hub.queue("plain").get_timeout(DEADLINE).unwrap(), Value::Opaque(job()));
}

#[test]
fn script_without_an_interpreter_is_the_shell_s_and_other_files_stop_the_worker() {
    let hub = hub_with(&["it's"]);
    let directory = Directory::new("script");
    let script = |name: &str, text: &[u8]| {
        let path = directory.file(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    };
    let path = script("-x", b"echo \"$0: $1\"\n");
    Running::start(&mut work(&hub, &["--idle-exit", "0.1"], &[&path])).wait().ok();
    assert_eq!(parts(&hub.take("results"))[2], format!("{path}: it's\n").into());
    // As a program for another kind of machine.
    let path = script("other", b"\x7fELF\0\0");
    hub.queue("tasks").put("item").unwrap();
    let ended = Running::start(&mut work(&hub, &[], &[&path])).wait();
    assert!(ended.error(1).ends_with("it is neither a program for this kind of machine nor a script"));
    wait_for("its return", || (hub.figure("tasks", "out") == 0).then_some(()));
    assert_eq!(hub.rest("tasks"), ["item".into()]);
}

#[test]
fn command_that_cannot_run_takes_nothing() {
    let hub = hub_with(&["item"]);
    let ended = Running::start(&mut work(&hub, &[], &["no-such-program"])).wait();
    assert!(ended.error(2).contains("no directory of PATH has a program 'no-such-program'"), "{ended:?}");
    assert_eq!(hub.figure("tasks", "gets"), 0);
}

#[test]
fn worker_whose_program_has_gone_stops_and_its_item_goes_to_another() {
    let hub = Hub::start(&["tasks,redeliver", "results"]);
    let directory = Directory::new("gone");
    let path = directory.file("program");
    // Removes itself: what follows the first item cannot be started.
    std::fs::write(&path, "#!/bin/sh\nrm \"$0\"\n").unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    for item in ["one", "two", "three"] {
        hub.queue("tasks").put(item).unwrap();
    }
    let ended = Running::start(&mut work(&hub, &["--keep-going", "--idle-exit", "5"], &[&path])).wait();
    assert!(ended.error(1).starts_with(&format!("netq: cannot run '{path}': ")), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert_eq!(hub.rest("results").len(), 1);
    Running::start(&mut work(&hub, &["--idle-exit", "0.5"], &["echo"])).wait().ok();
    // In whichever order: where a queue puts what comes back is its own matter.
    let mut tasks: Vec<_> = hub.rest("results").iter().map(|result| parts(result)[0].to_string()).collect();
    tasks.sort();
    assert_eq!(tasks, ["'three'", "'two'"]);
    assert_eq!(hub.figure("tasks", "unfinished"), 0);
}

#[test]
fn workers_end_when_the_queue_is_shut_down() {
    let hub = hub_with(&["last"]);
    let running = Running::start(&mut work(&hub, &["-j", "2"], &["echo"]));
    assert_eq!(parts(&hub.take("results"))[0], "last".into());
    hub.queue("tasks").shutdown(false).unwrap();
    running.wait().ok();
}

#[test]
fn result_waits_for_a_hub_that_restarts() {
    let hub = hub_with(&["slow"]);
    let directory = Directory::new("restart");
    // Waits until it may end, for up to 10 seconds.
    let script = r#"touch "$1/started"; i=0
        until [ -e "$1/go" ]; do i=$((i + 1)); [ $i -lt 1000 ] || exit 1; sleep 0.01; done
        echo "$2 done"; touch "$1/ended""#;
    let path = directory.file("");
    let mut command = work(&hub, &["--idle-exit", "0.5"], &["sh", "-c", script, "sh", &path, "{}"]);
    let running = Running::start(&mut command);
    let there = |name: &str| wait_for(name, || directory.0.join(name).exists().then_some(()));
    there("started");
    let address = hub.address.clone();
    drop(hub);
    std::fs::write(directory.0.join("go"), "").unwrap();
    there("ended");
    let hub = Hub::start_at(&address, &["tasks", "results"]);
    assert_eq!(parts(&hub.take("results"))[2], "slow done\n".into());
    hub.queue("tasks").put("another").unwrap();
    assert_eq!(parts(&hub.take("results"))[2], "another done\n".into());
    running.wait().ok();
}

#[test]
fn waiting_workers_come_back_to_a_hub_that_was_restarted() {
    let hub = hub_with(&[]);
    let running = Running::start(&mut work(&hub, &["-j", "2"], &["echo"]));
    wait_for("waiting workers", || (hub.figure("tasks", "waiting_getters") == 2).then_some(()));
    let address = hub.address.clone();
    drop(hub);
    let hub = Hub::start_at(&address, &["tasks", "results"]);
    for item in ["a", "b", "c"] {
        hub.queue("tasks").put(item).unwrap();
        assert_eq!(parts(&hub.take("results"))[0], item.into());
    }
    hub.queue("tasks").shutdown(false).unwrap();
    let ended = running.wait();
    assert!(ended.stderr.contains("lost the hub") && ended.stderr.contains("back at the hub"), "{ended:?}");
    ended.ok();
}
