//! The figures in the text format that Prometheus reads.

use std::fmt::Write;

use crate::pickle::Value;
use crate::status::figures::{get, made, named, number, text};

/// A figure of `stat`, what it is called here, what kind it is, and what it means.
type Metric = (&'static str, &'static str, &'static str, &'static str);

const HUB: &[Metric] = &[
    ("uptime", "netq_uptime_seconds", "gauge", "Time since the hub was started."),
    ("connections", "netq_connections", "gauge", "Open connections that have shown the key."),
    ("max_connections", "netq_connections_limit", "gauge", "How many connections there may be."),
    ("strangers", "netq_strangers", "gauge", "Open connections that have not shown the key yet."),
    ("accepted", "netq_connections_accepted_total", "counter", "Connections accepted."),
    (
        "refused",
        "netq_connections_refused_total",
        "counter",
        "Connections refused, because there were too many.",
    ),
    ("evicted", "netq_strangers_evicted_total", "counter", "Strangers closed to make room for others."),
    (
        "failed_handshakes",
        "netq_handshakes_failed_total",
        "counter",
        "Connections that did not show the key.",
    ),
];

const QUEUE: &[Metric] = &[
    ("length", "netq_queue_items", "gauge", "Items that wait in the queue."),
    ("maxsize", "netq_queue_items_limit", "gauge", "How many items may wait; 0 is any number."),
    ("bytes", "netq_queue_bytes", "gauge", "Memory that the items take."),
    (
        "spilled_bytes",
        "netq_queue_spilled_bytes",
        "gauge",
        "What items take that wait on disk, not in memory.",
    ),
    ("max_bytes", "netq_queue_bytes_limit", "gauge", "Memory that the items may take."),
    ("out", "netq_queue_out_items", "gauge", "Items that clients have and may give back."),
    (
        "resting",
        "netq_queue_resting_items",
        "gauge",
        "Items that have failed and wait before they are given again.",
    ),
    ("unfinished", "netq_queue_unfinished_items", "gauge", "Items for which task_done() was not called yet."),
    ("waiting_getters", "netq_queue_waiting_getters", "gauge", "Clients that wait for an item."),
    ("waiting_putters", "netq_queue_waiting_putters", "gauge", "Clients that wait for room."),
    ("connections", "netq_queue_connections", "gauge", "Connections that use the queue."),
    ("puts", "netq_queue_puts_total", "counter", "Items put."),
    ("gets", "netq_queue_gets_total", "counter", "Items that have left the queue for good."),
    ("returned", "netq_queue_returns_total", "counter", "Items that came back from clients."),
];

const STORE: &[Metric] = &[
    ("bytes", "netq_store_bytes", "gauge", "Size of the store's files."),
    ("live_bytes", "netq_store_live_bytes", "gauge", "What the items in it take of that."),
    ("segments", "netq_store_segments", "gauge", "How many files those are."),
    ("syncs", "netq_store_syncs_total", "counter", "How often it was synced to disk."),
    ("bytes_written", "netq_store_written_bytes_total", "counter", "Bytes written to it."),
    (
        "oldest_unsynced",
        "netq_store_unsynced_seconds",
        "gauge",
        "Age of the oldest record that is not on disk; missing if all are.",
    ),
];

/// The whole answer.
pub(super) fn render(figures: &Value) -> String {
    let mut page = String::with_capacity(8 * 1024);
    let info = ("", "netq_info", "gauge", "The hub's version, as a label.");
    head(&mut page, info);
    line(&mut page, info.1, &[("version", text(figures, "version"))], 1.0);
    for (metrics, from) in [(HUB, Some(figures)), (STORE, get(figures, "store"))] {
        for &metric in metrics {
            if let Some(value) = from.and_then(|from| number(from, metric.0)) {
                head(&mut page, metric);
                line(&mut page, metric.1, &[], value);
            }
        }
    }
    let factories =
        ("", "netq_made_objects", "gauge", "Objects that factories have made and clients still use.");
    head(&mut page, factories);
    line(&mut page, factories.1, &[], made(figures) as f64);
    // All lines of a metric stand together.
    for &metric in QUEUE {
        let mut first = true;
        // Other objects may have figures of the same name.
        for object in named(figures).filter(|object| get(object, "puts").is_some()) {
            let Some(value) = number(object, metric.0) else { continue };
            if std::mem::take(&mut first) {
                head(&mut page, metric);
            }
            line(&mut page, metric.1, &[("queue", text(object, "name"))], value);
        }
    }
    page
}

fn head(page: &mut String, (_, name, kind, help): Metric) {
    let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn line(page: &mut String, name: &str, labels: &[(&str, &str)], value: f64) {
    *page += name;
    for (label, text) in labels {
        let _ = write!(page, "{{{label}=\"");
        for c in text.chars() {
            match c {
                '\\' => *page += "\\\\",
                '"' => *page += "\\\"",
                '\n' => *page += "\\n",
                _ => page.push(c),
            }
        }
        *page += "\"}";
    }
    let _ = writeln!(page, " {value}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::testing::dict;

    #[test]
    fn each_figure_has_its_line_and_its_meaning() {
        let tasks = dict(&[
            ("name", "ta\"s\\k\ns".into()),
            ("type", "ta\"s\\k\ns".into()),
            ("puts", 3.into()),
            ("length", 2.into()),
        ]);
        let made = dict(&[("name", "Queue-1-ab".into()), ("type", "Queue".into()), ("puts", 9.into())]);
        let other = dict(&[("name", "stop".into()), ("type", "stop".into()), ("length", 9.into())]);
        let figures = dict(&[
            ("version", "1.2.3".into()),
            ("uptime", 2.5.into()),
            ("store", dict(&[("bytes", 4096.into()), ("oldest_unsynced", Value::None)])),
            ("objects", Value::List(vec![made, other, tasks])),
        ]);
        let expected = "\
# HELP netq_info The hub's version, as a label.
# TYPE netq_info gauge
netq_info{version=\"1.2.3\"} 1
# HELP netq_uptime_seconds Time since the hub was started.
# TYPE netq_uptime_seconds gauge
netq_uptime_seconds 2.5
# HELP netq_store_bytes Size of the store's files.
# TYPE netq_store_bytes gauge
netq_store_bytes 4096
# HELP netq_made_objects Objects that factories have made and clients still use.
# TYPE netq_made_objects gauge
netq_made_objects 1
# HELP netq_queue_items Items that wait in the queue.
# TYPE netq_queue_items gauge
netq_queue_items{queue=\"ta\\\"s\\\\k\\ns\"} 2
# HELP netq_queue_puts_total Items put.
# TYPE netq_queue_puts_total counter
netq_queue_puts_total{queue=\"ta\\\"s\\\\k\\ns\"} 3
";
        assert_eq!(render(&figures), expected);
    }
}
