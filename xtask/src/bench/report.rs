//! What the bench has found, as a table or as JSON. Knows medians and ratios; refuses to
//! measure anything.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use serde_json::{Value, json};

use crate::bench::contestant::Contestant;
use crate::bench::delay::Watched;
use crate::bench::load::Measured;
use crate::bench::statistics::{median, permille};
use crate::bench::upstream::Reply;

/// What was asked, and by how many clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Case {
    pub(super) reply: Reply,
    /// Bytes of the request's body.
    pub(super) body: usize,
    pub(super) n_connections: usize,
}

/// How many paced streams ran at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DelayCase {
    pub(super) n_streams: usize,
}

/// All rounds of all cases.
#[derive(Debug, Default)]
pub(super) struct Report {
    rounds: BTreeMap<(Case, Contestant), Vec<Round>>,
    delays: BTreeMap<(DelayCase, Contestant), Vec<Delay>>,
}

/// One round of one contestant.
#[derive(Debug, Clone, Copy)]
struct Round {
    requests_per_second: f64,
    /// Microseconds, as all times here.
    p50: f64,
    p99: f64,
    cpu_per_request: Option<f64>,
    /// Mebibytes.
    resident: Option<f64>,
}

/// One round of paced streams, in microseconds.
#[derive(Debug, Clone, Copy)]
struct Delay {
    p50: f64,
    p99: f64,
    cpu_per_event: Option<f64>,
}

impl Report {
    pub(super) fn add(&mut self, case: Case, contestant: Contestant, measured: &Measured) {
        let n_requests = count(measured.latencies.len());
        let round = Round {
            requests_per_second: n_requests / measured.time.as_secs_f64(),
            p50: microseconds(permille(&measured.latencies, 500)),
            p99: microseconds(permille(&measured.latencies, 990)),
            cpu_per_request: measured.cpu.map(|cpu| microseconds(cpu) / n_requests),
            resident: measured
                .resident
                .map(|bytes| count(usize::try_from(bytes / 1024).unwrap_or(usize::MAX)) / 1024.0),
        };
        self.rounds.entry((case, contestant)).or_default().push(round);
    }

    pub(super) fn add_delays(&mut self, case: DelayCase, contestant: Contestant, watched: &Watched) {
        let Watched { delays, cpu } = watched;
        let delay = Delay {
            p50: microseconds(permille(delays, 500)),
            p99: microseconds(permille(delays, 990)),
            cpu_per_event: cpu.map(|cpu| microseconds(cpu) / count(delays.len())),
        };
        self.delays.entry((case, contestant)).or_default().push(delay);
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut last = None;
        for &(case, contestant) in self.rounds.keys() {
            if last.replace(case) != Some(case) {
                line(&mut text, format_args!("\n{case}"));
                line(&mut text, format_args!("{HEADINGS}"));
            }
            self.write_row(&mut text, case, contestant);
        }
        let mut last = None;
        for &(case, contestant) in self.delays.keys() {
            if last.replace(case) != Some(case) {
                line(&mut text, format_args!("\n{case}\n{DELAY_HEADINGS}"));
            }
            let [p50, p99] = self.delay_medians(case, contestant);
            let [more50, more99] = self.added_delay(case, contestant).map(shown);
            let cpu = self.event_cpu(case, contestant).map_or("–".to_owned(), |cpu| format!("{cpu:.1}"));
            let [to_nginx, to_bare] = [Contestant::Nginx, Contestant::Bare]
                .map(|other| ratio(self.event_ratio(case, contestant, other)));
            line(
                &mut text,
                format_args!(
                    "  {:8}{p50:>10.0}{p99:>10.0}{more50:>14}{more99:>14}{cpu:>14}{to_nginx:>10}{to_bare:>9}",
                    contestant.name()
                ),
            );
        }
        text
    }

    fn write_row(&self, text: &mut String, case: Case, contestant: Contestant) {
        let of = |field: fn(&Round) -> Option<f64>| self.median_of(case, contestant, field);
        let (rps, p50, p99) =
            (of(|it| Some(it.requests_per_second)), of(|it| Some(it.p50)), of(|it| Some(it.p99)));
        let (cpu, resident) = (of(|it| it.cpu_per_request), of(|it| it.resident));
        let [rps, p50, p99, resident] = [rps, p50, p99, resident].map(shown);
        let cpu = cpu.map_or("–".to_owned(), |cpu| format!("{cpu:.1}"));
        let [to_nginx, to_bare] =
            [Contestant::Nginx, Contestant::Bare].map(|other| ratio(self.cpu_ratio(case, contestant, other)));
        line(
            text,
            format_args!(
                "  {:8}{rps:>10}{p50:>10}{p99:>10}{cpu:>12}{resident:>9}{to_nginx:>10}{to_bare:>9}",
                contestant.name()
            ),
        );
    }

