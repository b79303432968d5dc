//! How far a plan has come that takes its time. It knows terminals; elsewhere nothing is said, because nobody waits
//! there who could be told.

use std::cell::{Cell, OnceCell};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

/// One line on standard error, drawn anew as time goes by, and taken away at the end.
pub(super) struct Progress<'a> {
    name: &'a str,
    /// How long what is played lasts.
    whole: Duration,
    begun: Instant,
    /// From when on the next look is shown.
    next: Cell<Instant>,
    bar: OnceCell<ProgressBar>,
}

impl<'a> Progress<'a> {
    /// What is done within this time needs no word.
    const PATIENCE: Duration = Duration::from_secs(1);

    /// From one look to the next.
    const TICK: Duration = Duration::from_millis(200);

    pub(super) fn new(name: &'a str, whole: Duration) -> Self {
        let begun = Instant::now();
        Self { name, whole, begun, next: Cell::new(begun + Self::PATIENCE), bar: OnceCell::new() }
    }

    /// Run `run` of at most `runs` has come so far.
    pub(super) fn tell(&self, run: usize, runs: usize, at: Duration) {
        let now = Instant::now();
        if now < self.next.get() {
            return;
        }
        self.next.set(now + Self::TICK);
        // Drawn on standard error, and hidden where that is no terminal.
        let bar = self.bar.get_or_init(|| {
            let style = ProgressStyle::with_template("{spinner:.cyan} {msg}");
            ProgressBar::new_spinner().with_style(style.expect("the template is well formed"))
        });
        bar.set_message(self.words(run, runs, at, now - self.begun));
        bar.tick();
    }

    fn words(&self, run: usize, runs: usize, at: Duration, taken: Duration) -> String {
        let minutes = |time: Duration| time.as_secs() / 60;
        // What was begun may last beyond the end.
        let whole = minutes(self.whole);
        format!(
            "{}: run {} of at most {runs}, minute {} of {whole}; {} s so far, Ctrl-C gives up",
            self.name,
            run + 1,
            minutes(at).min(whole),
            taken.as_secs(),
        )
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_has_come_is_said_in_runs_and_in_minutes_of_what_is_played() {
        let progress = Progress::new("config.yaml", Duration::from_hours(8));
        let words = |at| progress.words(1, 10, at, Duration::from_secs(42));
        let expect = "config.yaml: run 2 of at most 10, minute 61 of 480; 42 s so far, Ctrl-C gives up";
        assert_eq!(words(Duration::from_mins(61)), expect);
        assert!(
            words(Duration::from_mins(490)).contains("minute 480 of 480"),
            "its last calls come to their end"
        );
    }

    #[test]
    fn what_is_done_in_a_moment_needs_no_word() {
        let progress = Progress::new("config.yaml", Duration::from_hours(8));
        progress.tell(0, 1, Duration::ZERO);
        assert!(progress.bar.get().is_none());
        progress.next.set(progress.begun);
        progress.tell(0, 1, Duration::ZERO);
        assert!(progress.bar.get().is_some());
    }
}
