//! The guide to `cc-relay plan`, with what the program prints for the configuration that the guide shows, and its
//! picture. Knows where in the guide that belongs; refuses to know how anything is foreseen. That the program itself
//! prints the same is held by its own tests.

use std::time::Duration;

use relay_plan::workload::ANY_MODEL;
use relay_plan::{Assumed, CLAUDE_CODE, Dice, Estate, Forecast, Question, Report, Unsaid};

use crate::failure::Failure;
use crate::workshop::Workshop;

/// The guide.
pub(crate) const DOCUMENT: &str = "docs/book/guides/plan.md";

/// Its picture.
pub(crate) const PICTURE: &str = "docs/book/guides/plan.svg";

/// What stands around the configuration.
const YAML: (&str, &str) = ("```yaml\n", "```\n");

/// What stands around what is printed.
const PRINTED: (&str, &str) = ("<!-- plan -->\n", "<!-- /plan -->\n");

/// What is asked for in the guide; the rest is as it is by default.
const SESSIONS: u64 = 12;
const BURST: Duration = Duration::from_secs(6);
const LENGTH: Duration = Duration::from_hours(1);

/// The guide, as it must be.
pub(crate) fn document(workshop: &Workshop) -> Result<String, Failure> {
    let guide = workshop.read(DOCUMENT)?;
    let report = report(between(&guide, YAML)?.1)?;
    let (before, _, after) = between(&guide, PRINTED)?;
    let (begin, end) = PRINTED;
    let command = format!("$ cc-relay plan --config config.yaml --agents {SESSIONS} --svg plan.svg");
    Ok(format!("{before}{begin}```console\n{command}\n{report}```\n{end}{after}"))
}

/// Its picture, as it must be.
pub(crate) fn picture(workshop: &Workshop) -> Result<String, Failure> {
    Ok(report(between(&workshop.read(DOCUMENT)?, YAML)?.1)?.svg())
}

fn report(yaml: &str) -> Result<Report, Failure> {
    let malformed = |problem: String| Failure::Malformed { path: DOCUMENT.to_owned(), problem };
    let sketch = relay_config::sketch(yaml, relay_config::Format::Yaml, &|_| None);
    let config = sketch.map_err(|problems| malformed(problems.to_string()))?.loaded.config;
    let estate = Estate::of(config.fleet_of_names(), &Assumed::nothing(BURST), &|_| Unsaid::StartTier);
    let workload = CLAUDE_CODE.workload(SESSIONS, ANY_MODEL, LENGTH, Dice::seeded(0));
    let question = Question { estate: &estate, workload: &workload, seed: 0, watch: &|_, _, _| () };
    Ok(Report::new(Forecast::of(&question), (&estate, &workload), "config.yaml", 0))
}

/// What is before two markers, between them and behind them.
fn between<'t>(text: &'t str, (begin, end): (&str, &str)) -> Result<(&'t str, &'t str, &'t str), Failure> {
    let missing = |marker: &str| Failure::Malformed {
        path: DOCUMENT.to_owned(),
        problem: format!("the line `{}` is missing", marker.trim_end()),
    };
    let (before, rest) = text.split_once(begin).ok_or_else(|| missing(begin))?;
    let (inside, after) = rest.split_once(end).ok_or_else(|| missing(end))?;
    Ok((before, inside, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_between_two_markers_is_found_and_one_that_is_missing_is_named() {
        assert_eq!(between("a<b>c</b>d", ("<b>", "</b>")).ok(), Some(("a", "c", "d")));
        let error = between("a<b>c", ("<b>", "</b>")).err().map(|error| error.to_string());
        assert_eq!(
            error.as_deref(),
            Some("`docs/book/guides/plan.md` is malformed: the line `</b>` is missing")
        );
    }
}
