//! The headers about windows of a subscription (`anthropic-ratelimit-unified-*`), made to describe the pool: Claude Code
//! warns by them, and whoever is served by a pool is not warned of one key of it.
//!
//! Nothing is invented: a header that the provider did not send is not added, and what is said of overage stays the
//! answering key's own. Every other header stays as it is.

use std::borrow::Cow;

use relay_config::checked::UnifiedHeaders;
use relay_core::state::{Pool, PoolWindow};
use relay_core::{Plan, Share, Time, WindowName};
use relay_headers::{Change, Header, Headers, Value};
use relay_wire::quota::CLAIMS;

use crate::attempt::Reply;
use crate::clock::seconds_up;
use crate::relay::Journey;

const FAMILY: &str = "anthropic-ratelimit-unified-";

/// From this part on a window warns. It is the threshold that providers name in captured answers
/// (`surpassed-threshold: 0.75`), and the first of those at which Claude Code warns.
const WARNS_FROM: Share = Share(750_000);

/// Makes the headers of an answer describe the pool, if that is wanted and they describe anything.
pub(crate) fn describe(journey: &Journey, plan: &Plan, reply: &mut Reply) {
    if journey.snapshot.unified_headers != UnifiedHeaders::Pool || !reply.headers.iter().any(is_of_family) {
        return;
    }
    if let Some(pool) = journey.relay.live.pool(plan) {
        rewrite(&mut reply.headers, &pool);
    }
}

fn is_of_family(header: Header<'_>) -> bool {
    header.name().get(..FAMILY.len()).is_some_and(|name| name.eq_ignore_ascii_case(FAMILY.as_bytes()))
}

/// What is said of the pool as a whole.
struct Whole<'p> {
    pool: &'p Pool,
    status: &'static str,
    /// The window that decides, if another one does than the provider says.
    claim: Option<&'static str>,
    reset: Option<Time>,
}

fn rewrite(headers: &mut Headers, pool: &Pool) {
    let whole = Whole::of(headers, pool);
    // The values that change, so that they outlive the look at what they replace.
    let values: Vec<_> = headers.iter().map(|header| whole.value(&header)).collect();
    let mut values = values.iter();
    headers.revise(|_| match values.next() {
        Some(New::Value(value)) => Value::new(value.as_bytes()).map_or(Change::Keep, Change::To),
        Some(New::Nothing) => Change::Drop,
        Some(New::Same) | None => Change::Keep,
    });
}

/// What becomes of a header.
enum New {
    Same,
    Nothing,
    Value(Cow<'static, str>),
}

impl<'p> Whole<'p> {
    fn of(headers: &Headers, pool: &'p Pool) -> Self {
        // Of those windows only that the answer speaks of and that have a name as a claim.
        let told = CLAIMS.iter().filter_map(|(claim, name)| {
            let window = pool.window(WindowName::of(name)?)?;
            let speaks =
                |header: Header<'_>| window_of(&header.lowercase()).is_some_and(|it| it.0 == window.name);
            headers.iter().any(speaks).then_some((*claim, window))
        });
        let told: Vec<_> = told.collect();
        let said = headers.text("anthropic-ratelimit-unified-representative-claim");
        let as_said = told.iter().find(|(claim, _)| said == Some(claim)).map(|(_, window)| *window);
        let worst = told.iter().rev().max_by_key(|(_, window)| (window.is_spent, window.used)).copied();
        let status = match (pool.serves, worst) {
            (false, _) => "rejected",
            (true, Some((_, window))) if window.used >= Some(WARNS_FROM) => "allowed_warning",
            (true, _) => "allowed",
        };
        let claimed = worst.filter(|_| status != "allowed");
        let (claim, window) = match claimed {
            Some((claim, window)) => (Some(claim), Some(window)),
            None => (None, as_said),
        };
        let ready = pool.ready.filter(|_| !pool.serves);
        Self { pool, status, claim, reset: ready.or_else(|| window?.reset) }
    }

