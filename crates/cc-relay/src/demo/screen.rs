//! What is said while the show goes on, and at its end. It knows terminals and words: what changes is drawn
//! anew on a terminal, and said in a line a second elsewhere. It refuses to know where numbers come from.

use std::fmt::{self, Display};
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use relay_sim::{Gauge, Meter};

use crate::cc::{AUTH_TOKEN, BASE_URL, PLACEHOLDER};
use crate::demo::carried::Carried;
use crate::demo::crowd::{CLIENTS, Seen};
use crate::report;

/// The bar while clients talk, and the line while the relay waits for others.
const TALKING: &str = "{spinner:.cyan} {bar:16.cyan/blue} {prefix}\n\n{msg}";
const SERVING: &str = "{spinner:.cyan} {prefix}\n\n{msg}";

/// Elsewhere than on a terminal a line is said this often.
const LINE: Duration = Duration::from_secs(1);

/// The place of what changes. It is cleared when it is dropped.
pub(crate) struct Screen {
    bar: ProgressBar,
    lines: u32,
}

/// How it goes, in a line.
pub(crate) struct Progress<'a> {
    /// What clients saw.
    pub(crate) seen: &'a Seen,
    /// What each key carried.
    pub(crate) carried: &'a Carried,
}

/// What came of it.
pub(crate) struct Verdict<'a> {
    /// What each key carried.
    pub(crate) carried: &'a Carried,
    /// What clients saw.
    pub(crate) seen: &'a Seen,
    /// The buckets of the provider.
    pub(crate) buckets: &'a [Gauge],
}

/// How to point Claude Code at the relay.
pub(crate) struct Invitation<'a>(pub(crate) &'a str);

impl Screen {
    /// For clients that talk that long.
    pub(crate) fn talking(length: Duration) -> Self {
        Self::new(TALKING, length)
    }

    /// For a relay that waits.
    pub(crate) fn serving() -> Self {
        let screen = Self::new(SERVING, Duration::ZERO);
        screen.bar.set_prefix("serving; Ctrl-C ends it");
        if screen.bar.is_hidden() {
            report::tell(screen.bar.prefix());
        }
        screen
    }

    fn new(template: &str, length: Duration) -> Self {
        let style = ProgressStyle::with_template(template).expect("the templates are well formed");
        // Drawn on standard error, and hidden where that is no terminal.
        let bar = ProgressBar::new(millis(length)).with_style(style.progress_chars("━╸━"));
        Self { bar, lines: 0 }
    }

    /// Shows how it goes that long after the beginning.
    pub(crate) fn show(&mut self, after: Duration, progress: &Progress<'_>) {
        self.bar.set_position(millis(after));
        self.bar.set_prefix(progress.to_string());
        self.bar.set_message(watched(progress.carried));
        self.bar.tick();
        if self.bar.is_hidden() && after >= LINE * (self.lines + 1) {
            self.lines += 1;
            report::tell(format_args!("  {:>2} s  {progress}", self.lines));
        }
    }

    /// Shows that the relay waits, and what was carried meanwhile, if anything.
    pub(crate) fn wait(&self, carried: &Carried) {
        self.bar.set_message(if carried.requests() == 0 { String::new() } else { watched(carried) });
        self.bar.tick();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A table to be drawn: the bar ends its last line itself.
fn watched(carried: &Carried) -> String {
    format!("{carried:#}").trim_end().to_owned()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Display for Progress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seen: Seen { requests, open, failures, .. }, carried } = self;
        let (waiting, refused) = (carried.waiting, carried.refused());
        let flowing = open.saturating_sub(waiting as u64);
        write!(f, "{requests} requests: {flowing} open, {waiting} waiting, {refused} refused upstream; ")?;
        write!(f, "{failures} errors")
    }
}

impl Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { carried, seen, buckets } = self;
        let Seen { requests, streams, counts, failures, failure, open } = seen;
        writeln!(f, "{carried}")?;
        writeln!(f, "{CLIENTS} clients asked {requests} times: {streams} streams, {counts} token counts.")?;
        writeln!(f, "Errors seen by clients: {failures}.")?;
        if let Some(failure) = failure {
            writeln!(f, "  The first: {failure}")?;
        }
        if *open > 0 {
            writeln!(f, "  Cut off by the end of the demo: {open}.")?;
        }
        let (refused, most_waiting) = (carried.refused(), carried.most_waiting);
        writeln!(f, "Refusals that ended at the relay (429): {refused}.")?;
        writeln!(f, "Calls that waited for a key: {most_waiting} at once, at most.")?;
        match buckets.iter().max_by_key(|bucket| bucket.overshoot).filter(|bucket| bucket.overshoot > 0) {
            None => writeln!(f, "The provider's own buckets were never overdrawn."),
            Some(Gauge { meter, capacity, overshoot, .. }) => {
                let (over, capacity) = (HumanCount(*overshoot), HumanCount(*capacity));
                let what = match meter {
                    Meter::Requests => "requests",
                    Meter::Input => "input tokens",
                    Meter::Output => "output tokens",
                };
                writeln!(f, "The provider's own buckets: overdrawn by {over} {what} at most, of {capacity}.")
            }
        }
    }
}

impl Display for Invitation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(url) = self;
        writeln!(f, "\nPoint Claude Code at it:")?;
        writeln!(f, "  export {BASE_URL}={url}")?;
        writeln!(f, "  export {AUTH_TOKEN}={PLACEHOLDER}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;
    use relay_sim::{Settings, Sim};

    #[test]
    fn a_verdict_hides_nothing() {
        let provider = Sim::new(Settings::demo());
        let carried = Carried { most_waiting: 7, ..Carried::by(&provider) };
        let failure = Some("the answer broke off: connection reset".to_owned());
        let seen = Seen { requests: 120, streams: 99, counts: 20, failures: 1, failure, open: 2 };
        let gauge = |meter, overshoot| Gauge {
            organization: "one".to_owned(),
            workspace: None,
            class: "some".to_owned(),
            meter,
            per_minute: 80_000,
            capacity: 2_000,
            overshoot,
            refused: 3,
        };
        let buckets = [gauge(Meter::Input, 0), gauge(Meter::Output, 1_234), gauge(Meter::Requests, 1)];
        let verdict = Verdict { carried: &carried, seen: &seen, buckets: &buckets }.to_string();
        assert_snapshot!(verdict.split_once("\n\n").unwrap().1, @r"
        10 clients asked 120 times: 99 streams, 20 token counts.
        Errors seen by clients: 1.
          The first: the answer broke off: connection reset
          Cut off by the end of the demo: 2.
        Refusals that ended at the relay (429): 0.
        Calls that waited for a key: 7 at once, at most.
        The provider's own buckets: overdrawn by 1,234 output tokens at most, of 2,000.
        ");
    }

    #[test]
    fn the_templates_are_templates() {
        drop((Screen::talking(Duration::from_secs(1)), Screen::serving()));
    }
}