    /// For programs: one object for each case and contestant.
    pub(super) fn json(&self) -> String {
        let rounds = self.rounds.keys().map(|&(case, contestant)| {
            let of = |field: fn(&Round) -> Option<f64>| self.median_of(case, contestant, field);
            json!({
                "reply": case.reply.name(), "body_bytes": case.body, "connections": case.n_connections,
                "contestant": contestant.name(),
                "requests_per_second": of(|it| Some(it.requests_per_second)),
                "p50_us": of(|it| Some(it.p50)), "p99_us": of(|it| Some(it.p99)),
                "cpu_per_request_us": of(|it| it.cpu_per_request), "resident_mib": of(|it| it.resident),
                "cpu_to_nginx": self.cpu_ratio(case, contestant, Contestant::Nginx),
                "cpu_to_bare": self.cpu_ratio(case, contestant, Contestant::Bare),
            })
        });
        let delays = self.delays.keys().map(|&(case, contestant)| {
            let [p50, p99] = self.delay_medians(case, contestant);
            let [more50, more99] = self.added_delay(case, contestant);
            json!({
                "streams": case.n_streams, "contestant": contestant.name(),
                "p50_us": p50, "p99_us": p99, "added_p50_us": more50, "added_p99_us": more99,
                "cpu_per_event_us": self.event_cpu(case, contestant),
                "cpu_to_nginx": self.event_ratio(case, contestant, Contestant::Nginx),
                "cpu_to_bare": self.event_ratio(case, contestant, Contestant::Bare),
            })
        });
        let (rounds, delays): (Vec<Value>, Vec<Value>) = (rounds.collect(), delays.collect());
        json!({ "requests": rounds, "event_delay": delays }).to_string()
    }

    fn median_of(&self, case: Case, contestant: Contestant, field: fn(&Round) -> Option<f64>) -> Option<f64> {
        median(self.rounds.get(&(case, contestant))?.iter().filter_map(field))
    }

    /// Processor time per request in that of another contestant: the median of what it was each time they took
    /// turns, for a machine is not as fast from one second to the next.
    fn cpu_ratio(&self, case: Case, contestant: Contestant, other: Contestant) -> Option<f64> {
        let of = |contestant| self.rounds.get(&(case, contestant)).map(Vec::as_slice).unwrap_or_default();
        let pairs = of(contestant).iter().zip(of(other));
        median(pairs.filter_map(|(own, other)| Some(own.cpu_per_request? / other.cpu_per_request?)))
    }

    /// Median and 99th percentile, each the median over the rounds.
    fn delay_medians(&self, case: DelayCase, contestant: Contestant) -> [f64; 2] {
        let rounds = self.delays.get(&(case, contestant)).map_or(&[][..], Vec::as_slice);
        let of = |field: fn(&Delay) -> f64| median(rounds.iter().map(field)).unwrap_or_default();
        [of(|delay| delay.p50), of(|delay| delay.p99)]
    }

    /// Processor time per event.
    fn event_cpu(&self, case: DelayCase, contestant: Contestant) -> Option<f64> {
        median(self.delays.get(&(case, contestant))?.iter().filter_map(|delay| delay.cpu_per_event))
    }

    /// That in the one of another contestant, each round.
    fn event_ratio(&self, case: DelayCase, contestant: Contestant, other: Contestant) -> Option<f64> {
        let of = |contestant| self.delays.get(&(case, contestant)).map(Vec::as_slice).unwrap_or_default();
        let pairs = of(contestant).iter().zip(of(other));
        median(pairs.filter_map(|(own, other)| Some(own.cpu_per_event? / other.cpu_per_event?)))
    }

    /// The delays less what they are without a proxy.
    fn added_delay(&self, case: DelayCase, contestant: Contestant) -> [Option<f64>; 2] {
        if contestant == Contestant::Direct || !self.delays.contains_key(&(case, Contestant::Direct)) {
            return [None; 2];
        }
        let [own50, own99] = self.delay_medians(case, contestant);
        let [direct50, direct99] = self.delay_medians(case, Contestant::Direct);
        [Some(own50 - direct50), Some(own99 - direct99)]
    }
}

const HEADINGS: &str = "                 rps    p50 µs    p99 µs  CPU µs/req  RSS MiB  ÷ nginx   ÷ bare";
const DELAY_HEADINGS: &str =
    "              p50 µs    p99 µs  added p50 µs  added p99 µs  CPU µs/event   ÷ nginx   ÷ bare";

impl fmt::Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reply = if self.reply.is_stream() { "stream of 55 events" } else { "JSON answer" };
        let plural = if self.n_connections == 1 { "" } else { "s" };
        write!(
            formatter,
            "{reply}, request of {} KiB, {} connection{plural}",
            self.body / 1024,
            self.n_connections
        )
    }
}

impl fmt::Display for DelayCase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.n_streams == 1 { "" } else { "s" };
        write!(formatter, "delay of an event, {} stream{plural} with 20 ms between events", self.n_streams)
    }
}

