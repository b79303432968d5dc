//! What the head of an answer says about limits. It knows the names of headers and how providers
//! write numbers, times and durations; it refuses to know what a limit means (that is `core`'s) and
//! what time it is (that is an argument).
//!
//! Values that cannot be read are ignored one by one, as if their header were absent. Sources: the
//! Anthropic API's rate-limit page (platform.claude.com/docs/en/api/rate-limits); for the `unified`
//! family, which has no public reference, captures of it; for `x-ratelimit-*`, OpenAI-style servers.

use std::cell::OnceCell;
use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use relay_core::{Gauge, Quota, Time, Unified, UnifiedStatus};

/// The largest bare number in `x-ratelimit-reset-*` that is a number of seconds to wait: a year. What
/// is larger is a moment since the Unix epoch, in seconds or, from [`FIRST_MILLISECOND`] on, in
/// milliseconds.
const LAST_WAIT: u64 = 366 * 86_400;

/// 2001 in milliseconds, and the year 33658 in seconds.
const FIRST_MILLISECOND: u64 = 1_000_000_000_000;

/// Reads every header that tells of limits, of who holds them and of when to come again.
///
/// A moment in a header is the provider's clock speaking. Where the answer carries its own `Date`, the
/// moment is taken relative to that and counted from `now`, so that a clock that is wrong, ours or
/// theirs, does no harm.
pub fn quota(headers: &HeaderMap, now: Time) -> Quota {
    let head = Head::read(headers, now);
    Quota {
        organization: head.organization.map(str::to_owned),
        workspace: head.workspace.map(str::to_owned),
        requests: head.gauge(&head.requests),
        input: head.gauge(&head.input),
        output: head.gauge(&head.output),
        tokens: head.gauge(&head.tokens),
        unified: head.unified(),
        retry_after: head.retry_after(),
        should_retry: match head.should_retry {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        },
    }
}

/// The headers of one answer that tell of limits, and the two clocks. Each is the first of its name that says
/// anything, without the blanks around it.
#[derive(Default)]
struct Head<'a> {
    now: Time,
    /// What the provider's clock showed when it answered.
    date: Option<&'a str>,
    /// The same, read once and only if a moment asks for it.
    shown: OnceCell<Option<Timestamp>>,
    organization: Option<&'a str>,
    workspace: Option<&'a str>,
    requests: Bucket<'a>,
    input: Bucket<'a>,
    output: Bucket<'a>,
    tokens: Bucket<'a>,
    unified_status: Option<&'a str>,
    unified_claim: Option<&'a str>,
    unified_reset: Option<&'a str>,
    /// The windows of a subscription that are known by name, with their resets.
    windows: [Option<&'a str>; WINDOWS.len()],
    retry_after: Option<&'a str>,
    retry_after_millis: Option<&'a str>,
    should_retry: Option<&'a str>,
}

/// The headers of one bucket.
#[derive(Default)]
struct Bucket<'a> {
    /// As Anthropic names them.
    anthropic: Readings<'a>,
    /// As OpenAI-style servers do.
    other: Readings<'a>,
}

#[derive(Default)]
struct Readings<'a> {
    limit: Option<&'a str>,
    remaining: Option<&'a str>,
    reset: Option<&'a str>,
}

/// What `-representative-claim` calls a window, and the middle of the name of its reset's header.
const WINDOWS: [(&str, &str); 5] = [
    ("five_hour", "5h"),
    ("seven_day", "7d"),
    ("seven_day_opus", "7d_opus"),
    ("seven_day_sonnet", "7d_sonnet"),
    ("seven_day_overage_included", "7d_oi"),
];

impl<'a> Head<'a> {
    /// In one pass: an answer has a dozen headers, and there are fifty names to look for.
    fn read(headers: &'a HeaderMap, now: Time) -> Self {
        let mut head = Self { now, ..Self::default() };
        for (name, value) in headers {
            let text = || value.to_str().ok().map(str::trim).filter(|text| !text.is_empty());
            if let Some(place @ None) = head.place(name.as_str()) {
                *place = text();
            }
        }
        head
    }

