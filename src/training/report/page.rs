//! The page.
//!
//! `Report` -> **page** (`plot`) -> HTML
//!
//! Holds: one file, no script, nothing fetched; every text from outside is escaped.

use super::plot::{Axis, Plot};
use super::{ModelReport, Report, SCENARIO, shown};
use crate::training::shown as time_shown;
use std::fmt::Write as _;

/// Features shown of the importance.
const FEATURES: usize = 25;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:1040px;margin:2rem auto;padding:0 1rem;color:#1c1e21;background:#fff}\
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;margin:.5rem 0}\
td,th{padding:.2rem .7rem .2rem 0;text-align:right;font-variant-numeric:tabular-nums;border-bottom:1px solid #8883}\
td:first-child,th:first-child{text-align:left}.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(420px,1fr));gap:1rem}\
figure{margin:0}figcaption{font-weight:600;margin-bottom:.2rem}svg{width:100%;height:auto}svg text{font-size:11px;fill:currentColor}\
.grid{stroke:#8883;stroke-width:1}.line{fill:none;stroke-width:2}.m0{stroke:#0b65c2}.m1{stroke:#c2570b}.ideal{stroke:#888;stroke-dasharray:4 4}\
.dot.m0{fill:#0b65c2}.dot.m1{fill:#c2570b}.bar{stroke:none}.bar.m0{fill:#0b65c2}.bar.fraud{fill:#c0392b}.bar.other{fill:#7f9fb5}\
.key{display:inline-block;width:.8em;height:.8em;margin-right:.3em}\
@media(prefers-color-scheme:dark){body{color:#e4e6e8;background:#16181b}.m0{stroke:#5aa9f5}.m1{stroke:#f0995a}.dot.m0,.bar.m0{fill:#5aa9f5}.dot.m1{fill:#f0995a}}";

/// The page of a report.
pub(crate) fn html(report: &Report) -> Vec<u8> {
    let title = escaped(&report.title);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style><h1>{title}</h1><table>"
    );
    for (what, value) in &report.about {
        let _ = write!(
            page,
            "<tr><td>{}</td><td style=\"text-align:left\">{}</td></tr>",
            escaped(what),
            escaped(value)
        );
    }
    page.push_str("</table>");
    if report.models.len() > 1 {
        for (at, model) in report.models.iter().enumerate() {
            let colour = ["#0b65c2", "#c2570b"][at.min(1)];
            let _ = write!(
                page,
                "<span class=\"key\" style=\"background:{colour}\"></span>{} &nbsp; ",
                escaped(&model.name)
            );
        }
    }
    metrics(report, &mut page);
    page.push_str("<h2>Plots</h2><div class=\"plots\">");
    figure(&mut page, "Precision and recall", precision_recall(report));
    figure(&mut page, "Calibration: fraud seen for scores said", calibration(report));
    for model in &report.models {
        figure(&mut page, &format!("Scores, {}", model.name), histogram(model));
    }
    figure(&mut page, "By week: average precision, and recall at review (dots)", weekly(report));
    page.push_str("</div>");
    for model in &report.models {
        details(model, &mut page);
    }
    page.push_str("</html>\n");
    page.into_bytes()
}

fn metrics(report: &Report, page: &mut String) {
    page.push_str("<h2>Metrics, with 95 % intervals over days</h2><table><tr><th></th>");
    for model in &report.models {
        let _ = write!(page, "<th>{}</th>", escaped(&model.name));
    }
    page.push_str(if report.differences.is_empty() { "</tr>" } else { "<th>difference</th></tr>" });
    let Some(first) = report.models.first() else { return };
    for (at, (name, _)) in first.judgement.estimates.iter().enumerate() {
        let _ = write!(page, "<tr><td>{}</td>", escaped(name));
        for model in &report.models {
            let _ = write!(page, "<td>{}</td>", shown(model.judgement.estimates[at].1));
        }
        if let Some(difference) = report.differences.get(at) {
            let _ = write!(page, "<td>{}</td>", shown(difference.difference));
        }
        page.push_str("</tr>");
    }
    for (name, of) in [
        ("money caught", (|model| model.judgement.money_caught) as fn(&ModelReport) -> f64),
        ("money lost", |model| model.judgement.money_lost),
        ("review_at", |model| model.review_at),
        ("decline_at", |model| model.decline_at),
    ] {
        let _ = write!(page, "<tr><td>{name}</td>");
        for model in &report.models {
            let value = of(model);
            let _ = if value >= 10.0 {
                write!(page, "<td>{value:.2}</td>")
            } else {
                write!(page, "<td>{value:.6}</td>")
            };
        }
        page.push_str("</tr>");
    }
    page.push_str("</table>");
}

fn figure(page: &mut String, caption: &str, svg: String) {
    let _ = write!(page, "<figure><figcaption>{}</figcaption>{svg}</figure>", escaped(caption));
}

fn class(at: usize) -> &'static str {
    ["m0", "m1"][at.min(1)]
}

fn precision_recall(report: &Report) -> String {
    let mut plot = Plot::new("precision over recall", Axis::share("recall"), Axis::share("precision"));
    for (at, model) in report.models.iter().enumerate() {
        plot.line(class(at), model.judgement.curve.iter().map(|point| (point.recall, point.precision)));
    }
    plot.svg()
}

fn calibration(report: &Report) -> String {
    let label = |power: i32| match power {
        0 => "1".to_owned(),
        power => format!("{}", 10f64.powi(power)),
    };
    let axis = |name| Axis::powers(-5, 0, name, label);
    let mut plot = Plot::new("share of fraud over score", axis("mean score"), axis("share of fraud"));
    plot.line("ideal", [(-5.0, -5.0), (0.0, 0.0)]);
    for (at, model) in report.models.iter().enumerate() {
        let bins = model.judgement.calibration.iter().filter(|bin| bin.frauds > 0);
        let points: Vec<(f64, f64)> = bins.map(|bin| (bin.said.log10(), bin.seen.log10())).collect();
        plot.line(class(at), points.iter().copied());
        plot.dots(class(at), points);
    }
    plot.svg()
}

fn histogram(model: &ModelReport) -> String {
    let height = |count: u64| if count > 0 { (count as f64).log10() + 0.1 } else { 0.0 };
    let most = model.scores.iter().map(|bin| height(bin.others.max(bin.frauds))).fold(1.0, f64::max);
    let marks = [-9, -6, -3, 0, 3, 6, 9]
        .map(|log_odds| {
            let score = 1.0 / (1.0 + (-f64::from(log_odds)).exp());
            (f64::from(log_odds), if score < 0.01 { format!("{score:.4}") } else { format!("{score:.3}") })
        })
        .to_vec();
    let x = Axis { from: -12.0, until: 12.0, marks, name: "score (steps of one in log odds)" };
    let y = Axis::powers(0, most.ceil() as i32, "events", |power| format!("{}", 10f64.powi(power)));
    let mut plot = Plot::new("histogram of scores", x, y);
    for bin in &model.scores {
        let from = f64::from(bin.log_odds_from);
        plot.bar("other", from + 0.05, from + 0.5, height(bin.others));
        plot.bar("fraud", from + 0.5, from + 0.95, height(bin.frauds));
    }
    plot.svg()
}

fn weekly(report: &Report) -> String {
    let weeks = report.models.iter().map(|model| model.judgement.weeks.len()).max().unwrap_or(0);
    let marks =
        (0..weeks).step_by(weeks.div_ceil(10).max(1)).map(|week| (week as f64, format!("{}", week + 1)));
    let x = Axis {
        from: 0.0,
        until: weeks.saturating_sub(1).max(1) as f64,
        marks: marks.collect(),
        name: "week",
    };
    let mut plot = Plot::new("metrics by week", x, Axis::share(""));
    for (at, model) in report.models.iter().enumerate() {
        let weeks = || model.judgement.weeks.iter().enumerate();
        plot.line(class(at), weeks().map(|(week, of)| (week as f64, of.average_precision)));
        plot.dots(class(at), weeks().map(|(week, of)| (week as f64, of.review_recall)));
    }
    plot.svg()
}

/// Tables of one model.
fn details(model: &ModelReport, page: &mut String) {
    let name = escaped(&model.name);
    if !model.importance.is_empty() {
        let _ = write!(page, "<h2>{name}: what it leans on</h2><table>");
        let most = model.importance.first().map_or(1.0, |(_, share)| share.max(f64::MIN_POSITIVE));
        for (feature, share) in model.importance.iter().take(FEATURES) {
            let _ = write!(
                page,
                "<tr><td>{}</td><td>{:.2} %</td><td style=\"text-align:left\"><svg viewBox=\"0 0 200 10\" style=\"width:200px\">\
                 <rect class=\"bar m0\" width=\"{:.1}\" height=\"10\"/></svg></td></tr>",
                escaped(feature),
                share * 100.0,
                share / most * 200.0
            );
        }
        page.push_str("</table>");
    }
    scenarios(model, &name, page);
    let _ = write!(
        page,
        "<h2>{name}: calibration</h2><table><tr><th>scores</th><th>events</th><th>frauds</th><th>said</th><th>seen</th></tr>"
    );
    for bin in &model.judgement.calibration {
        let _ = write!(
            page,
            "<tr><td>{} to {}</td><td>{}</td><td>{}</td><td>{:.5}</td><td>{:.5}</td></tr>",
            bin.from, bin.until, bin.events, bin.frauds, bin.said, bin.seen
        );
    }
    let _ = write!(
        page,
        "</table><h2>{name}: by week</h2><table><tr><th>from</th><th>events</th><th>frauds</th><th>AUC</th><th>average \
         precision</th><th>review precision</th><th>review recall</th><th>money caught</th><th>money lost</th></tr>"
    );
    for week in &model.judgement.weeks {
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{:.4}</td><td>{:.4}</td><td>{:.4}</td><td>{:.4}</td><td>{:.2}</td><td>{:.2}</td></tr>",
            time_shown(week.from_ms),
            week.events,
            week.frauds,
            week.auc,
            week.average_precision,
            week.review_precision,
            week.review_recall,
            week.money_caught,
            week.money_lost
        );
    }
    page.push_str("</table>");
}

/// How soon each kind of fraud is found.
fn scenarios(model: &ModelReport, name: &str, page: &mut String) {
    if model.scenarios.is_empty() {
        return;
    }
    let _ = write!(page, "<h2>{name}: by kind of fraud</h2><table><tr><th></th>");
    for (column, _) in SCENARIO {
        let _ = write!(page, "<th>{column}</th>");
    }
    for of in &model.scenarios {
        let _ = write!(page, "</tr><tr><td>{}</td>", escaped(&of.kind));
        for (_, cell) in SCENARIO {
            let _ = write!(page, "<td>{}</td>", cell(of));
        }
    }
    page.push_str(
        "</tr></table><p>An attack is found at its first event that is reviewed or declined; events and money before are what came of \
         the attacks that were found before they were.</p>",
    );
}

/// As text between tags and in attributes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            character => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn text_from_outside_is_no_markup() {
        assert_eq!(escaped("a<b>&\"c\""), "a&lt;b&gt;&amp;&quot;c&quot;");
    }
}
