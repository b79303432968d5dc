//! What the head of an answer says about limits. It knows the names of headers and how providers
//! write numbers, times and durations; it refuses to know what a limit means (that is `core`'s) and
//! what time it is (that is an argument).
//!
//! Values that cannot be read are ignored one by one, as if their header were absent. Sources: the
//! Anthropic API's rate-limit page (platform.claude.com/docs/en/api/rate-limits); for the `unified`
//! family, which has no public reference, captures of it; for `x-ratelimit-*`, OpenAI-style servers.

mod written;

#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::time::Duration;

use jiff::Timestamp;
use relay_core::{Gauge, Quota, Share, Time, Unified, UnifiedStatus, WindowName, WindowReading};
use relay_headers::Headers;

use self::written::{decimal, duration, http_date, timestamp};

/// The largest bare number in `x-ratelimit-reset-*` that is a number of seconds to wait: a year. What
/// is larger is a moment since the Unix epoch, in seconds or, from [`FIRST_MILLISECOND`] on, in
/// milliseconds.
const LAST_WAIT: u64 = 366 * 86_400;

/// 2001 in milliseconds, and the year 33658 in seconds.
const FIRST_MILLISECOND: u64 = 1_000_000_000_000;

/// Which limits an answer tells of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pool {
    /// Those that most calls count against.
    Ordinary,
    /// Those of calls that are answered faster for more money
    /// (<https://platform.claude.com/docs/en/build-with-claude/fast-mode>).
    Fast,
}

/// How long the words of an error ask to wait, as those of OpenAI (`Please try again in 1m12.5s.`) and of Google
/// (`Please retry in 17.6s.`) do.
pub fn wait_in_words(words: &str) -> Option<Duration> {
    let (_, after) = words.split_once("try again in ").or_else(|| words.split_once("retry in "))?;
    let word = after.split_whitespace().next()?;
    duration(word.trim_end_matches(['.', ',', ';'])).filter(|wait| wait.as_secs() <= LAST_WAIT)
}

/// Reads every header that tells of limits, of who holds them and of when to come again. The call counts against those of
/// that pool; of others its answer may tell as well.
///
/// A moment in a header is the provider's clock speaking. Where the answer carries its own `Date`, the
/// moment is taken relative to that and counted from `now`, so that a clock that is wrong, ours or
/// theirs, does no harm.
pub fn quota(headers: &Headers, pool: Pool, now: Time) -> Quota {
    let mut head = Head { now, ..Head::default() };
    if !head.read(headers) {
        return Quota::default();
    }
    let (nothing, fast) = (Bucket::default(), &head.fast);
    let [requests, input, output, tokens] = match pool {
        Pool::Ordinary => [&head.requests, &head.input, &head.output, &head.tokens],
        Pool::Fast => [&nothing, &fast.input, &fast.output, &nothing],
    };
    Quota {
        organization: head.organization.map(str::to_owned),
        workspace: head.workspace.map(str::to_owned),
        requests: head.gauge(requests),
        input: head.gauge(input),
        output: head.gauge(output),
        tokens: head.gauge(tokens),
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
    fast: Fast<'a>,
    unified_status: Option<&'a str>,
    unified_claim: Option<&'a str>,
    unified_reset: Option<&'a str>,
    overage_status: Option<&'a str>,
    overage_in_use: Option<&'a str>,
    /// The windows of a subscription. Whatever is called like one is one.
    windows: Vec<(WindowName, Window<'a>)>,
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

/// The buckets of calls that are answered faster.
#[derive(Default)]
struct Fast<'a> {
    input: Bucket<'a>,
    output: Bucket<'a>,
}

#[derive(Default)]
struct Readings<'a> {
    limit: Option<&'a str>,
    remaining: Option<&'a str>,
    reset: Option<&'a str>,
}

/// The headers of one window of a subscription.
#[derive(Default)]
struct Window<'a> {
    status: Option<&'a str>,
    utilization: Option<&'a str>,
    reset: Option<&'a str>,
}

