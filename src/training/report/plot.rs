//! Plots as inline SVG.
//!
//! numbers -> **plot** -> `page`
//!
//! Holds: no script, no font, no colour of its own but by class, so that the page's style says how they look.

use std::fmt::Write as _;

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 40.0;

/// From what to what an axis goes, where it has marks, and what it is called.
pub(super) struct Axis {
    pub(super) from: f64,
    pub(super) until: f64,
    pub(super) marks: Vec<(f64, String)>,
    pub(super) name: &'static str,
}

impl Axis {
    /// 0 to 1.
    pub(super) fn share(name: &'static str) -> Self {
        let marks = (0..=5).map(|fifth| (f64::from(fifth) / 5.0, format!("{:.1}", f64::from(fifth) / 5.0)));
        Self { from: 0.0, until: 1.0, marks: marks.collect(), name }
    }

    /// Powers of ten, as their logarithms.
    pub(super) fn powers(from: i32, until: i32, name: &'static str, label: impl Fn(i32) -> String) -> Self {
        let marks = (from..=until).map(|power| (f64::from(power), label(power))).collect();
        Self { from: f64::from(from), until: f64::from(until), marks, name }
    }

    fn at(&self, value: f64) -> f64 {
        let span = if self.until > self.from { self.until - self.from } else { 1.0 };
        ((value - self.from) / span).clamp(0.0, 1.0)
    }
}

/// A plot to draw into.
pub(super) struct Plot {
    svg: String,
    x: Axis,
    y: Axis,
}

impl Plot {
    pub(super) fn new(title: &str, x: Axis, y: Axis) -> Self {
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            super::page::escaped(title)
        );
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for (value, label) in &x.marks {
            let at = LEFT + x.at(*value) * (right - LEFT);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{bottom}\"/><text x=\"{at:.1}\" y=\"{:.1}\" \
                 text-anchor=\"middle\">{}</text>",
                bottom + 14.0,
                super::page::escaped(label)
            );
        }
        for (value, label) in &y.marks {
            let at = bottom - y.at(*value) * (bottom - TOP);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{}</text>",
                LEFT - 5.0,
                at + 4.0,
                super::page::escaped(label)
            );
        }
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text><text transform=\"translate(12,{:.1}) rotate(-90)\" \
             text-anchor=\"middle\">{}</text>",
            f64::midpoint(LEFT, right),
            HEIGHT - 6.0,
            x.name,
            f64::midpoint(TOP, bottom),
            y.name
        );
        Self { svg, x, y }
    }

    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        (LEFT + self.x.at(x) * (right - LEFT), bottom - self.y.at(y) * (bottom - TOP))
    }

    /// A line through points; NaN breaks it.
    pub(super) fn line(&mut self, class: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        let (mut path, mut pen) = (String::new(), 'M');
        for point in points {
            if point.0.is_nan() || point.1.is_nan() {
                pen = 'M';
                continue;
            }
            let (x, y) = self.place(point);
            let _ = write!(path, "{pen}{x:.1} {y:.1}");
            pen = 'L';
        }
        let _ = write!(self.svg, "<path class=\"line {class}\" d=\"{path}\"/>");
    }

    /// Marks at points.
    pub(super) fn dots(&mut self, class: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        for (x, y) in points.into_iter().filter(|(x, y)| !x.is_nan() && !y.is_nan()) {
            let (x, y) = self.place((x, y));
            let _ = write!(self.svg, "<circle class=\"dot {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>");
        }
    }

    /// A bar from the axis up to `top`, between two places.
    pub(super) fn bar(&mut self, class: &str, from: f64, until: f64, top: f64) {
        let ((left, y), (right, bottom)) = (self.place((from, top)), self.place((until, self.y.from)));
        let _ = write!(
            self.svg,
            "<rect class=\"bar {class}\" x=\"{left:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            (right - left).max(0.0),
            (bottom - y).max(0.0)
        );
    }

    pub(super) fn svg(mut self) -> String {
        self.svg.push_str("</svg>");
        self.svg
    }
}