    /// Where the value of a header of that name is kept.
    fn place(&mut self, name: &str) -> Option<&mut Option<&'a str>> {
        if let Some(name) = name.strip_prefix("anthropic-ratelimit-") {
            return self.place_of_anthropic(name);
        }
        if let Some(name) = name.strip_prefix("x-ratelimit-") {
            let (reading, bucket) = name.split_once('-')?;
            return self.bucket(bucket)?.other.place(reading);
        }
        match name {
            "date" => Some(&mut self.date),
            "anthropic-organization-id" => Some(&mut self.organization),
            "anthropic-workspace-id" => Some(&mut self.workspace),
            "retry-after" => Some(&mut self.retry_after),
            "retry-after-ms" => Some(&mut self.retry_after_millis),
            "x-should-retry" => Some(&mut self.should_retry),
            _ => None,
        }
    }

    fn place_of_anthropic(&mut self, name: &str) -> Option<&mut Option<&'a str>> {
        let Some(name) = name.strip_prefix("unified-") else {
            let (bucket, reading) = name.rsplit_once('-')?;
            return self.bucket(bucket)?.anthropic.place(reading);
        };
        match name {
            "status" => Some(&mut self.unified_status),
            "representative-claim" => Some(&mut self.unified_claim),
            "reset" => Some(&mut self.unified_reset),
            _ => {
                let window = name.strip_suffix("-reset")?;
                let known = WINDOWS.iter().position(|(_, known)| *known == window)?;
                Some(&mut self.windows[known])
            }
        }
    }

    fn bucket(&mut self, name: &str) -> Option<&mut Bucket<'a>> {
        match name {
            "requests" => Some(&mut self.requests),
            "input-tokens" => Some(&mut self.input),
            "output-tokens" => Some(&mut self.output),
            "tokens" => Some(&mut self.tokens),
            _ => None,
        }
    }

    /// The gauge of that bucket, each of its values from Anthropic's header if that can be read, and
    /// otherwise from the one of OpenAI-style servers.
    fn gauge(&self, bucket: &Bucket<'_>) -> Gauge {
        let Bucket { anthropic, other } = bucket;
        let number = |text: Option<&str>| text?.parse().ok();
        let reset = anthropic.reset.and_then(|text| self.moment(text));
        Gauge {
            limit: number(anthropic.limit).or_else(|| number(other.limit)),
            remaining: number(anthropic.remaining).or_else(|| number(other.remaining)),
            reset: reset.or_else(|| self.wait_or_moment(other.reset?)),
        }
    }

    fn unified(&self) -> Option<Unified> {
        let status = match self.unified_status {
            Some("allowed") => Some(UnifiedStatus::Allowed),
            Some("allowed_warning") => Some(UnifiedStatus::Warning),
            Some("rejected") => Some(UnifiedStatus::Rejected),
            _ => None,
        };
        let claim = self.unified_claim;
        // The reset of the window that decided stands in for the general one.
        let claimed = claim.and_then(|claim| WINDOWS.iter().position(|(known, _)| *known == claim));
        let resets = [self.unified_reset, claimed.and_then(|window| self.windows[window])];
        let reset = resets.into_iter().flatten().find_map(|text| self.moment(text));
        let unified = Unified { status, reset, claim: claim.map(str::to_owned) };
        (unified != Unified::default()).then_some(unified)
    }

    /// `retry-after-ms`, or `retry-after` in seconds or as a date.
    fn retry_after(&self) -> Option<Duration> {
        let millis = self.retry_after_millis.and_then(|text| decimal(text, Duration::from_millis(1)));
        let wait = || {
            let text = self.retry_after?;
            let date = || Some(self.local(http_date(text)?).since(self.now));
            decimal(text, Duration::from_secs(1)).or_else(date)
        };
        millis.or_else(wait)
    }

    /// A moment in RFC 3339, or in seconds since the Unix epoch.
    fn moment(&self, text: &str) -> Option<Time> {
        match text.parse::<Timestamp>() {
            Ok(moment) => Some(self.local(moment)),
            Err(_) => self.epoch(text),
        }
    }

    /// A moment in seconds since the Unix epoch.
    fn epoch(&self, text: &str) -> Option<Time> {
        let since = decimal(text, Duration::from_secs(1))?;
        Some(self.local(Timestamp::UNIX_EPOCH.checked_add(since).ok()?))
    }

    /// How long to wait (`6m0s`, `20ms`, `12`), or a moment.
    fn wait_or_moment(&self, text: &str) -> Option<Time> {
        let Some(number) = decimal(text, Duration::from_secs(1)) else {
            return duration(text).map(|wait| self.now + wait).or_else(|| self.moment(text));
        };
        match number.as_secs() {
            ..=LAST_WAIT => Some(self.now + number),
            FIRST_MILLISECOND.. => Some(self.local(Timestamp::UNIX_EPOCH.checked_add(number / 1000).ok()?)),
            _ => self.epoch(text),
        }
    }

    /// The provider's moment on our clock.
    fn local(&self, moment: Timestamp) -> Time {
        let shown = self.shown.get_or_init(|| self.date.and_then(http_date));
        let Some(date) = *shown else {
            let since = Duration::try_from(moment.duration_since(Timestamp::UNIX_EPOCH));
            return Time::from_epoch(since.unwrap_or_default());
        };
        let ahead = moment.duration_since(date);
        match Duration::try_from(ahead) {
            Ok(ahead) => self.now + ahead,
            Err(_) => self.now.before(ahead.unsigned_abs()),
        }
    }
}

