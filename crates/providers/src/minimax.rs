//! MiniMax, behind an endpoint that speaks as Anthropic does. Its errors say in a code of their own what they mean.
//! <https://platform.minimax.io/docs/api-reference/text-anthropic-api>,
//! <https://platform.minimax.io/docs/api-reference/errorcode>

use std::time::Duration;

use relay_core::{Breakage, Extent, Time, Verdict};
use relay_wire::refusal;

use crate::adapter::{Adapter, Facts, Head, Piece, Place};
use crate::anthropic;

pub(crate) struct MiniMax;

impl Adapter for MiniMax {
    fn facts(&self) -> &'static Facts {
        &Facts {
            place: Place::At("https://api.minimax.io/anthropic"),
            models: &[
                "MiniMax-M3",
                "MiniMax-M2.7",
                "MiniMax-M2.7-highspeed",
                "MiniMax-M2.5",
                "MiniMax-M2.5-highspeed",
                "MiniMax-M2.1",
            ],
            owner: "minimax",
            errs_late: true,
            ..Facts::USUAL
        }
    }

    fn judge(&self, head: &Head<'_>, piece: Piece<'_>, now: Time) -> Verdict {
        let code = match piece {
            Piece::Body(data) | Piece::Error(data) => code(data),
            Piece::Nothing => None,
        };
        let said = head.quota.retry_after.map(|pause| now + pause);
        match code {
            Some(1001) => Verdict::Broken(Breakage::Late),
            Some(1002) => Verdict::Throttled { until: said.unwrap_or(now + PAUSE) },
            Some(1004) => Verdict::KeyBad(Extent::Key),
            Some(1008) => Verdict::OutOfMoney,
            _ => anthropic::judge(head, piece, now),
        }
    }
}

/// So long rests a key of which too much was asked. Nothing says how long is needed.
const PAUSE: Duration = Duration::from_secs(5);

/// The code in brackets with which the words of an error end, as in `insufficient balance (1008)`.
fn code(error: &[u8]) -> Option<u32> {
    let refusal = refusal::read(error);
    let words = refusal.message.as_deref().unwrap_or_default().trim_end();
    let inner = words.strip_suffix(')').and_then(|words| words.rsplit('(').next());
    refusal.code.as_deref().into_iter().chain(inner).find_map(|code| code.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;
    use relay_core::Quota;

    #[test]
    fn the_code_inside_an_error_says_what_it_means() {
        let now = Time::from_epoch(Duration::from_secs(1_000));
        let quota = Quota::default();
        for (status, words, expect) in [
            (429, "rate limit exceeded (1002)", Verdict::Throttled { until: now + PAUSE }),
            (401, "login fail: please carry the API secret key (1004)", Verdict::KeyBad(Extent::Key)),
            (429, "insufficient balance (1008)", Verdict::OutOfMoney),
            (500, "timeout (1001)", Verdict::Broken(Breakage::Late)),
            (500, "unknown error (1000)", Verdict::Broken(Breakage::Status)),
            (400, "invalid params (see above)", Verdict::Refused),
        ] {
            let body = format!(r#"{{"type":"error","error":{{"type":"api_error","message":"{words}"}}}}"#);
            let head = Head { status: StatusCode::from_u16(status).unwrap(), quota: &quota };
            assert_eq!(MiniMax.judge(&head, Piece::Body(body.as_bytes()), now), expect, "{words}");
        }
    }
}