/// What `-representative-claim` calls a window, and the middle of the names of its headers. From captures, and from what
/// Claude Code looks for; a claim of any other name is of a window that is not known.
pub const CLAIMS: [(&str, &str); 5] = [
    ("five_hour", "5h"),
    ("seven_day", "7d"),
    ("seven_day_opus", "7d_opus"),
    ("seven_day_sonnet", "7d_sonnet"),
    ("seven_day_overage_included", "7d_oi"),
];

/// More windows than this are not read from one answer. Four were seen together.
const MOST_WINDOWS: usize = 16;

/// More of a window than this cannot be used, in windows: what claims so is no part of one, a percentage perhaps. Shares
/// a little above 1 were seen (1.01).
const MOST_USED: u128 = 10;

impl<'a> Head<'a> {
    /// In one pass: an answer has a dozen headers, and there are fifty names to look for. False if nothing tells of
    /// limits.
    fn read(&mut self, headers: &'a Headers) -> bool {
        // The letters with which those names begin.
        let begins =
            |name: &[u8]| matches!(name.first().map(u8::to_ascii_lowercase), Some(b'a' | b'd' | b'r' | b'x'));
        let mut tells = false;
        for header in headers.iter().filter(|header| begins(header.name())) {
            if let Some(place @ None) = self.place(&header.lowercase()) {
                *place = header.text().map(str::trim_ascii).filter(|text| !text.is_empty());
                tells |= !header.is("date");
            }
        }
        tells
    }