    fn value(&self, header: &Header<'_>) -> New {
        let name = header.lowercase();
        match name.strip_prefix(FAMILY) {
            None => New::Same,
            Some("status") => New::Value(self.status.into()),
            Some("reset") => moment(self.reset),
            Some("representative-claim") => self.claim.map_or(New::Same, |claim| New::Value(claim.into())),
            Some(_) => match window_of(&name) {
                Some((window, what)) => {
                    self.pool.window(window).map_or(New::Same, |window| of_window(window, what, header))
                }
                None => New::Same,
            },
        }
    }
}

/// The window that a header speaks of, and what it says of it.
fn window_of(name: &str) -> Option<(WindowName, &str)> {
    let (window, what) = name.strip_prefix(FAMILY)?.split_once('-')?;
    Some((WindowName::of(window)?, what))
}

fn of_window(window: &PoolWindow, what: &str, header: &Header<'_>) -> New {
    let Some(used) = window.used else { return New::Same };
    match what {
        "status" if window.is_spent => New::Value("rejected".into()),
        "status" if used >= WARNS_FROM => New::Value("allowed_warning".into()),
        "status" => New::Value("allowed".into()),
        "utilization" => New::Value(written(used).into()),
        "reset" => moment(window.reset),
        "surpassed-threshold" => surpassed(used, header),
        _ => New::Same,
    }
}

/// The threshold that was said, if the pool has surpassed it too; or else the lowest one, or none.
fn surpassed(used: Share, header: &Header<'_>) -> New {
    let said = header.text().and_then(|text| text.parse::<f64>().ok());
    if said.is_some_and(|said| f64::from(used.0) >= said * f64::from(Share::WHOLE.0)) {
        return New::Same;
    }
    if used >= WARNS_FROM { New::Value(written(WARNS_FROM).into()) } else { New::Nothing }
}

/// A part as providers write it: `0.0`, `0.94`, `1.0`. Cut off, so that nothing looks used up that is not.
fn written(share: Share) -> String {
    let percent = share.0 / 10_000;
    let text = format!("{}.{:02}", percent / 100, percent % 100);
    text.strip_suffix('0').map(str::to_owned).unwrap_or(text)
}

/// In seconds since the Unix epoch, rounded up: by then it has been. Where the pool has none, what was said stays.
fn moment(moment: Option<Time>) -> New {
    let Some(since) = moment.map(Time::since_epoch) else { return New::Same };
    New::Value(seconds_up(since).to_string().into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SENT: [(&str, &str); 12] = [
        ("date", "Fri, 20 Nov 2026 12:00:00 GMT"),
        ("Anthropic-RateLimit-Unified-Status", "allowed_warning"),
        ("anthropic-ratelimit-unified-reset", "1000"),
        ("anthropic-ratelimit-unified-representative-claim", "seven_day"),
        ("anthropic-ratelimit-unified-5h-utilization", "0.02"),
        ("anthropic-ratelimit-unified-7d-status", "allowed_warning"),
        ("anthropic-ratelimit-unified-7d-reset", "1000"),
        ("anthropic-ratelimit-unified-7d-utilization", "0.94"),
        ("anthropic-ratelimit-unified-7d-surpassed-threshold", "0.75"),
        ("anthropic-ratelimit-unified-9d_new-utilization", "0.5"),
        ("anthropic-ratelimit-unified-overage-status", "rejected"),
        ("request-id", "req_1"),
    ];

    fn sent() -> Headers {
        let lines: Vec<u8> =
            SENT.iter().flat_map(|(name, value)| format!("{name}: {value}\r\n").into_bytes()).collect();
        let head = bytes::Bytes::from(lines);
        let lines: Vec<_> = head.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        let pair = |line: &'_ [u8]| {
            let colon = line.iter().position(|byte| *byte == b':').unwrap();
            (0..colon, colon + 2..line.len() - 1)
        };
        let pairs = lines.iter().map(|line| {
            let (name, value) = pair(line);
            (&line[name], &line[value])
        });
        Headers::parsed(&head, pairs).unwrap()
    }

    fn window(name: &str, used: u32, reset: u64, is_spent: bool) -> PoolWindow {
        let reset = Some(Time::from_epoch(Duration::from_secs(reset)));
        PoolWindow { name: WindowName::of(name).unwrap(), used: Some(Share(used)), reset, is_spent }
    }

    /// What changes, by the ends of names.
    fn changed(pool: &Pool) -> Vec<(String, Option<String>)> {
        let mut headers = sent();
        rewrite(&mut headers, pool);
        let kept: Vec<_> = headers.iter().map(|header| header.name().to_vec()).collect();
        let in_order =
            SENT.iter().map(|(name, _)| name.as_bytes()).filter(|name| kept.contains(&name.to_vec()));
        assert!(in_order.eq(kept.iter().map(Vec::as_slice)), "nothing is added, moved or spelt otherwise");
        let now = |name: &str| headers.text(name).map(str::to_owned);
        let changed = SENT.iter().filter(|(name, value)| now(name).as_deref() != Some(value));
        changed
            .map(|(name, _)| (name.to_lowercase().strip_prefix(FAMILY).unwrap().to_owned(), now(name)))
            .collect()
    }

    fn to(pairs: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect()
    }

    #[test]
    fn a_key_that_is_nearly_used_up_does_not_warn_of_a_pool_that_is_not() {
        let windows = vec![window("5h", 110_000, 500, false), window("7d", 549_999, 700, false)];
        let pool = Pool { serves: true, windows, ..Pool::default() };
        let mut expect = to(&[
            ("status", "allowed"),
            ("reset", "700"),
            ("5h-utilization", "0.11"),
            ("7d-status", "allowed"),
            ("7d-reset", "700"),
            ("7d-utilization", "0.54"),
        ]);
        expect.push(("7d-surpassed-threshold".to_owned(), None));
        assert_eq!(changed(&pool), expect);
    }

    #[test]
    fn a_pool_that_is_nearly_used_up_warns_of_the_window_that_is() {
        let windows = vec![window("5h", 960_000, 500, false), window("7d", 800_000, 700, false)];
        let pool = Pool { serves: true, windows, ..Pool::default() };
        let expect = to(&[
            ("reset", "500"),
            ("representative-claim", "five_hour"),
            ("5h-utilization", "0.96"),
            ("7d-reset", "700"),
            ("7d-utilization", "0.8"),
        ]);
        assert_eq!(changed(&pool), expect);
    }

    #[test]
    fn a_pool_that_serves_nobody_is_rejected_until_somebody_can() {
        let ready = Some(Time::from_epoch(Duration::from_millis(499_001)));
        let windows = vec![window("5h", 1_000_000, 500, true), window("7d", 600_000, 700, false)];
        let pool = Pool { serves: false, ready, windows };
        let known = changed(&pool);
        for expect in to(&[("status", "rejected"), ("reset", "500"), ("representative-claim", "five_hour")]) {
            assert!(known.contains(&expect), "{known:?}");
        }
    }

    #[test]
    fn where_nothing_is_known_of_the_windows_of_a_pool_what_was_said_of_them_stays() {
        let pool = Pool { serves: true, ..Pool::default() };
        assert_eq!(changed(&pool), to(&[("status", "allowed")]));
    }

    #[test]
    fn a_part_is_written_as_providers_write_it() {
        for (share, text) in
            [(0, "0.0"), (20_000, "0.02"), (500_000, "0.5"), (999_999, "0.99"), (1_000_000, "1.0")]
        {
            assert_eq!(written(Share(share)), text);
        }
    }
}
