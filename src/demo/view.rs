//! The demo's terminal view: progress, speed, decisions, latency, and the last alerts with their reasons.
//!
//! board -> **view** -> terminal

use super::board::{Alert, Board, Now};
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Gauge, Paragraph, Wrap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Between two pictures.
const FRAME: Duration = Duration::from_millis(100);

/// Draws until the pipeline has ended; q, Esc and Ctrl-C ask it to.
pub(super) fn show(board: &Board, stop: &AtomicBool, is_over: impl Fn() -> bool) -> anyhow::Result<()> {
    let mut terminal = ratatui::try_init()?;
    let drawn = draw_until(&mut terminal, board, stop, is_over);
    ratatui::try_restore()?;
    drawn
}

fn draw_until(
    terminal: &mut ratatui::DefaultTerminal,
    board: &Board,
    stop: &AtomicBool,
    is_over: impl Fn() -> bool,
) -> anyhow::Result<()> {
    while !is_over() {
        let now = board.now();
        terminal.draw(|frame| draw(frame, board, &now))?;
        if event::poll(FRAME)?
            && let Event::Key(key) = event::read()?
        {
            let is_interrupt =
                key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            if is_interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                stop.store(true, Ordering::Relaxed);
            }
        }
    }
    Ok(())
}

fn draw(frame: &mut Frame<'_>, board: &Board, now: &Now) {
    let [head, bar, figures, alerts, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(5),
        Constraint::Min(4),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let bold = Style::new().add_modifier(Modifier::BOLD);
    frame.render_widget(
        Line::styled(" cartguard demo: a shop under attack, scored as it happens", bold),
        head,
    );
    let gauge = Gauge::default().ratio(board.done(now)).gauge_style(Style::new().fg(Color::Cyan));
    frame.render_widget(gauge, bar);
    frame.render_widget(Paragraph::new(figures_of(board, now)).block(Block::bordered()), figures);
    let title = " last alerts ";
    frame.render_widget(
        Paragraph::new(alerts_of(now, alerts.height as usize))
            .wrap(Wrap { trim: true })
            .block(Block::bordered().title(title)),
        alerts,
    );
    frame.render_widget(Line::styled(" q or Ctrl-C ends it", Style::new().fg(Color::DarkGray)), foot);
}

fn figures_of(board: &Board, now: &Now) -> Vec<Line<'static>> {
    let counts = &now.counts;
    let aim = board.rate.map_or("all it can".to_owned(), |rate| format!("{rate:.0} asked for"));
    let latency = now.latency.map_or(String::new(), |latency| {
        format!("p50 {:.0} us   p99 {:.0} us   p99.9 {:.0} us", latency.p50, latency.p99, latency.p99_9)
    });
    let [approve, review, decline] = counts.decisions;
    vec![
        Line::from(format!(
            "{} events   {:.0} events/s ({aim})   {:.0} s",
            counts.events,
            now.speed,
            board.elapsed().as_secs_f64()
        )),
        Line::from(latency),
        Line::from(vec![
            Span::raw(format!("approve {approve}   ")),
            Span::styled(format!("review {review}   "), Style::new().fg(Color::Yellow)),
            Span::styled(format!("decline {decline}"), Style::new().fg(Color::Red)),
            Span::raw(format!("   duplicates {}   rejects {}", counts.duplicates, counts.rejected())),
        ]),
    ]
}

/// The newest alerts first, as many as fit.
fn alerts_of(now: &Now, height: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for alert in now.alerts.iter().rev().filter_map(|line| Alert::read(line)) {
        if lines.len() + 2 > height {
            break;
        }
        let color = if alert.decision == "decline" { Color::Red } else { Color::Yellow };
        let score = alert.score.map_or(String::new(), |score| format!("{score:.3}"));
        lines.push(Line::from(vec![
            Span::styled(format!("{:8}", alert.decision), Style::new().fg(color)),
            Span::raw(format!("{score}  {}  {}  {}", alert.price(), alert.event_time, alert.event_id)),
        ]));
        for reason in alert.reasons.iter().take(3) {
            lines.push(Line::styled(format!("        {}", reason.text), Style::new().fg(Color::Gray)));
        }
    }
    lines
}
