//! The page for people: one file, no script, nothing from elsewhere, and it loads itself again.

use std::fmt::Write;
use std::time::Instant;

use crate::pickle::Value;
use crate::status::figures::{get, made, named, number, sample, text};
use crate::status::history::{self, History};
use crate::units::{duration, natural_order, size};

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#5b6570;--line:#d5dae0;--page:#f6f7f9;--card:#fff;--graph:#2563a8;\
--full:#a4501c}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--dim:#9aa5b1;--line:#343b44;--page:#14171b;--card:#1d2228;\
--graph:#6cabef;--full:#eaa27a}}\
body{margin:0 auto;padding:1rem;max-width:80rem;font:15px/1.45 system-ui,sans-serif;color:var(--ink);\
background:var(--page)}\
h1{font-size:1.25rem;margin:0}h2{font-size:1rem;margin:0;overflow-wrap:anywhere}p{margin:.25rem 0}\
.dim{color:var(--dim)}main{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(17rem,100%),1fr));gap:.75rem;\
margin:1rem 0}\
section{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.75rem}\
.big{font-size:1.75rem;font-variant-numeric:tabular-nums}.full .big{color:var(--full)}\
svg{display:block;width:100%;height:3rem;margin:.25rem 0;fill:none;stroke:var(--graph);stroke-width:1.5}\
svg .base{stroke:var(--line)}svg .area{fill:var(--graph);stroke:none;opacity:.18}\
dl{display:grid;grid-template-columns:auto 1fr;gap:0 .75rem;margin:0}dt{color:var(--dim)}\
dd{margin:0;text-align:right;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}";

/// How often a browser loads the page again, in seconds.
const REFRESH: u32 = 10;

/// The size of a graph, in units of its own: a place for each time that is kept, and one for now.
const WIDTH: u64 = history::SAMPLES as u64 + 1;
const HEIGHT: u64 = 40;

/// The whole page.
pub(super) fn render(address: &str, figures: &Value, history: &History, now: Instant) -> String {
    let mut page = String::with_capacity(16 * 1024);
    let count = |name| number(figures, name).unwrap_or_default();
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <meta http-equiv=refresh content={REFRESH}><title>netq at {address}</title><style>{STYLE}</style>\n\
         <h1>netq at {address}</h1>\n<p class=dim>version {}, up {}; {} connections of at most {}, {} strangers; \
         {} objects made by factories</p>\n<main>\n",
        Escaped(text(figures, "version")),
        duration(count("uptime")),
        count("connections"),
        count("max_connections"),
        count("strangers"),
        made(figures),
        address = Escaped(address),
    );
    let mut objects: Vec<(usize, &Value)> = Vec::new();
    for (place, object) in named(figures).enumerate() {
        // They come in the order of their bytes, so that nearly all go to the end.
        let before =
            |(_, known): &(usize, &Value)| natural_order(text(known, "name"), text(object, "name")).is_le();
        let at = objects.iter().rposition(before).map_or(0, |at| at + 1);
        objects.insert(at, (place, object));
    }
    for (place, object) in objects {
        match get(object, "puts") {
            Some(_) => queue(&mut page, place, object, history, now),
            None => other(&mut page, object),
        }
    }
    page += "</main>\n<p class=dim>Depths during the last hour, rates during the last minute. For programs: \
             <a href=/metrics>/metrics</a>, <a href=/health>/health</a>.</p>\n</html>\n";
    page
}

fn queue(page: &mut String, place: usize, object: &Value, history: &History, now: Instant) {
    let count = |name| number(object, name).unwrap_or_default();
    let (length, maxsize) = (count("length"), count("maxsize"));
    let is_full = maxsize > 0.0 && length >= maxsize;
    let class = if is_full { "full" } else { "" };
    let name = Escaped(text(object, "name"));
    let _ = write!(
        page,
        "<section class=\"{class}\"><h2>{name}</h2><p><span class=big>{length}</span> <span class=dim>"
    );
    let _ = match maxsize {
        0.0 => write!(page, "items wait"),
        _ => write!(page, "of {maxsize} items wait{}", if is_full { ": full" } else { "" }),
    };
    *page += "</span></p>\n";
    graph(page, &history.lengths(place), length as u32);
    *page += "<dl>";
    let mut row = |what: &str, text: String| {
        let _ = write!(page, "<dt>{what}<dd>{}", Escaped(&text));
    };
    let (puts, gets) = history.rates(place, now, sample(object)).unzip();
    let rate = |rate: Option<f64>| {
        rate.map_or(String::new(), |rate| format!(", {}/s", (rate * 10.0).round() / 10.0))
    };
    row("put", format!("{}{}", count("puts"), rate(puts)));
    row("done", format!("{}{}", count("gets"), rate(gets)));
    // What there is none of is not worth its line, where there are many queues.
    for (name, what) in [
        ("out", "at clients"),
        ("resting", "resting"),
        ("returned", "came back"),
        ("waiting_getters", "wait for items"),
        ("waiting_putters", "wait for room"),
        ("connections", "connections"),
    ] {
        if count(name) > 0.0 {
            row(what, count(name).to_string());
        }
    }
    let bound =
        number(object, "max_bytes").map_or(String::new(), |bound| format!(" of {}", size(bound as u64)));
    row("memory", format!("{}{bound}", size(count("bytes") as u64)));
    *page += "</dl></section>\n";
}

