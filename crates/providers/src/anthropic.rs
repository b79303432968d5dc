//! The Anthropic API, and what the answers of everything that speaks as it does mean.
//! <https://platform.claude.com/docs/en/api/errors>, <https://platform.claude.com/docs/en/api/rate-limits>

use std::time::Duration;

use relay_core::{Breakage, Extent, Quota, Time, Verdict};
use relay_wire::refusal::{self, Refusal};

use crate::adapter::{Adapter, Auth, Facts, Head, Offer, Piece, Place};

pub(crate) struct Anthropic;

impl Adapter for Anthropic {
    fn facts(&self) -> &'static Facts {
        &Facts {
            place: Place::At("https://api.anthropic.com"),
            models: &[
                "claude-fable-5-2",
                "claude-fable-5-1",
                "claude-opus-5-5",
                "claude-opus-5",
                "claude-sonnet-5-5",
                "claude-sonnet-5",
                "claude-haiku-5-5",
                "claude-haiku-4-5",
            ],
            owner: "anthropic",
            auth: Auth::API_KEY,
            offers: &[
                Offer::CountTokens,
                Offer::Batches,
                Offer::Files,
                Offer::FastMode,
                Offer::OwnCredential,
            ],
            lacks: |_| &[],
            signed_only: |_| true,
            ..Facts::USUAL
        }
    }
}

/// A 429 that asks for no more than this while nothing is used up is a throttle: the same key goes on
/// after the pause. Anything longer is treated as a quota. (Our choice: provider throttles refill per
/// second, quotas per minute.)
const SHORT_PAUSE: Duration = Duration::from_secs(5);

/// A quota whose refusal does not say when it is back is asked again after this: one minute is the
/// window in which every published limit is stated.
const UNSAID: Duration = Duration::from_mins(1);

/// A 429 that says nothing of limits and does not ask to be sent again, as those of many compatible providers, is taken
/// to mean "too fast". One of Anthropic's about a single request asks for it, or says no more than "Error"
/// (observed; there is no documentation). So a key that says so to everything is not asked for everything.
const BARE_PAUSE: Duration = Duration::from_secs(5);

/// What an answer means.
pub(crate) fn judge(head: &Head<'_>, piece: Piece<'_>, now: Time) -> Verdict {
    match (head.status.as_u16(), piece) {
        (200..=299, Piece::Error(data)) => in_stream(&refusal::read(data), head.quota, now),
        (200..=299, _) => Verdict::Served,
        (400, Piece::Body(body)) => bad_request(&refusal::read(body)),
        (401, _) => Verdict::KeyBad(Extent::Key),
        (402, _) => Verdict::OutOfMoney,
        (403, _) => Verdict::KeyBad(Extent::Class),
        (404, _) => Verdict::Unfit,
        (408, _) => Verdict::Broken(Breakage::Late),
        (429, Piece::Body(body)) => too_many(&refusal::read(body), head.quota, now),
        (429, _) => too_many(&Refusal::default(), head.quota, now),
        (503 | 529, _) => overloaded(head.quota, now),
        // A redirect would carry a credential to a host that nobody configured.
        (500..=599 | 300..=399, _) => Verdict::Broken(Breakage::Status),
        _ => Verdict::Refused,
    }
}

/// An error that came as the first event of a stream, under a 200.
fn in_stream(refusal: &Refusal, quota: &Quota, now: Time) -> Verdict {
    match refusal.kind.as_deref() {
        Some("overloaded_error") => overloaded(quota, now),
        Some("rate_limit_error") => too_many(refusal, quota, now),
        Some("authentication_error") => Verdict::KeyBad(Extent::Key),
        Some("permission_error") => Verdict::KeyBad(Extent::Class),
        Some("billing_error") => Verdict::OutOfMoney,
        Some("not_found_error") => Verdict::Unfit,
        Some("invalid_request_error") => bad_request(refusal),
        Some("request_too_large" | "conflict_error") => Verdict::Refused,
        Some("timeout_error") => Verdict::Broken(Breakage::Late),
        _ => Verdict::Broken(Breakage::Status),
    }
}

/// The kinds of 429, kept apart.
fn too_many(refusal: &Refusal, quota: &Quota, now: Time) -> Verdict {
    let capped = refusal.code.as_deref() == Some("enforced_spend_limit_reached");
    if capped || refusal.kind.as_deref() == Some("billing_error") {
        return Verdict::OutOfMoney;
    }
    if is_crowd(refusal) && !quota.says_spent() {
        return Verdict::Crowded { until: now + quota.retry_after.unwrap_or(BARE_PAUSE) };
    }
    if !quota.speaks_of_limits() {
        let asks_again = quota.should_retry == Some(true);
        return if asks_again || refusal.message.as_deref() == Some("Error") {
            Verdict::AboutThisCall
        } else {
            Verdict::Throttled { until: now + BARE_PAUSE }
        };
    }
    let said = quota.retry_after.map(|pause| now + pause);
    match (quota.says_spent(), quota.retry_after) {
        (false, Some(pause)) if pause <= SHORT_PAUSE => Verdict::Throttled { until: now + pause },
        _ => Verdict::Spent { until: said.or(quota.reset()).unwrap_or(now + UNSAID) },
    }
}

/// Does it say that too many calls are under way at once? No code says so; the words of all who limit that have this one.
fn is_crowd(refusal: &Refusal) -> bool {
    let words = refusal.message.as_deref().unwrap_or_default().as_bytes();
    words.windows(b"concurren".len()).any(|word| word.eq_ignore_ascii_case(b"concurren"))
}

fn overloaded(quota: &Quota, now: Time) -> Verdict {
    Verdict::Overloaded { until: quota.retry_after.map(|pause| now + pause) }
}

