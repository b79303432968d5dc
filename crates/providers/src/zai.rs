//! Z.AI: GLM models behind an endpoint that speaks as Anthropic does.
//! Whether a key, a plan or a model is at fault says a code inside its errors, most of which are 429.
//! <https://docs.z.ai/devpack/tool/claude>, <https://docs.z.ai/api-reference/api-code>

use std::time::Duration;

use relay_core::{Extent, Time, Verdict};
use relay_wire::moment;
use relay_wire::refusal::{self, Refusal};

use crate::adapter::{Adapter, Facts, Head, Piece, Place};
use crate::anthropic;

pub(crate) struct Zai;

impl Adapter for Zai {
    fn facts(&self) -> &'static Facts {
        &Facts {
            place: Place::At("https://api.z.ai/api/anthropic"),
            models: &[
                "glm-5.3",
                "glm-5.3-flash",
                "glm-5.2",
                "glm-5.1",
                "glm-5-turbo",
                "glm-4.7",
                "glm-4.5-air",
            ],
            knows_long: true,
            owner: "zhipu",
            ..Facts::USUAL
        }
    }

    fn judge(&self, head: &Head<'_>, piece: Piece<'_>, now: Time) -> Verdict {
        let refusal = match piece {
            Piece::Body(data) | Piece::Error(data) => refusal::read(data),
            Piece::Nothing => Refusal::default(),
        };
        let said = head.quota.retry_after.map(|pause| now + pause);
        match (code(&refusal), head.status.as_u16()) {
            // Too many at once.
            (1302, _) => Verdict::Crowded { until: said.unwrap_or(now + PAUSE) },
            // Too often.
            (1303, _) => Verdict::Throttled { until: said.unwrap_or(now + PAUSE) },
            // Too much for all, or of this model.
            (1305 | 1312, _) => Verdict::Overloaded { until: said },
            // What a day, a window or a month has is used up.
            (1304 | 1308 | 1310 | 1316..=1321, _) => {
                let words = refusal.message.as_deref().unwrap_or_default();
                let reset = moment::in_words(words, BEIJING).filter(|reset| *reset > now);
                Verdict::Spent { until: reset.or(said).unwrap_or(now + UNSAID) }
            }
            // The balance is used up.
            (1113, _) => Verdict::OutOfMoney,
            // The account is locked, its plan has ended, or its use was found unfair.
            (1112 | 1121 | 1309 | 1313, _) => Verdict::KeyBad(Extent::Key),
            // There is no such model, or not in this plan.
            (1211 | 1311, _) => Verdict::Unfit,
            // The prompt is too long.
            (1261, _) => Verdict::Refused,
            // It may not do that.
            (_, 434) => Verdict::KeyBad(Extent::Class),
            _ => anthropic::judge(head, piece, now),
        }
    }
}

/// So long rests a key of which too much was asked at once. Nothing says how long is needed.
const PAUSE: Duration = Duration::from_secs(5);

/// The same of one whose window is used up, if no reset is told: half an hour, a tenth of the shortest window.
const UNSAID: Duration = Duration::from_mins(30);

/// Its resets are told in that time, in hours east of Greenwich.
const BEIJING: i8 = 8;

/// What it says in particular: 0 if nothing. Where the error has no field for that, its words begin with it, as in
/// `[1305][The service may be temporarily overloaded]`.
fn code(refusal: &Refusal) -> u32 {
    let words = refusal.message.as_deref().unwrap_or_default();
    let bracketed = words.strip_prefix('[').and_then(|words| words.split(']').next());
    let code = refusal.code.as_deref().into_iter().chain(bracketed).find_map(|code| code.parse().ok());
    code.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;
    use relay_core::Quota;

    #[test]
    fn the_code_inside_an_error_says_what_it_means() {
        // 2026-09-09 05:00:01 in Beijing.
        let now = Time::from_epoch(Duration::from_secs(1_788_901_201));
        let later = |seconds| now + Duration::from_secs(seconds);
        let told = r#"{"error":{"code":"1308","message":"Usage limit reached for 5 hour. Your limit will reset at 2026-09-09 05:38:28"}}"#;
        let table = [
            (429, told, Verdict::Spent { until: later(2_307) }),
            (429, r#"{"error":{"code":"1310","message":"reset at 2026-09-01 00:00:00"}}"#, Verdict::Spent { until: later(1_800) }),
            (429, r#"{"error":{"code":1302,"message":"High concurrency usage of this API"}}"#, Verdict::Crowded { until: later(5) }),
            (529, r#"{"type":"error","error":{"type":"overloaded_error","message":"[1305][The service may be temporarily overloaded, please try again later]"}}"#, Verdict::Overloaded { until: None }),
            (429, r#"{"error":{"code":"1113","message":"Insufficient balance"}}"#, Verdict::OutOfMoney),
            (429, r#"{"error":{"code":"1313","message":"Fair Usage Policy"}}"#, Verdict::KeyBad(Extent::Key)),
            (429, r#"{"error":{"code":"1311","message":"model not in plan"}}"#, Verdict::Unfit),
            (400, r#"{"error":{"code":"1261","message":"Prompt exceeds max length"}}"#, Verdict::Refused),
            (434, "", Verdict::KeyBad(Extent::Class)),
            (401, r#"{"error":{"code":"1000","message":"Authentication Failed"}}"#, Verdict::KeyBad(Extent::Key)),
            (429, r#"{"error":{"message":"[what]"}}"#, Verdict::Throttled { until: later(5) }),
        ];
        let quota = Quota::default();
        for (status, body, expect) in table {
            let head = Head { status: StatusCode::from_u16(status).unwrap(), quota: &quota };
            assert_eq!(Zai.judge(&head, Piece::Body(body.as_bytes()), now), expect, "{body}");
        }
        let head = Head { status: StatusCode::OK, quota: &quota };
        assert_eq!(Zai.judge(&head, Piece::Nothing, now), Verdict::Served);
        assert_eq!(Zai.judge(&head, Piece::Error(told.as_bytes()), now), Verdict::Spent { until: later(2_307) });
        // What a head says of the pause is believed.
        let quota = Quota { retry_after: Some(Duration::from_secs(2)), ..Quota::default() };
        let head = Head { status: StatusCode::TOO_MANY_REQUESTS, quota: &quota };
        let busy = br#"{"error":{"code":"1303","message":"m"}}"#;
        assert_eq!(Zai.judge(&head, Piece::Body(busy), now), Verdict::Throttled { until: later(2) });
    }
}
