//! Plots, drawn by hand: bars for the throughput table, lines for growth.

use std::fmt::Write;

use crate::growth::Growth;
use crate::report::{bytes, figure};
use crate::rows::Row;

const COLOURS: [&str; 8] =
    ["#8c8c8c", "#d9541e", "#3b6fb5", "#8fb1dc", "#b5403b", "#4f8f4f", "#7d5ba6", "#c9a227"];

struct Svg {
    body: String,
    width: f64,
    height: f64,
}

impl Svg {
    fn new(width: f64) -> Self {
        Self { body: String::new(), width, height: 0.0 }
    }

    fn text(&mut self, (x, y): (f64, f64), style: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        // Writing to a string cannot fail.
        let _ = writeln!(self.body, r#"<text x="{x:.1}" y="{y:.1}" {style}>{text}</text>"#);
        self.height = self.height.max(y + 10.0);
    }

    fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), colour: &str) {
        let _ = writeln!(
            self.body,
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{colour}"/>"#
        );
    }

    fn path(&mut self, points: &[(f64, f64)], style: &str) {
        let points: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(self.body, r#"<polyline points="{}" fill="none" {style}/>"#, points.join(" "));
    }

    fn finish(self) -> String {
        let Self { body, width, height } = self;
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}" font-family="sans-serif" font-size="12" fill="#222">
<rect width="100%" height="100%" fill="#fff"/>
{body}</svg>
"##
        )
    }
}

const TITLE: &str = r#"font-size="14" font-weight="bold""#;
const RIGHT: &str = r#"text-anchor="end""#;
const MIDDLE: &str = r#"text-anchor="middle""#;

/// A group of bars for each row: the longer, the more items per second; the label has the row's unit.
pub fn bars(rows: &[Row], names: &[String]) -> String {
    let (left, longest_bar, step) = (110.0, 440.0, 17.0);
    let mut svg = Svg::new(720.0);
    let mut y = 26.0;
    for row in rows.iter().filter(|row| !row.figures.is_empty()) {
        svg.text((16.0, y), TITLE, row.work);
        y += 8.0;
        let longest = row.figures.iter().map(|figure| figure.rate).fold(0.0, f64::max);
        for measured in &row.figures {
            let length = longest_bar * measured.rate / longest;
            let bold = if measured.server == "netq" { r#"font-weight="bold""# } else { "" };
            svg.text((left - 8.0, y + 12.0), &format!("{RIGHT} {bold}"), &measured.server);
            svg.rect((left, y + 2.0), (length.max(1.0), step - 4.0), colour(names, &measured.server));
            svg.text((left + length + 6.0, y + 12.0), bold, &row.unit.show(measured.rate));
            y += step;
        }
        y += 28.0;
    }
    svg.finish()
}

fn colour(names: &[String], name: &str) -> &'static str {
    COLOURS[names.iter().position(|known| known == name).unwrap_or(0) % COLOURS.len()]
}

/// A panel for each quantity that grows, with logarithmic axes: a straight line to the upper right is cost
/// in proportion, a level one is no growth.
pub fn lines(panels: &[Growth], names: &[String]) -> String {
    let mut svg = Svg::new(16.0 + 400.0 * panels.len() as f64);
    for (number, growth) in panels.iter().enumerate() {
        panel(&mut svg, growth, names, 70.0 + 400.0 * number as f64);
    }
    svg.finish()
}

/// A logarithmic axis from one power of ten to another.
struct Axis {
    from: i32,
    to: i32,
    start: f64,
    end: f64,
}

impl Axis {
    fn new(values: impl Iterator<Item = f64>, start: f64, end: f64) -> Self {
        let (mut from, mut to) = (i32::MAX, i32::MIN);
        for value in values.map(f64::log10) {
            // A power of ten may come out a little above itself.
            (from, to) = (from.min((value + 1e-9).floor() as i32), to.max((value - 1e-9).ceil() as i32));
        }
        Self { from, to: to.max(from + 1), start, end }
    }

    fn at(&self, value: f64) -> f64 {
        let part = (value.log10() - f64::from(self.from)) / f64::from(self.to - self.from);
        self.start + part * (self.end - self.start)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        (self.from..=self.to).map(|power| 10f64.powi(power))
    }
}

fn panel(svg: &mut Svg, growth: &Growth, names: &[String], left: f64) {
    let (top, height, width) = (50.0, 240.0, 310.0);
    let points = || growth.lines.iter().flat_map(|line| &line.points);
    if points().next().is_none() {
        return;
    }
    let x_axis = Axis::new(points().map(|point| point.0), left, left + width);
    let y_axis = Axis::new(points().map(|point| point.1), top + height, top);
    svg.text((left, 22.0), TITLE, growth.title);
    svg.text((left, 40.0), "", growth.y);
    let grid = r##"stroke="#ddd""##;
    for tick in x_axis.ticks() {
        let x = x_axis.at(tick);
        svg.path(&[(x, top), (x, top + height)], grid);
        let label = if growth.x.contains("size") { bytes(tick) } else { short(tick) };
        svg.text((x, top + height + 16.0), &format!(r#"{MIDDLE} font-size="10""#), &label);
    }
    for tick in y_axis.ticks() {
        let y = y_axis.at(tick);
        svg.path(&[(left, y), (left + width, y)], grid);
        svg.text((left - 5.0, y + 4.0), &format!(r#"{RIGHT} font-size="10""#), &short(tick));
    }
    svg.text((left + width / 2.0, top + height + 34.0), MIDDLE, growth.x);
    for (number, line) in growth.lines.iter().enumerate() {
        let known = names.contains(&line.server);
        let colour = if known { colour(names, &line.server) } else { COLOURS[1 + number] };
        let width = if line.server.starts_with("netq") { 3.0 } else { 1.5 };
        let points: Vec<_> = line.points.iter().map(|&(x, y)| (x_axis.at(x), y_axis.at(y))).collect();
        svg.path(&points, &format!(r#"stroke="{colour}" stroke-width="{width}""#));
        for &(x, y) in &points {
            svg.rect((x - 2.5, y - 2.5), (5.0, 5.0), colour);
        }
        // The legend, below, in two columns.
        let at = (left + 150.0 * (number % 2) as f64, top + height + 54.0 + 17.0 * (number / 2) as f64);
        svg.rect((at.0, at.1 - 9.0), (10.0, 10.0), colour);
        svg.text((at.0 + 15.0, at.1), "", &line.server);
    }
}

fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => {
            format!("{} M", figure(value / 1e6).trim_end_matches(['0']).trim_end_matches('.'))
        }
        value => figure(value).trim_end_matches(".00").trim_end_matches(".0").to_owned(),
    }
}