impl<'a> Readings<'a> {
    fn place(&mut self, name: &str) -> Option<&mut Option<&'a str>> {
        match name {
            "limit" => Some(&mut self.limit),
            "remaining" => Some(&mut self.remaining),
            "reset" => Some(&mut self.reset),
            _ => None,
        }
    }
}

/// An HTTP date in the one form that may be sent (RFC 9110, section 5.6.7: IMF-fixdate, which is a
/// form of RFC 2822). A wrong day of the week does no harm.
fn http_date(text: &str) -> Option<Timestamp> {
    const PARSER: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);
    PARSER.parse_timestamp(text).ok()
}

/// A number in digits, perhaps with a fraction, of that unit. What lies below a nanosecond is cut off.
fn decimal(text: &str, unit: Duration) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let whole = u128::from(whole.parse::<u64>().ok()?) * unit.as_nanos();
    let fraction = &fraction[..fraction.len().min(9)];
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let fraction = fraction.parse::<u128>().ok()? * unit.as_nanos() / scale;
    let nanos = whole + fraction;
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    Some(Duration::new(seconds, u32::try_from(nanos % 1_000_000_000).ok()?))
}

/// A duration as Go writes it: numbers with units, such as `6m0s`, `1.5s` or `1h2m3.5s`.
fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        total = total.checked_add(decimal(number, unit_of(unit)?)?)?;
        rest = next;
    }
    (!text.is_empty()).then_some(total)
}

