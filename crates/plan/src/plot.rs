//! A run over time, drawn: as lines of blocks for a terminal, and as a picture that needs nothing else.

use std::fmt::Write as _;

use crate::optimum::float;
use crate::report::span;
use crate::world::{Moment, Outcome};

/// What is drawn.
struct Series {
    name: &'static str,
    colour: &'static str,
    of: fn(&Moment) -> f64,
    /// What is shown of several moments together, and said at the end of the line.
    fold: fn(f64, f64) -> f64,
    said: &'static str,
}

const SERIES: [Series; 4] = [
    Series {
        name: "in flight",
        colour: "#2563eb",
        of: |it| float(it.in_flight),
        fold: f64::max,
        said: "most",
    },
    Series { name: "waiting", colour: "#d97706", of: |it| float(it.waiting), fold: f64::max, said: "most" },
    Series {
        name: "refused",
        colour: "#dc2626",
        of: |it| float(it.refused),
        fold: |a, b| a + b,
        said: "most",
    },
    Series { name: "limit left", colour: "#059669", of: |it| it.lowest, fold: f64::min, said: "least" },
];

/// Columns of a line on a terminal.
const COLUMNS: usize = 60;

const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One line for each series, and one for the time.
pub(crate) fn lines(outcome: &Outcome) -> Vec<String> {
    let shown: Vec<String> = SERIES.iter().filter_map(|series| line(series, outcome)).collect();
    let end = span(outcome.lasted);
    let time = format!("{:<12}0{end:>width$}", "", width = COLUMNS - 1);
    if shown.is_empty() { shown } else { shown.into_iter().chain([time]).collect() }
}

fn line(series: &Series, outcome: &Outcome) -> Option<String> {
    let values: Vec<f64> = outcome.moments.iter().map(series.of).collect();
    let columns = columns(&values, series.fold);
    let most = columns.iter().copied().fold(0.0, f64::max);
    let told = columns.iter().copied().reduce(if series.said == "least" { f64::min } else { f64::max })?;
    let scale = if series.said == "least" { 1.0 } else { most.max(1e-9) };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 8")]
    let block = |value: &f64| BLOCKS[((value / scale * 8.0).ceil().clamp(0.0, 8.0)) as usize];
    let drawn: String = columns.iter().map(block).collect();
    let told = if series.said == "least" { format!("{:.0} %", told * 100.0) } else { format!("{told:.0}") };
    Some(format!("{:<12}{drawn:<COLUMNS$}  {} {told}", series.name, series.said))
}

/// As many values as there are columns, or fewer.
fn columns(values: &[f64], fold: fn(f64, f64) -> f64) -> Vec<f64> {
    let count = values.len().min(COLUMNS);
    let chunk = |column: usize| &values[column * values.len() / count..(column + 1) * values.len() / count];
    (0..count).filter_map(|column| chunk(column).iter().copied().reduce(fold)).collect()
}

/// Each series in a strip of its own.
pub(crate) fn svg(outcome: &Outcome, title: &str) -> String {
    const WIDTH: f64 = 800.0;
    const STRIP: f64 = 110.0;
    let height = STRIP.mul_add(4.0, 60.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0} {height:.0}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"20\" y=\"22\" font-size=\"14\">{}</text>\n",
        WIDTH + 40.0,
        escaped(title)
    );
    for (index, series) in SERIES.iter().enumerate() {
        let top = STRIP.mul_add(float(index as u64), 40.0);
        let values: Vec<f64> = outcome.moments.iter().map(series.of).collect();
        let most = if series.said == "least" { 1.0 } else { values.iter().copied().fold(1.0, f64::max) };
        let step = WIDTH / float(values.len().max(2) as u64 - 1);
        let bottom = top + STRIP - 20.0;
        let mut points = String::new();
        for (place, value) in values.iter().enumerate() {
            let (x, y) = (step.mul_add(float(place as u64), 20.0), bottom - value / most * (STRIP - 40.0));
            // Writing to a `String` cannot fail.
            let _ = write!(points, "{x:.1},{y:.1} ");
        }
        let most = if series.said == "least" { "100 %".to_owned() } else { format!("{most:.0}") };
        let _ = write!(
            svg,
            "<text x=\"20\" y=\"{:.0}\" fill=\"{colour}\">{} (up to {most})</text>\n\
             <line x1=\"20\" y1=\"{bottom:.0}\" x2=\"{:.0}\" y2=\"{bottom:.0}\" stroke=\"#cbd5e1\"/>\n\
             <polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>\n",
            top + 10.0,
            series.name,
            WIDTH + 20.0,
            points.trim_end(),
            colour = series.colour,
        );
    }
    let _ = write!(
        svg,
        "<text x=\"20\" y=\"{y:.0}\">0</text>\n<text x=\"{x:.0}\" y=\"{y:.0}\" text-anchor=\"end\">{}</text>\n</svg>\n",
        span(outcome.lasted),
        x = WIDTH + 20.0,
        y = height - 8.0,
    );
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn outcome(moments: usize) -> Outcome {
        let moment = |place: usize| Moment {
            in_flight: place as u64,
            waiting: 0,
            refused: u64::from(place == 3),
            lowest: if place < 2 { 1.0 } else { 0.25 },
        };
        Outcome {
            moments: (0..moments).map(moment).collect(),
            lasted: Duration::from_mins(2),
            ..Outcome::default()
        }
    }

    #[test]
    fn a_line_of_blocks_says_its_peak() {
        let lines = lines(&outcome(8));
        assert_eq!(lines[0].trim_end(), format!("in flight   {:<60}  most 7", " ▂▃▄▅▆▇█"));
        assert_eq!(lines[1].trim_end(), format!("waiting     {:<60}  most 0", "        "));
        assert_eq!(lines[2].trim_end(), format!("refused     {:<60}  most 1", "   █    "));
        assert_eq!(lines[3].trim_end(), format!("limit left  {:<60}  least 25 %", "██▂▂▂▂▂▂"));
        assert!(lines[4].ends_with("2 min 0 s"), "{}", lines[4]);
        assert!(super::lines(&outcome(0)).is_empty());
    }

    #[test]
    fn however_long_a_run_is_its_lines_fit() {
        for moments in [1, 59, 60, 61, 240, 1_000] {
            let drawn = lines(&outcome(moments));
            assert!(drawn.iter().all(|line| line.chars().count() <= 90), "{moments}: {drawn:?}");
        }
    }

    #[test]
    fn a_picture_is_whole_and_says_what_it_shows() {
        let svg = svg(&outcome(8), "a < b & c");
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("a &lt; b &amp; c") && !svg.contains("NaN"), "{svg}");
        assert_eq!(svg.matches("<polyline").count(), 4);
        assert!(!super::svg(&outcome(0), "").contains("NaN"));
    }
}