/// Most often the request is at fault. But that an account has no credit left, has come to the limit that its owner
/// set, or is closed, comes as a 400 too, told apart only by its words.
fn bad_request(refusal: &Refusal) -> Verdict {
    let words = refusal.message.as_deref().unwrap_or_default();
    let begins = |sentence: &str| words.starts_with(sentence);
    if begins("Your credit balance is too low") || begins("You have reached your specified API usage limits")
    {
        Verdict::OutOfMoney
    } else if begins("This organization has been disabled") {
        Verdict::KeyBad(Extent::Key)
    } else {
        Verdict::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;
    use relay_core::{Gauge, Unified, UnifiedStatus};

    const NOW: Time = Time::from_epoch(Duration::from_secs(1_000));

    fn judged(status: u16, quota: &Quota, piece: Piece<'_>) -> Verdict {
        judge(&Head { status: StatusCode::from_u16(status).unwrap(), quota }, piece, NOW)
    }

    #[test]
    fn what_each_status_means() {
        let none = Quota::default();
        let table = [
            (200, Verdict::Served),
            (400, Verdict::Refused),
            (401, Verdict::KeyBad(Extent::Key)),
            (402, Verdict::OutOfMoney),
            (403, Verdict::KeyBad(Extent::Class)),
            (404, Verdict::Unfit),
            (408, Verdict::Broken(Breakage::Late)),
            (409, Verdict::Refused),
            (413, Verdict::Refused),
            (422, Verdict::Refused),
            (429, Verdict::Throttled { until: NOW + BARE_PAUSE }),
            (500, Verdict::Broken(Breakage::Status)),
            (502, Verdict::Broken(Breakage::Status)),
            (503, Verdict::Overloaded { until: None }),
            (504, Verdict::Broken(Breakage::Status)),
            (529, Verdict::Overloaded { until: None }),
            (307, Verdict::Broken(Breakage::Status)),
        ];
        for (status, expect) in table {
            assert_eq!(judged(status, &none, Piece::Body(b"<html>")), expect, "{status}");
            assert_eq!(judged(status, &none, Piece::Nothing), expect, "{status}");
        }
    }

    #[test]
    fn the_kinds_of_429_are_told_apart() {
        let after = |seconds| Quota { retry_after: Some(Duration::from_secs(seconds)), ..Quota::default() };
        let until = |seconds| NOW + Duration::from_secs(seconds);
        assert_eq!(judged(429, &after(2), Piece::Nothing), Verdict::Throttled { until: until(2) });
        assert_eq!(judged(429, &after(30), Piece::Nothing), Verdict::Spent { until: until(30) });
        let empty = Gauge { limit: Some(50), remaining: Some(0), reset: Some(until(40)) };
        let spent = Quota { requests: empty, ..after(2) };
        assert_eq!(judged(429, &spent, Piece::Nothing), Verdict::Spent { until: until(2) });
        let silent = Quota { requests: empty, ..Quota::default() };
        assert_eq!(judged(429, &silent, Piece::Nothing), Verdict::Spent { until: until(40) });
        let rejected =
            Unified { status: Some(UnifiedStatus::Rejected), reset: Some(until(900)), ..Unified::default() };
        let window = Quota { unified: Some(rejected), ..Quota::default() };
        assert_eq!(judged(429, &window, Piece::Nothing), Verdict::Spent { until: until(900) });
        let cap = br#"{"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"enforced_spend_limit_reached"}}}"#;
        assert_eq!(judged(429, &Quota::default(), Piece::Body(cap)), Verdict::OutOfMoney);
        let asked_to_retry = Quota { should_retry: Some(true), ..Quota::default() };
        assert_eq!(judged(429, &asked_to_retry, Piece::Nothing), Verdict::AboutThisCall);
        let bare = br#"{"type":"error","error":{"type":"rate_limit_error","message":"Error"}}"#;
        assert_eq!(judged(429, &Quota::default(), Piece::Body(bare)), Verdict::AboutThisCall);
    }

    #[test]
    fn an_error_inside_a_200_is_what_it_says() {
        let event = |kind: &str| format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"m"}}}}"#);
        let table = [
            ("overloaded_error", Verdict::Overloaded { until: None }),
            ("rate_limit_error", Verdict::Throttled { until: NOW + BARE_PAUSE }),
            ("authentication_error", Verdict::KeyBad(Extent::Key)),
            ("invalid_request_error", Verdict::Refused),
            ("api_error", Verdict::Broken(Breakage::Status)),
            ("never_heard_of", Verdict::Broken(Breakage::Status)),
        ];
        for (kind, expect) in table {
            let piece = event(kind);
            assert_eq!(judged(200, &Quota::default(), Piece::Error(piece.as_bytes())), expect, "{kind}");
        }
    }

    #[test]
    fn a_400_may_speak_of_the_account_and_not_of_the_request() {
        let body = |words: &str| {
            format!(r#"{{"type":"error","error":{{"type":"invalid_request_error","message":"{words}"}}}}"#)
        };
        let table = [
            (
                "You have reached your specified API usage limits. You will regain access on 2026-12-01.",
                Verdict::OutOfMoney,
            ),
            (
                "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.",
                Verdict::OutOfMoney,
            ),
            ("This organization has been disabled.", Verdict::KeyBad(Extent::Key)),
            ("max_tokens: 1 is too low. Your credit balance is too low, said a user.", Verdict::Refused),
            ("messages: at least one message is required", Verdict::Refused),
        ];
        for (words, expect) in table {
            let body = body(words);
            assert_eq!(judged(400, &Quota::default(), Piece::Body(body.as_bytes())), expect, "{words}");
            assert_eq!(judged(200, &Quota::default(), Piece::Error(body.as_bytes())), expect, "{words}");
        }
    }
}
