//! `cc-relay plan`: what a configuration will carry. It knows arguments and files; what comes of them is
//! `relay_plan`'s.

mod estate;
mod progress;

use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use relay_plan::recording::{Bad, Unreadable};
use relay_plan::report::Difference;
use relay_plan::{Assumed, CLAUDE_CODE, Dice, Forecast, Question, Recording, Replay, Report, Workload};

use self::estate::Planned;
use self::progress::Progress;
use crate::cli::Invocation;
use crate::cmd::duration;
use crate::report::{self, Exit, Explained, Failure, Outcome};

/// Foresee how much a configuration carries, how long calls wait, what it costs and which limit to raise first
#[derive(clap::Args)]
pub(crate) struct Plan {
    /// Play a recording of `serve --record` again
    #[arg(long, value_name = "FILE", conflicts_with_all = ["agents", "profile", "length", "model"])]
    workload: Option<PathBuf>,

    /// So many sessions work at once
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    agents: u64,

    /// What the sessions are like: claude-code
    #[arg(long, value_name = "NAME", default_value = CLAUDE_CODE.name, value_parser = [CLAUDE_CODE.name])]
    profile: String,

    /// The sessions work for so long, such as 30m or 8h; at most 168h, and 3360 hours of all sessions together
    #[arg(long = "for", value_name = "DURATION", default_value = "1h", value_parser = length)]
    length: Duration,

    /// The model that the sessions ask for
    #[arg(long, value_name = "MODEL", default_value = relay_plan::workload::ANY_MODEL, value_parser = NonEmptyStringValueParser::new())]
    model: String,

    /// A full bucket of a limit holds what this time adds
    #[arg(long, value_name = "DURATION", default_value = "6s", value_parser = length)]
    burst: Duration,

    /// Requests a minute where nothing is configured; 0 for no limit [default: Start tier at Anthropic, elsewhere none]
    #[arg(long, value_name = "N")]
    assume_rpm: Option<u64>,

    /// The same of uncached input tokens
    #[arg(long, value_name = "N")]
    assume_itpm: Option<u64>,

    /// The same of output tokens
    #[arg(long, value_name = "N")]
    assume_otpm: Option<u64>,

    /// All chance comes from this number: the same number, the same plan
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Compare with what another configuration makes of the same workload
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    /// Draw the run over time into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// The longest time that is foreseen: a week, which is as long as the longest windows of plans.
const LONGEST: Duration = Duration::from_hours(168);

/// So much time of all sessions together is foreseen within minutes: that of twenty sessions in a week.
const MOST: Duration = Duration::from_hours(20 * 168);

fn length(text: &str) -> Result<Duration, String> {
    duration::at_most(text, LONGEST)
}

/// More than can be foreseen within minutes.
#[derive(Debug, thiserror::Error)]
#[error(
    "{agents} sessions for {} are {} hours of sessions, and at most {} are foreseen within minutes",
    duration::shown(*length),
    agents.saturating_mul(length.as_secs()).div_ceil(3600),
    MOST.as_secs() / 3600
)]
struct TooMuch {
    agents: u64,
    length: Duration,
}

