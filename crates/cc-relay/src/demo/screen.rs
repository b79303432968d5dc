//! What is said while the show goes on, and at its end. It knows terminals and words: what changes is drawn
//! anew on a terminal, and said in a line a second elsewhere. It refuses to know where numbers come from.

use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use relay_sim::{Gauge, Meter};

use crate::cc::{AUTH_TOKEN, BASE_URL, PLACEHOLDER};
use crate::demo::carried::Carried;
use crate::demo::crowd::{CLIENTS, Seen};
use crate::report;

/// The bar while clients talk, and the line while the relay waits for others.
const TALKING: &str = "{spinner:.cyan} {bar:16.cyan/blue} {prefix}\n\n{msg}";
const SERVING: &str = "{spinner:.cyan} serving; Ctrl-C ends it\n\n{msg}";

/// Elsewhere than on a terminal a line is said this often.
const LINE: Duration = Duration::from_secs(1);

/// The place of what changes. It is cleared when it is dropped.
pub(crate) struct Screen {
    bar: ProgressBar,
    lines: u32,
}

impl Screen {
    /// For clients that talk that long.
    pub(crate) fn talking(length: Duration) -> Self {
        Self::new(TALKING, length)
    }

    /// For a relay that waits.
    pub(crate) fn serving() -> Self {
        let screen = Self::new(SERVING, Duration::ZERO);
        if screen.bar.is_hidden() {
            report::tell("serving; Ctrl-C ends it");
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
    pub(crate) fn show(&mut self, after: Duration, seen: &Seen, carried: &Carried) {
        let Seen { requests, open, failures, .. } = seen;
        let (waiting, refused) = (carried.waiting, carried.refused());
        let flowing = open.saturating_sub(waiting as u64);
        let line = format!(
            "{requests} requests: {flowing} open, {waiting} waiting, {refused} refused upstream; {failures} errors"
        );
        if self.bar.is_hidden() && after >= LINE * (self.lines + 1) {
            self.lines += 1;
            report::tell(format_args!("  {:>2} s  {line}", self.lines));
        }
        self.bar.set_position(millis(after));
        self.bar.set_prefix(line);
        self.draw(carried);
    }

    /// Shows what was carried while the relay waits, if anything.
    pub(crate) fn wait(&self, carried: &Carried) {
        if carried.requests() > 0 {
            self.draw(carried);
        }
        self.bar.tick();
    }

    fn draw(&self, carried: &Carried) {
        // The bar ends the last line itself.
        self.bar.set_message(format!("{carried:#}").trim_end().to_owned());
        self.bar.tick();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// What came of it: what each key carried, what clients saw, and what the provider's own buckets say.
pub(crate) fn verdict(carried: &Carried, seen: &Seen, buckets: &[Gauge]) -> String {
    let Seen { requests, streams, counts, failures, failure, open } = seen;
    let first = failure.as_ref().map_or_else(String::new, |failure| format!("  The first: {failure}\n"));
    let cut = if *open > 0 { format!("  Cut off by the end of the demo: {open}.\n") } else { String::new() };
    let (refused, most_waiting) = (carried.refused(), carried.most_waiting);
    let overdrawn =
        buckets.iter().max_by_key(|bucket| bucket.overshoot).filter(|bucket| bucket.overshoot > 0);
    let judgement = overdrawn.map_or_else(
        || "never overdrawn".to_owned(),
        |bucket| {
            let (over, capacity) = (HumanCount(bucket.overshoot), HumanCount(bucket.capacity));
            let units = match bucket.meter {
                Meter::Requests => "requests",
                Meter::Input => "input tokens",
                Meter::Output => "output tokens",
            };
            format!("overdrawn by {over} {units} at most, of {capacity}")
        },
    );
    format!(
        "{carried}\n\
         {CLIENTS} clients asked {requests} times: {streams} streams, {counts} token counts.\n\
         Errors seen by clients: {failures}.\n{first}{cut}\
         Refusals that ended at the relay (429): {refused}.\n\
         Calls that waited for a key: {most_waiting} at once, at most.\n\
         The provider's own buckets: {judgement}.\n"
    )
}

/// How to point Claude Code at the relay.
pub(crate) fn invitation(url: &str) -> String {
    format!("\nPoint Claude Code at it:\n  export {BASE_URL}={url}\n  export {AUTH_TOKEN}={PLACEHOLDER}\n")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;
    use relay_sim::{Settings, Sim};

    #[test]
    fn a_verdict_hides_nothing() {
        let provider = Sim::new(Settings::demo());
        let mut carried = Carried::by(&provider);
        carried.most_waiting = 7;
        let failure = Some("the answer broke off: connection reset".to_owned());
        let seen = Seen { requests: 120, streams: 99, counts: 20, failures: 1, failure, open: 2 };
        let gauge = |meter, overshoot| Gauge {
            organization: "one".to_owned(),
            workspace: None,
            class: "some".to_owned(),
            meter,
            per_minute: 80_000,
            capacity: 2_000,
            level: 0,
            overshoot,
            refused: 3,
        };
        let buckets = [gauge(Meter::Input, 0), gauge(Meter::Output, 1_234), gauge(Meter::Requests, 1)];
        let verdict = verdict(&carried, &seen, &buckets);
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