/// What is not a queue: all that it says of itself.
fn other(page: &mut String, object: &Value) {
    let _ = write!(page, "<section><h2>{}</h2><dl>", Escaped(text(object, "name")));
    let Value::Dict(entries) = object else { return };
    for (name, value) in entries.iter().filter(|(name, _)| !matches!(name.as_str(), Some("name" | "type"))) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let _ = write!(page, "<dt>{}<dd>{}", Escaped(name.as_str().unwrap_or_default()), Escaped(&value));
    }
    *page += "</dl></section>\n";
}

/// The depth over the last hour, with the newest at the right.
fn graph(page: &mut String, lengths: &[u32], newest: u32) {
    let lengths = || lengths.iter().copied().chain([newest]);
    let most = lengths().max().unwrap_or_default();
    let start = WIDTH + 1 - lengths().count() as u64;
    let mut line = String::new();
    for (x, length) in (start..).zip(lengths()) {
        // A unit is left for the width of the line.
        let y = HEIGHT - 1 - u64::from(length) * (HEIGHT - 2) / u64::from(most.max(1));
        let _ = write!(line, "{}{x} {y}", if x == start { 'M' } else { 'L' });
    }
    let _ = writeln!(
        page,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=none role=img aria-label=\"at most {most} in \
         the last hour\"><title>at most {most} in the last hour</title><path class=base d=\"M0 {HEIGHT}H{WIDTH}\" \
         vector-effect=non-scaling-stroke /><path class=area d=\"{line}V{HEIGHT}H{start}Z\"/><path d=\"{line}\" \
         vector-effect=non-scaling-stroke /></svg>"
    );
}

/// A text in which nothing is taken for a mark of the page's.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c if c.is_control() => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::history::Sample;
    use crate::status::testing::dict;

    #[test]
    fn a_name_cannot_become_a_part_of_the_page() {
        let name = "<script>'\"&\u{1b}";
        let objects = vec![
            dict(&[("name", name.into()), ("type", name.into()), ("puts", 1.into())]),
            dict(&[("name", name.into()), ("type", name.into()), (name, name.into())]),
        ];
        let figures = dict(&[("version", name.into()), ("objects", Value::List(objects))]);
        let page = render(name, &figures, &History::default(), Instant::now());
        assert!(!page.contains("<script") && !page.contains('\u{1b}'), "{page}");
        assert_eq!(page.matches("&lt;script&gt;&#39;&quot;&amp;\u{fffd}").count(), 7, "{page}");
    }

    #[test]
    fn the_graph_ends_at_the_right_with_what_is_now() {
        let (history, now) = (History::default(), Instant::now());
        [0, 4].into_iter().for_each(|length| history.note(now, vec![Sample { length, ..Sample::default() }]));
        let mut page = String::new();
        graph(&mut page, &history.lengths(0), 2);
        assert!(page.contains("at most 4 in the last hour"), "{page}");
        assert!(page.contains("<path d=\"M119 39L120 1L121 20\""), "{page}");
    }

    #[test]
    fn a_full_queue_says_so() {
        let queue = |length: i64| {
            let entries = [
                ("name", "q".into()),
                ("type", "q".into()),
                ("puts", 9.into()),
                ("maxsize", 5.into()),
                ("length", length.into()),
            ];
            let figures = dict(&[("objects", Value::List(vec![dict(&entries)]))]);
            render("here", &figures, &History::default(), Instant::now())
        };
        assert!(queue(5).contains("of 5 items wait: full"));
        assert!(queue(4).contains("of 5 items wait</span>"));
    }
}