fn line(text: &mut String, words: fmt::Arguments<'_>) {
    writeln!(text, "{words}").expect("writing to a String cannot fail");
}

fn shown(number: Option<f64>) -> String {
    number.map_or("–".to_owned(), |number| format!("{number:.0}"))
}

fn ratio(number: Option<f64>) -> String {
    number.map_or("–".to_owned(), |number| format!("{number:.2}"))
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// A count as a number to reckon with; beyond `u32` nothing here ever counts.
fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASE: Case = Case { reply: Reply::Json, body: 2048, n_connections: 1 };
    const PACED: DelayCase = DelayCase { n_streams: 1 };

    fn measured(cpu: Option<u64>) -> Measured {
        let latencies = (1..=100).map(Duration::from_micros).collect();
        Measured {
            time: Duration::from_secs(2),
            latencies,
            cpu: cpu.map(Duration::from_micros),
            resident: cpu.map(|_| 3 << 20),
        }
    }

    fn sample() -> Report {
        let mut report = Report::default();
        report.add(CASE, Contestant::Direct, &measured(None));
        for cpu in [1000, 9000, 2000] {
            report.add(CASE, Contestant::Nginx, &measured(Some(cpu)));
            report.add(CASE, Contestant::Relay, &measured(Some(cpu * 3 / 2)));
        }
        let watched = |delay, cpu: Option<u64>| Watched {
            delays: vec![Duration::from_micros(delay)],
            cpu: cpu.map(Duration::from_micros),
        };
        report.add_delays(PACED, Contestant::Direct, &watched(50, None));
        report.add_delays(PACED, Contestant::Nginx, &watched(70, Some(24)));
        report.add_delays(PACED, Contestant::Relay, &watched(80, Some(18)));
        report
    }

    #[test]
    fn numbers_are_medians_over_the_rounds() {
        let report = sample();
        let cpu = |contestant| report.median_of(CASE, contestant, |round| round.cpu_per_request);
        assert_eq!(cpu(Contestant::Direct), None);
        assert_eq!(cpu(Contestant::Nginx), Some(20.0));
        assert_eq!(cpu(Contestant::Relay), Some(30.0));
        assert_eq!(report.cpu_ratio(CASE, Contestant::Relay, Contestant::Nginx), Some(1.5));
        assert_eq!(report.cpu_ratio(CASE, Contestant::Relay, Contestant::Bare), None);
        assert_eq!(
            report.median_of(CASE, Contestant::Nginx, |round| Some(round.requests_per_second)),
            Some(50.0)
        );
        assert_eq!(report.median_of(CASE, Contestant::Nginx, |round| round.resident), Some(3.0));
    }

    /// A machine that is twice as slow for a while is so for all.
    #[test]
    fn ratios_are_of_those_who_took_turns() {
        let mut report = Report::default();
        for (nginx, relay) in [(1000, 1200), (2000, 2600), (4000, 5000)] {
            report.add(CASE, Contestant::Nginx, &measured(Some(nginx)));
            report.add(CASE, Contestant::Relay, &measured(Some(relay)));
        }
        let ratio = report.cpu_ratio(CASE, Contestant::Relay, Contestant::Nginx).unwrap();
        assert!((ratio - 1.25).abs() < 1e-6, "{ratio}");
    }

    #[test]
    fn added_delay_is_what_direct_does_not_have() {
        let report = sample();
        let [p50, p99] = report.added_delay(PACED, Contestant::Relay).map(Option::unwrap);
        assert!((p50 - 30.0).abs() < 1e-6 && (p99 - 30.0).abs() < 1e-6, "{p50} {p99}");
        assert_eq!(report.added_delay(PACED, Contestant::Direct), [None; 2]);
    }

    #[test]
    fn the_table_has_a_row_for_each_contestant_under_its_headings() {
        let text = sample().text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "",
                "JSON answer, request of 2 KiB, 1 connection",
                HEADINGS,
                "  direct          50        50        99           –        –         –        –",
                "  nginx           50        50        99        20.0        3      1.00        –",
                "  relay           50        50        99        30.0        3      1.50        –",
                "",
                "delay of an event, 1 stream with 20 ms between events",
                DELAY_HEADINGS,
                "  direct          50        50             –             –             –         –        –",
                "  nginx           70        70            20            20          24.0      1.00        –",
                "  relay           80        80            30            30          18.0      0.75        –",
            ]
        );
    }

    #[test]
    fn programs_get_the_same_numbers() {
        let value: Value = serde_json::from_str(&sample().json()).unwrap();
        assert_eq!(value["requests"][2]["cpu_to_nginx"], 1.5);
        assert_eq!(value["requests"][0]["cpu_per_request_us"], Value::Null);
        assert_eq!(value["event_delay"][2]["contestant"], "relay");
        assert_eq!(value["event_delay"][2]["cpu_to_nginx"], 0.75);
        assert_eq!(value["event_delay"][0]["cpu_per_event_us"], Value::Null);
    }
}