    /// Where the value of a header of that name is kept.
    fn place(&mut self, name: &str) -> Option<&mut Option<&'a str>> {
        if let Some(name) = name.strip_prefix("anthropic-") {
            return self.place_of_anthropic(name);
        }
        if let Some(name) = name.strip_prefix("x-ratelimit-") {
            let (reading, bucket) = name.split_once('-')?;
            return self.bucket(bucket)?.other.place(reading);
        }
        match name {
            "date" => Some(&mut self.date),
            "retry-after" => Some(&mut self.retry_after),
            "retry-after-ms" => Some(&mut self.retry_after_millis),
            "x-should-retry" => Some(&mut self.should_retry),
            _ => None,
        }
    }

    fn place_of_anthropic(&mut self, name: &str) -> Option<&mut Option<&'a str>> {
        if let Some(name) = name.strip_prefix("fast-") {
            let (bucket, reading) = name.split_once("-tokens-")?;
            let bucket = match bucket {
                "input" => &mut self.fast.input,
                "output" => &mut self.fast.output,
                _ => return None,
            };
            return bucket.anthropic.place(reading);
        }
        let Some(name) = name.strip_prefix("ratelimit-") else {
            return match name {
                "organization-id" => Some(&mut self.organization),
                "workspace-id" => Some(&mut self.workspace),
                _ => None,
            };
        };
        let Some(name) = name.strip_prefix("unified-") else {
            // No bucket's name begins with another's.
            let bucket = ["requests", "input-tokens", "output-tokens", "tokens"]
                .into_iter()
                .find(|bucket| name.starts_with(bucket))?;
            return self.bucket(bucket)?.anthropic.place(name[bucket.len()..].strip_prefix('-')?);
        };
        match name {
            "status" => Some(&mut self.unified_status),
            "representative-claim" => Some(&mut self.unified_claim),
            "reset" => Some(&mut self.unified_reset),
            "overage-status" => Some(&mut self.overage_status),
            "overage-in-use" => Some(&mut self.overage_in_use),
            _ => {
                let (window, what) = name.split_once('-')?;
                self.window(WindowName::of(window)?)?.place(what)
            }
        }
    }

    fn window(&mut self, name: WindowName) -> Option<&mut Window<'a>> {
        let known = self.windows.iter().position(|(known, _)| *known == name);
        if known.is_none() && self.windows.len() < MOST_WINDOWS {
            self.windows.push((name, Window::default()));
        }
        let place = known.unwrap_or(self.windows.len().checked_sub(1)?);
        self.windows.get_mut(place).filter(|(own, _)| *own == name).map(|(_, window)| window)
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
        let claim = self.unified_claim;
        let read = |(name, window): &(WindowName, Window<'_>)| WindowReading {
            name: *name,
            status: window.status.and_then(status),
            used: window.utilization.and_then(share),
            reset: window.reset.and_then(|text| self.moment(text)),
        };
        let told = |window: &WindowReading| *window != WindowReading::of(window.name);
        let windows: Vec<_> = self.windows.iter().map(read).filter(told).collect();
        // The reset of the window that decided stands in for the general one.
        let claimed = CLAIMS.iter().find(|(known, _)| claim == Some(known)).map(|(_, window)| *window);
        let claimed = windows.iter().find(|window| claimed == Some(window.name.as_str()));
        let reset = self.unified_reset.and_then(|text| self.moment(text));
        let unified = Unified {
            status: self.unified_status.and_then(status),
            reset: reset.or_else(|| claimed?.reset),
            claim: claim.map(str::to_owned),
            overage: self.overage_status.and_then(status),
            overage_in_use: self.overage_in_use == Some("true"),
            windows,
        };
        (unified != Unified::default()).then_some(unified)
    }

    /// A moment that somebody may wait for: some write one that is years ahead, and mean nothing by it.
    fn near(&self, moment: Time) -> Option<Time> {
        (moment.since(self.now).as_secs() <= LAST_WAIT).then_some(moment)
    }

    /// `retry-after-ms`, or `retry-after` in seconds or as a date.
    fn retry_after(&self) -> Option<Duration> {
        let millis = self.retry_after_millis.and_then(|text| decimal(text, Duration::from_millis(1)));
        let wait = || {
            let text = self.retry_after?;
            let date = || Some(self.near(self.local(http_date(text)?))?.since(self.now));
            let seconds = decimal(text, Duration::from_secs(1));
            // Some write a moment where a wait belongs; and what is neither is nothing.
            let moment = |seconds: &Duration| seconds.as_secs() > LAST_WAIT;
            match seconds.filter(moment) {
                Some(_) => Some(self.wait_or_moment(text)?.since(self.now)).filter(|wait| !wait.is_zero()),
                None => seconds.or_else(date),
            }
        };
        millis.or_else(wait)
    }

    /// A moment in RFC 3339, or in seconds since the Unix epoch.
    fn moment(&self, text: &str) -> Option<Time> {
        match timestamp(text) {
            Some(moment) => self.near(self.local(moment)),
            None => self.epoch(text),
        }
    }

    /// A moment in seconds since the Unix epoch.
    fn epoch(&self, text: &str) -> Option<Time> {
        let since = decimal(text, Duration::from_secs(1))?;
        self.near(self.local(Timestamp::UNIX_EPOCH.checked_add(since).ok()?))
    }

    /// How long to wait (`6m0s`, `20ms`, `12`), or a moment.
    fn wait_or_moment(&self, text: &str) -> Option<Time> {
        let Some(number) = decimal(text, Duration::from_secs(1)) else {
            return duration(text).and_then(|wait| self.near(self.now + wait)).or_else(|| self.moment(text));
        };
        match number.as_secs() {
            ..=LAST_WAIT => Some(self.now + number),
            FIRST_MILLISECOND.. => {
                self.near(self.local(Timestamp::UNIX_EPOCH.checked_add(number / 1000).ok()?))
            }
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

impl<'a> Window<'a> {
    fn place(&mut self, name: &str) -> Option<&mut Option<&'a str>> {
        match name {
            "status" => Some(&mut self.status),
            "utilization" => Some(&mut self.utilization),
            "reset" => Some(&mut self.reset),
            _ => None,
        }
    }
}

fn status(text: &str) -> Option<UnifiedStatus> {
    match text {
        "allowed" => Some(UnifiedStatus::Allowed),
        "allowed_warning" => Some(UnifiedStatus::Warning),
        "rejected" => Some(UnifiedStatus::Rejected),
        _ => None,
    }
}

/// A part of a window, as a decimal fraction.
fn share(text: &str) -> Option<Share> {
    let millionths = decimal(text, Duration::from_secs(1))?.as_micros();
    let plausible = millionths <= MOST_USED * u128::from(Share::WHOLE.0);
    u32::try_from(millionths).ok().filter(|_| plausible).map(Share)
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
