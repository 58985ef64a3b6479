//! The command line: flags, and what they mean together.
//!
//! Holds: what comes out is checked; every refusal names the flag or the setting.
//! Not here: doing anything.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};
use loadgen::{Schedule, Settings, World};

/// Records where neither events, days nor seconds are given.
const EVENTS_DEFAULT: u64 = 1_000_000;
const DAYS_DEFAULT: f64 = 30.0;
const DAY_S: f64 = 86_400.0;
/// See [`Settings::RATE_MIN`].
const RATES: &str = "0.000001 to 1,000,000,000";

/// Generates checkouts with fraud in them: the same seed gives the same bytes.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    generate: Args,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write events to a file, to standard output or to a stream (also without the word).
    Generate(Box<Args>),
    /// Read streams of decisions and tell what came of the events that were sent.
    #[cfg(feature = "aws")]
    Measure(Box<crate::kinesis::measure::MeasureArgs>),
}

/// Flags of `generate`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// shop, workload or handbook.
    #[arg(long, default_value = "shop", value_parser = World::from_str)]
    world: World,
    /// Records to write, repeats included, from 1 on [default: 1,000,000, or as many as --days or --seconds give].
    #[arg(long, value_name = "N")]
    events: Option<u64>,
    /// Stop after this long: of the schedule with a rate, else of wall time.
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    /// Seed of every random draw.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Wall-clock rate, events a second, or max.
    #[arg(long, default_value = "max", value_name = "R")]
    rate: String,
    /// Rate from FROM to TO events a second over SECONDS, then on at TO.
    #[arg(long, value_name = "FROM:TO:SECONDS", conflicts_with = "rate")]
    ramp: Option<String>,
    /// The rate times FACTOR in the last LENGTH seconds of EVERY seconds.
    #[arg(long, value_name = "EVERY:LENGTH:FACTOR")]
    burst: Option<String>,
    /// First instant of event time, RFC 3339 or "now" [default: 2026-01-01; handbook: 2018-04-01].
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// Days of event time over which the events are spread, up to 36,500 (handbook: whole ones, up to 3,650) [default: 30; handbook: 183].
    #[arg(long, value_name = "D", conflicts_with = "event_rate")]
    days: Option<f64>,
    /// Events a second of event time instead of --days, or "wall": as fast as they are sent.
    #[arg(long, value_name = "R")]
    event_rate: Option<String>,
    /// Customers [default: 200,000; handbook: 5,000].
    #[arg(long, value_name = "N")]
    customers: Option<u32>,
    /// Terminals (handbook) [default: 10,000].
    #[arg(long, value_name = "N")]
    terminals: Option<u32>,
    /// Exponent of the customers' popularity [default: 0.8].
    #[arg(long, value_name = "EXPONENT")]
    zipf: Option<f64>,
    /// Share of records that repeat an earlier one [default: 0.01].
    #[arg(long, value_name = "SHARE")]
    duplicates: Option<f64>,
    /// Longest disorder in ms [default: 2000].
    #[arg(long, value_name = "MS")]
    disorder_ms: Option<u32>,
    /// Share of events in attacks [default: shop 0.007, workload 0.005].
    #[arg(long, value_name = "SHARE")]
    attacks: Option<f64>,
    /// Share of events in flash sales (shop) [default: 0.02].
    #[arg(long, value_name = "SHARE")]
    flash_sales: Option<f64>,
    /// Days until a legitimate event is labelled, or "none" [default: 30; handbook: 7].
    #[arg(long, value_name = "DAYS")]
    legit_after_days: Option<String>,
    /// File of events, by its ending: .jsonl, .json, each also .gz or .zst; handbook also .csv and
    /// .parquet; - is standard output.
    #[arg(long, default_value = "-", value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// file (--output), or kinesis (--stream; in builds with the feature aws).
    #[arg(long, default_value = "file", value_parser = ["file", "kinesis"], value_name = "WHERE")]
    pub(crate) to: String,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    pub(crate) kinesis: crate::kinesis::put::KinesisArgs,
    /// File of labels: .jsonl, .csv or .parquet.
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,
    /// Report as JSON; - is standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Latency distribution for `HdrHistogram`'s plotters; - is standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) hgrm: Option<PathBuf>,
    /// Replace files that exist.
    #[arg(long)]
    pub(crate) force: bool,
    /// Tell on standard error how far it is, each second.
    #[arg(long)]
    pub(crate) progress: bool,
}

/// What was asked for is wrong, and nothing was done.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
pub(crate) struct Refusal(pub(crate) anyhow::Error);

/// What is to be done.
pub(crate) struct Job {
    pub(crate) settings: Settings,
    /// `None`: as fast as it can.
    pub(crate) schedule: Option<Schedule>,
    pub(crate) seconds: Option<f64>,
}

impl Cli {
    /// Of the command line; a number below zero is taken for a value, so that its flag can say what it accepts.
    pub(crate) fn of_process() -> Self {
        let matches = with_negative_numbers(Self::command()).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|why| why.exit())
    }

    pub(crate) fn into_command(self) -> Command {
        self.command.unwrap_or_else(|| Command::Generate(Box::new(self.generate)))
    }
}

