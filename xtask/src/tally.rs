//! How many tests ran, passed and did not. Knows the closing lines of the two test runners;
//! refuses to run anything.

/// The sums over all closing lines seen so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) ignored: u32,
}

impl Tally {
    /// Reads one line of output; adds nothing unless it closes a run.
    pub(crate) fn read(&mut self, line: &str) {
        let line = without_colour(line);
        if let Some(counts) = line.trim().strip_prefix("test result: ") {
            // `ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`
            let counts = counts.split_once(". ").map_or(counts, |(_, counts)| counts);
            self.add(counts.split("; "));
        } else if let Some((_, counts)) =
            line.split_once(" tests run: ").or_else(|| line.split_once(" test run: "))
        {
            // `Summary [   0.123s] 12 tests run: 11 passed (1 slow), 1 failed, 2 skipped`
            self.add(counts.split(", "));
        }
    }

    fn add<'a>(&mut self, counts: impl Iterator<Item = &'a str>) {
        for count in counts {
            let mut words = count.split_whitespace();
            let (Some(Ok(n)), Some(what)) = (words.next().map(str::parse::<u32>), words.next()) else {
                continue;
            };
            match what {
                "passed" => self.passed += n,
                "failed" | "timed" | "exec" => self.failed += n,
                "ignored" | "skipped" => self.ignored += n,
                _ => {}
            }
        }
    }
}

/// Drops the sequences by which a terminal is told to change colour (`ESC [ … m`).
fn without_colour(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(lines: &[&str]) -> Tally {
        let mut tally = Tally::default();
        for line in lines {
            tally.read(line);
        }
        tally
    }

    #[test]
    fn the_lines_of_cargo_test_are_summed() {
        let seen = tally(&[
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 5 filtered out; finished in 1.50s",
        ]);
        assert_eq!(seen, Tally { passed: 7, failed: 2, ignored: 1 });
    }

    #[test]
    fn the_summary_of_nextest_is_read() {
        let seen = tally(&[
            "     Summary [   0.123s] 14 tests run: 12 passed (1 slow), 1 failed, 1 timed out, 2 skipped",
        ]);
        assert_eq!(seen, Tally { passed: 12, failed: 2, ignored: 2 });
    }

    #[test]
    fn colours_do_not_hide_the_numbers() {
        let line = "\u{1b}[32;1m     Summary\u{1b}[0m [ 0.1s] \u{1b}[1m1\u{1b}[0m test run: \u{1b}[1m1\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, \u{1b}[1m0\u{1b}[0m skipped";
        assert_eq!(tally(&[line]), Tally { passed: 1, failed: 0, ignored: 0 });
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(tally(&["12 passed", "test a_call_is_passed ... ok"]), Tally::default());
    }
}