fn unit_of(name: &str) -> Option<Duration> {
    match name {
        "ns" => Some(Duration::from_nanos(1)),
        "us" | "µs" | "μs" => Some(Duration::from_micros(1)),
        "ms" => Some(Duration::from_millis(1)),
        "s" => Some(Duration::from_secs(1)),
        "m" => Some(Duration::from_mins(1)),
        "h" => Some(Duration::from_hours(1)),
        "d" => Some(Duration::from_hours(24)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    /// 2026-11-20 12:00:00 UTC, in seconds since the Unix epoch.
    const NOON: u64 = 1_795_176_000;
    /// The same, as a `Date` header has it.
    const NOON_DATE: &str = "Fri, 20 Nov 2026 12:00:00 GMT";

    fn at(seconds: u64) -> Time {
        Time::from_epoch(Duration::from_secs(seconds))
    }

    fn read(now: u64, headers: &[(&'static str, &str)]) -> Quota {
        let name = |name| HeaderName::from_static(name);
        let value = |value| HeaderValue::from_str(value).unwrap();
        quota(&headers.iter().map(|(n, v)| (name(n), value(v))).collect(), at(now))
    }

    #[test]
    fn the_whole_family_of_anthropic_is_read() {
        let quota = read(
            NOON,
            &[
                ("anthropic-organization-id", "0b6f-org"),
                ("anthropic-workspace-id", "wrkspc_1"),
                ("anthropic-ratelimit-requests-limit", "1000"),
                ("anthropic-ratelimit-requests-remaining", "999"),
                ("anthropic-ratelimit-requests-reset", "2026-11-20T12:00:01Z"),
                ("anthropic-ratelimit-input-tokens-limit", "2000000"),
                ("anthropic-ratelimit-input-tokens-remaining", "0"),
                ("anthropic-ratelimit-input-tokens-reset", "2026-11-20T13:00:30.5+01:00"),
                ("anthropic-ratelimit-output-tokens-remaining", "400000"),
                ("anthropic-ratelimit-tokens-reset", "1795176060"),
                ("retry-after", "12"),
                ("x-should-retry", "false"),
            ],
        );
        let expect = Quota {
            organization: Some("0b6f-org".to_owned()),
            workspace: Some("wrkspc_1".to_owned()),
            requests: Gauge { limit: Some(1000), remaining: Some(999), reset: Some(at(NOON + 1)) },
            input: Gauge {
                limit: Some(2_000_000),
                remaining: Some(0),
                reset: Some(at(NOON) + Duration::from_millis(30_500)),
            },
            output: Gauge { remaining: Some(400_000), ..Gauge::default() },
            tokens: Gauge { reset: Some(at(NOON + 60)), ..Gauge::default() },
            unified: None,
            retry_after: Some(Duration::from_secs(12)),
            should_retry: Some(false),
        };
        assert_eq!(quota, expect);
    }

    #[test]
    fn no_header_tells_nothing() {
        assert_eq!(read(NOON, &[("date", NOON_DATE)]), Quota::default());
    }

    #[test]
    fn values_that_cannot_be_read_are_ignored_one_by_one() {
        let quota = read(
            NOON,
            &[
                ("anthropic-organization-id", " "),
                ("anthropic-ratelimit-requests-limit", "-1"),
                ("anthropic-ratelimit-requests-remaining", "many"),
                ("anthropic-ratelimit-requests-reset", "2026-13-45T00:00:00Z"),
                ("anthropic-ratelimit-tokens-limit", " 7 "),
                ("x-ratelimit-limit-requests", "60"),
                ("x-ratelimit-reset-requests", "soon"),
                ("x-ratelimit-reset-tokens", "1.5.5s"),
                ("anthropic-ratelimit-unified-status", "maybe"),
                ("anthropic-ratelimit-unified-reset", "1e9"),
                ("retry-after", "later"),
                ("retry-after-ms", "-5"),
                ("x-should-retry", "perhaps"),
                ("date", "today"),
            ],
        );
        let expect = Quota {
            requests: Gauge { limit: Some(60), ..Gauge::default() },
            tokens: Gauge { limit: Some(7), ..Gauge::default() },
            ..Quota::default()
        };
        assert_eq!(quota, expect);
    }

    #[test]
    fn the_headers_of_anthropic_go_before_those_of_others() {
        let quota = read(
            NOON,
            &[
                ("anthropic-ratelimit-tokens-limit", "1"),
                ("anthropic-ratelimit-tokens-remaining", "2"),
                ("anthropic-ratelimit-tokens-reset", "2026-11-20T12:00:03Z"),
                ("x-ratelimit-limit-tokens", "4"),
                ("x-ratelimit-remaining-tokens", "5"),
                ("x-ratelimit-reset-tokens", "6s"),
            ],
        );
        assert_eq!(quota.tokens, Gauge { limit: Some(1), remaining: Some(2), reset: Some(at(NOON + 3)) });
    }

    #[test]
    fn a_moment_is_taken_relative_to_the_date_of_its_answer() {
        // Our clock is an hour behind theirs.
        let now = NOON - 3600;
        let quota = read(
            now,
            &[
                ("date", NOON_DATE),
                ("anthropic-ratelimit-requests-reset", "2026-11-20T12:00:10Z"),
                ("anthropic-ratelimit-tokens-reset", "2026-11-20T11:59:50Z"),
                ("anthropic-ratelimit-unified-reset", "1795176300"),
                ("x-ratelimit-reset-tokens", "1s"),
                ("retry-after", "Fri, 20 Nov 2026 12:00:30 GMT"),
            ],
        );
        assert_eq!(quota.requests.reset, Some(at(now + 10)));
        assert_eq!(quota.tokens.reset, Some(at(now - 10)));
        assert_eq!(quota.unified.unwrap().reset, Some(at(now + 300)));
        assert_eq!(quota.retry_after, Some(Duration::from_secs(30)));
    }

    #[test]
    fn the_time_to_wait_is_read_in_every_form() {
        for (headers, expect) in [
            (&[("retry-after", "0")][..], Some(0)),
            (&[("retry-after", "124633")], Some(124_633_000)),
            (&[("retry-after", "1.5")], Some(1_500)),
            (&[("retry-after", "0.0005")], Some(0)),
            (&[("retry-after-ms", "250")], Some(250)),
            (&[("retry-after-ms", "250"), ("retry-after", "7")], Some(250)),
            (&[("retry-after-ms", "x"), ("retry-after", "7")], Some(7_000)),
            (&[("retry-after", "Fri, 20 Nov 2026 12:00:30 GMT")], Some(30_000)),
            (&[("retry-after", "Fri, 20 Nov 2026 11:00:00 GMT")], Some(0)),
            (&[("retry-after", "Mon, 20 Nov 2026 12:00:30 GMT")], Some(30_000)),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "1e3")], None),
            (&[("retry-after", "inf")], None),
            (&[("retry-after", ".5")], None),
            (&[("retry-after", "5.")], None),
            (&[("retry-after", "+5")], None),
            (&[("retry-after", "1.+5")], None),
            (&[("retry-after", "1.0000000005x")], None),
            (&[("retry-after", "99999999999999999999")], None),
        ] {
            let wait = read(NOON, headers).retry_after;
            assert_eq!(wait.map(|wait| wait.as_millis()), expect, "{headers:?}");
        }
        let longest = read(NOON, &[("retry-after", "18446744073709551615")]).retry_after;
        assert_eq!(longest, Some(Duration::from_secs(u64::MAX)));
    }

    #[test]
    fn whether_to_retry_is_said_in_two_words_only() {
        for (text, expect) in [("true", Some(true)), ("false", Some(false)), ("True", None), ("1", None)] {
            assert_eq!(read(NOON, &[("x-should-retry", text)]).should_retry, expect, "{text}");
        }
    }

    #[test]
    fn a_reset_of_other_servers_is_a_duration_or_a_moment() {
        for (text, expect) in [
            ("6m0s", Some(360_000)),
            ("1.5s", Some(1_500)),
            ("20ms", Some(20)),
            ("1h2m3.5s", Some(3_723_500)),
            ("2d", Some(172_800_000)),
            ("0s", Some(0)),
            ("1500us", Some(1)),
            ("2000000ns", Some(2)),
            ("12", Some(12_000)),
            ("0.25", Some(250)),
            ("31622400", Some(31_622_400_000)),
            ("1795176030", Some(30_000)),
            ("1795176030.5", Some(30_500)),
            ("1795176030250", Some(30_250)),
            ("2026-11-20T12:00:30Z", Some(30_000)),
            ("6", Some(6_000)),
            ("6x", None),
            ("s", None),
            ("6m5", None),
            ("-6s", None),
            ("6 m", None),
        ] {
            for now in [NOON, NOON + 86_400] {
                let headers = [("x-ratelimit-reset-requests", text), ("date", NOON_DATE)];
                let reset = read(now, &headers).requests.reset;
                assert_eq!(reset.map(|reset| reset.since(at(now)).as_millis()), expect, "{text}");
            }
        }
        // What lies between the longest wait and today is a moment long past.
        let headers = [("x-ratelimit-reset-tokens", "31622401"), ("date", NOON_DATE)];
        assert_eq!(read(NOON, &headers).tokens.reset, Some(at(31_622_401)));
        let headers = [("x-ratelimit-reset-tokens", "999999999999"), ("date", NOON_DATE)];
        assert_eq!(read(NOON, &headers).tokens.reset, None);
    }

    #[test]
    fn the_windows_of_a_subscription_are_read() {
        for (text, status) in [
            ("allowed", UnifiedStatus::Allowed),
            ("allowed_warning", UnifiedStatus::Warning),
            ("rejected", UnifiedStatus::Rejected),
        ] {
            let unified = read(NOON, &[("anthropic-ratelimit-unified-status", text)]).unified;
            assert_eq!(unified, Some(Unified { status: Some(status), ..Unified::default() }));
        }
        let windows = [
            ("anthropic-ratelimit-unified-5h-reset", "1795176001"),
            ("anthropic-ratelimit-unified-7d-reset", "1795176002"),
            ("anthropic-ratelimit-unified-7d_opus-reset", "1795176003"),
            ("anthropic-ratelimit-unified-7d_sonnet-reset", "1795176004"),
            ("anthropic-ratelimit-unified-7d_oi-reset", "1795176005"),
        ];
        for (claim, seconds) in [
            ("five_hour", Some(1)),
            ("seven_day", Some(2)),
            ("seven_day_opus", Some(3)),
            ("seven_day_sonnet", Some(4)),
            ("seven_day_overage_included", Some(5)),
            ("thirty_day", None),
        ] {
            let claimed =
                [&windows[..], &[("anthropic-ratelimit-unified-representative-claim", claim)]].concat();
            let unified = read(NOON, &claimed).unified.unwrap();
            assert_eq!(unified.reset, seconds.map(|seconds| at(NOON + seconds)));
            assert_eq!(unified.claim.as_deref(), Some(claim));

            let general = [&claimed[..], &[("anthropic-ratelimit-unified-reset", "1795176009")]].concat();
            assert_eq!(read(NOON, &general).unified.unwrap().reset, Some(at(NOON + 9)));
        }
    }

    #[test]
    fn the_longest_duration_does_not_wrap() {
        assert_eq!(duration("18446744073709551615s1s"), None);
        assert_eq!(duration("18446744073709551615h"), None);
        assert_eq!(duration(""), None);
        let reset = read(NOON, &[("x-ratelimit-reset-tokens", "18446744073709551615s")]).tokens.reset;
        assert_eq!(reset, Some(Time::from_epoch(Duration::MAX)));
    }
}