impl Args {
    /// The flags as settings and schedule.
    pub(crate) fn job(&self) -> anyhow::Result<Job> {
        #[cfg(feature = "aws")]
        crate::kinesis::put::check(&self.kinesis, &self.to)?;
        ensure!(
            self.to == "file" || cfg!(feature = "aws"),
            "--to kinesis: this build is without the feature aws"
        );
        if let Some(seconds) = self.seconds {
            ensure!(
                seconds > 0.0 && seconds <= 1e9,
                "--seconds {seconds}: a number above 0, up to 1,000,000,000"
            );
        }
        let mut settings = Settings::new(self.world);
        settings.seed = self.seed;
        settings.customers = self.customers.unwrap_or(settings.customers);
        settings.terminals = self.terminals.unwrap_or(settings.terminals);
        settings.zipf = self.zipf.unwrap_or(settings.zipf);
        settings.duplicates = self.duplicates.unwrap_or(settings.duplicates);
        settings.disorder_ms = self.disorder_ms.unwrap_or(settings.disorder_ms);
        settings.attacks = self.attacks.unwrap_or(settings.attacks);
        settings.flash_sales = self.flash_sales.unwrap_or(settings.flash_sales);
        if let Some(text) = &self.start {
            settings.start_ms = start_ms(text)?;
        }
        if let Some(text) = &self.legit_after_days {
            settings.legit_after_days = match text.as_str() {
                "none" => None,
                days => {
                    Some(days.parse().with_context(|| format!("--legit-after-days {text}: days or none"))?)
                }
            };
        }
        let schedule = self.schedule()?;
        self.spread(&mut settings, schedule.as_ref())?;
        settings.check()?;
        Ok(Job { settings, schedule, seconds: self.seconds })
    }

    fn schedule(&self) -> anyhow::Result<Option<Schedule>> {
        let plain = match (&self.ramp, self.rate.as_str()) {
            (Some(ramp), _) => {
                let [from, to, seconds] = three("--ramp", ramp)?;
                Schedule::ramp(from, to, seconds)?
            }
            (None, "max") => {
                ensure!(self.burst.is_none(), "--burst needs --rate or --ramp: there is nothing to multiply");
                return Ok(None);
            }
            (None, rate) => Schedule::constant(number("--rate", rate)?)?,
        };
        Ok(Some(match &self.burst {
            Some(burst) => {
                let [every, length, factor] = three("--burst", burst)?;
                plain.with_burst(every, length, factor)?
            }
            None => plain,
        }))
    }

    /// How many records there are and how densely they lie in event time.
    fn spread(&self, settings: &mut Settings, schedule: Option<&Schedule>) -> anyhow::Result<()> {
        if let Some(days) = self.days {
            ensure!(days > 0.0 && days <= 36_500.0, "--days {days}: a number above 0, up to 36,500");
        }
        ensure!(self.events != Some(0), "--events 0: a number from 1 on");
        settings.events = self.events;
        if settings.world == World::Handbook {
            ensure!(self.event_rate.is_none(), "--event-rate: handbook makes what its customers pay a day");
            if let Some(days) = self.days {
                ensure!(days.fract() == 0.0, "--days {days}: handbook makes whole days");
                settings.days = days as u32;
            }
            return Ok(());
        }
        if let Some(text) = &self.event_rate {
            settings.rate = match (text.as_str(), schedule) {
                ("wall", Some(schedule)) => schedule.rate_at(1e8),
                ("wall", None) => bail!("--event-rate wall needs --rate or --ramp"),
                (text, _) => number("--event-rate", text)?,
            };
            ensure!(is_made(settings.rate), "--event-rate {text}: events a second of event time, {RATES}");
        } else if let Some(events) = self.events {
            let days = self.days.unwrap_or(DAYS_DEFAULT);
            settings.rate = events as f64 / (days * DAY_S);
            if self.days.is_none() {
                // Nobody asked for the days: one or two events lie in the first of them.
                settings.rate = settings.rate.max(Settings::RATE_MIN);
            }
            ensure!(
                is_made(settings.rate),
                "--events {events} --days {days}: events a second of event time, {RATES}, and this is {:.2e}",
                settings.rate
            );
        }
        if self.events.is_none() && self.seconds.is_none() {
            settings.events = Some(match self.days {
                Some(days) => (settings.rate * days * DAY_S).ceil() as u64,
                None => EVENTS_DEFAULT,
            });
        }
        Ok(())
    }
}

fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let takes_values = |argument: &Arg| argument.get_action().takes_values();
    command
        .mut_args(
            |argument| if takes_values(&argument) { argument.allow_negative_numbers(true) } else { argument },
        )
        .mut_subcommands(with_negative_numbers)
}

/// Whether events can lie so densely in event time.
fn is_made(rate: f64) -> bool {
    (Settings::RATE_MIN..=Settings::RATE_MAX).contains(&rate)
}

fn start_ms(text: &str) -> anyhow::Result<i64> {
    if text == "now" {
        return Ok(jiff::Timestamp::now().as_millisecond());
    }
    let instant = jiff::Timestamp::from_str(text).or_else(|_| {
        let day = jiff::civil::DateTime::from_str(text)?;
        jiff::tz::TimeZone::UTC.to_timestamp(day)
    });
    Ok(instant.with_context(|| format!("--start {text}: RFC 3339, a day (UTC) or now"))?.as_millisecond())
}

fn three(flag: &str, text: &str) -> anyhow::Result<[f64; 3]> {
    let numbers = text.split(':').map(|part| number(flag, part)).collect::<Result<Vec<_>, _>>()?;
    <[f64; 3]>::try_from(numbers).map_err(|_| anyhow::anyhow!("{flag} {text}: three numbers with : between"))
}

fn number(flag: &str, text: &str) -> anyhow::Result<f64> {
    let plain = text.replace(['_', ','], "");
    plain.parse().with_context(|| format!("{flag} {text}: a number"))
}
