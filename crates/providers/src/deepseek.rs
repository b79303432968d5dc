//! DeepSeek, behind an endpoint that speaks as Anthropic does. Names that begin with `claude-opus` it takes for its larger
//! model, and other names of Claude models for the smaller one.
//! <https://api-docs.deepseek.com/guides/anthropic_api>

use relay_core::{Accounting, Time, Verdict};

use crate::adapter::{Adapter, Auth, Facts, Head, Piece, Place};
use crate::anthropic;

pub(crate) struct DeepSeek;

impl Adapter for DeepSeek {
    fn facts(&self) -> &'static Facts {
        &Facts {
            place: Place::At("https://api.deepseek.com/anthropic"),
            models: &["deepseek-v4-pro", "deepseek-flash"],
            owner: "deepseek",
            aliases: &[("claude-opus", "deepseek-v4-pro"), ("claude", "deepseek-flash")],
            auth: Auth::API_KEY,
            accounting: Accounting { at_once: AT_ONCE, ..Facts::USUAL.accounting },
            ..Facts::USUAL
        }
    }

    /// It limits nothing else than how many calls an account has under way.
    fn judge(&self, head: &Head<'_>, piece: Piece<'_>, now: Time) -> Verdict {
        match anthropic::judge(head, piece, now) {
            Verdict::Throttled { until } | Verdict::Spent { until } => Verdict::Crowded { until },
            verdict => verdict,
        }
    }
}

/// So many calls may be under way at once, of an account, whichever of its keys they go with. Where others may be asked as
/// well, calls are told apart by the name that clients know. <https://api-docs.deepseek.com/quick_start/rate_limit>
const AT_ONCE: &[(&str, u32)] =
    &[("deepseek-v4-pro", 500), ("deepseek-flash", 2_500), ("claude-opus", 500), ("claude", 2_500)];