impl Explained for TooMuch {
    fn hint(&self) -> Option<String> {
        let longest = duration::shown(MOST / u32::try_from(self.agents).ok()?);
        Some(format!(
            "with so many sessions `--for {longest}` is the longest, and most often less tells as much"
        ))
    }

    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

/// What stands in the way of a plan.
#[derive(Debug, thiserror::Error)]
enum Unplannable {
    /// The recording is not there, or cannot be read.
    #[error("cannot read the recording `{}`", .0.display())]
    Unread(PathBuf, #[source] io::Error),
    /// The file is something else.
    #[error("cannot use `{}` as a recording", .0.display())]
    NoRecording(PathBuf, #[source] Unreadable),
    /// Nothing in it was answered.
    #[error("there is no call in `{}` that could be played again", .0.display())]
    Empty(PathBuf),
    /// There is nobody to ask.
    #[error("no provider is enabled in {0}")]
    Nobody(String),
    /// The picture cannot be written.
    #[error("cannot write the picture `{}`", .0.display())]
    Undrawn(PathBuf, #[source] io::Error),
}

impl Explained for Unplannable {
    fn hint(&self) -> Option<String> {
        let words = match self {
            Self::Unread(..) | Self::NoRecording(..) => "`cc-relay serve --record FILE` writes one",
            Self::Empty(_) => "let a relay that records answer something first",
            Self::Nobody(_) => "set `enabled: true` at one of them",
            Self::Undrawn(..) => return None,
        };
        Some(words.to_owned())
    }
}

impl Plan {
    pub(crate) fn run(self, invocation: &Invocation) -> Outcome {
        self.look_at_length()?;
        let rates = [self.assume_rpm, self.assume_itpm, self.assume_otpm];
        let assumed = Assumed { rates, burst: self.burst };
        let find = |file: Option<&Path>| Planned::find(file, &invocation.environment, &assumed);
        let this = find(invocation.config.as_deref())?;
        let other = self.against.as_deref().map(|file| find(Some(file))).transpose()?;
        let (workload, notes) = self.workload()?;
        let report = self.foresee(&this, &workload, &notes)?;
        let other = other.map(|other| self.foresee(&other, &workload, &notes)).transpose()?;
        if let Some(file) = &self.svg {
            std::fs::write(file, report.svg()).map_err(|cause| Unplannable::Undrawn(file.clone(), cause))?;
        }
        report::print(&self.shown(&report, other.as_ref()))?;
        Ok(Exit::Done)
    }

    /// Whoever asks for more would wait for hours, and for memory.
    fn look_at_length(&self) -> Result<(), TooMuch> {
        let &Self { agents, length, .. } = self;
        let most = u32::try_from(agents).ok().and_then(|agents| MOST.checked_div(agents));
        let recorded = self.workload.is_some();
        if recorded || most.is_some_and(|most| length <= most) {
            Ok(())
        } else {
            Err(TooMuch { agents, length })
        }
    }

    fn shown(&self, report: &Report, other: Option<&Report>) -> String {
        let difference = other.map(|after| Difference { before: report, after });
        if !self.json {
            return difference.map_or_else(|| report.to_string(), |both| format!("{report}\n{both}"));
        }
        let mut json = report.json();
        if let (Some(both), Some(after)) = (difference, other) {
            json["against"] = after.json();
            json["difference"] = both.json();
        }
        format!("{json:#}\n")
    }

    /// What is asked, and what is to be said of it.
    fn workload(&self) -> Result<(Workload, Vec<String>), Failure> {
        let Some(file) = &self.workload else {
            let dice = Dice::seeded(self.seed);
            let workload = CLAUDE_CODE.workload(self.agents, &self.model, self.length, dice);
            return Ok((workload, Vec::new()));
        };
        let opened = std::fs::File::open(file).map_err(|cause| Unplannable::Unread(file.clone(), cause))?;
        let recording = Recording::read(BufReader::new(opened)).map_err(|cause| match cause {
            Unreadable::Io(cause) => Unplannable::Unread(file.clone(), cause),
            cause => Unplannable::NoRecording(file.clone(), cause),
        })?;
        let Replay { workload, left } = Replay::of(&recording, &file.display().to_string());
        if workload.arrivals.is_empty() {
            return Err(Unplannable::Empty(file.clone()).into());
        }
        let bad = |bad: &Bad| format!("{}:{}: this line is left out: {}", file.display(), bad.line, bad.what);
        let mut notes: Vec<String> = recording.bad.iter().map(bad).collect();
        let counts = [
            (recording.worse, "more line is left out", "more lines are left out"),
            (
                recording.dropped,
                "call is missing: the disk was too slow when it was recorded",
                "calls are missing: the disk was too slow when they were recorded",
            ),
            (
                left.failed,
                "call is left out: it had failed, and not for want of room",
                "calls are left out: they had failed, and not for want of room",
            ),
            (
                left.retried,
                "call is left out: it was refused, and counts where its client tried again",
                "calls are left out: they were refused, and count where their client tried again",
            ),
        ];
        notes.extend(counts.iter().filter(|(n, ..)| *n > 0).map(|(n, one, many)| {
            let words = if *n == 1 { one } else { many };
            format!("{n} {words}")
        }));
        Ok((workload, notes))
    }

    fn foresee(&self, planned: &Planned, workload: &Workload, notes: &[String]) -> Result<Report, Failure> {
        if planned.estate.accounts.is_empty() {
            return Err(Unplannable::Nobody(planned.name.clone()).into());
        }
        let progress = Progress::new(&planned.name, workload.lasts);
        let watch = |run: usize, runs: usize, at: Duration| progress.tell(run, runs, at);
        let question = Question { estate: &planned.estate, workload, seed: self.seed, watch: &watch };
        let forecast = Forecast::of(&question);
        let mut report = Report::new(forecast, (&planned.estate, workload), &planned.name, self.seed);
        report.notes.extend(planned.notes.iter().chain(notes).cloned());
        Ok(report)
    }
}
