//! AWS Bedrock: Claude models of an account of AWS in one region, with requests that are signed, or that carry an API key.
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html>

mod answer;
mod betas;

use bytes::Bytes;
use http::StatusCode;
use http::uri::PathAndQuery;
use relay_core::{Accounting, Breakage, Extent, Time, Verdict};
use relay_headers::{Headers, Value};
use relay_wire::edit::{Edits, Outline, quoted};
use relay_wire::refusal::{self, Refusal};
use relay_wire::{Call, Segments};

use crate::adapter::{
    Account, Adapter, Ask, Auth, Credential, Facts, Identity, Head, Order, Piece, Place, Setting, Target, Translator, Unsupported,
    Upstream,
};
use crate::anthropic;
use crate::compatible::{self, ANTHROPIC_VERSION, AUTHORIZATION, MESSAGES};
use crate::features;
use crate::sigv4::{AccessKey, Scope};

pub(crate) struct Bedrock;

/// The version of the format of its bodies, which stands in them.
/// Each token of an answer counts so much against the one limit for tokens; until it has ended it counts as if it were as
/// long as it may be. <https://docs.aws.amazon.com/bedrock/latest/userguide/quotas-token-burndown.html>
const BURNDOWN: u64 = 5;

const VERSION: &str = "bedrock-2023-05-31";

impl Adapter for Bedrock {
    fn facts(&self) -> &'static Facts {
        &Facts {
            place: Place::Of(&[Setting::AwsRegion], place),
            owner: "aws",
            auth: Auth::SIGNATURE,
            identity: Some(Identity::Aws),
            lacks: betas::lacks,
            takes_beta: betas::is_known,
            accounting: Accounting { reserves: Some(BURNDOWN), ..Facts::USUAL.accounting },
            signed_only: |_| true,
            ..Facts::USUAL
        }
    }

    fn prepare(&self, order: &Order<'_>) -> Result<Upstream, Unsupported> {
        let Order { ask, target, credential, now } = *order;
        let Some((call, body)) = ask.call.filter(|_| ask.path.path() == MESSAGES) else {
            return Err(Unsupported::Path);
        };
        let asked = call.model.as_deref().ok_or(Unsupported::Body)?;
        let model = &*target.models.sent(asked, false);
        let mut headers = compatible::forwarded(ask.headers);
        // A compressed stream cannot be watched.
        headers.set("accept-encoding", Value::fixed("identity"));
        let edits = edited((body, call), model, &headers)?;
        for name in [ANTHROPIC_VERSION, features::BETA, "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"] {
            headers.remove(name);
        }
        let path = path(target, model, call)?;
        authorise(&mut headers, target, &path, (&edits, credential), now)?;
        Ok(Upstream { path, headers, edits: Some(edits) })
    }

    fn judge(&self, head: &Head<'_>, piece: Piece<'_>, now: Time) -> Verdict {
        let refusal = match piece {
            Piece::Body(data) | Piece::Error(data) => refusal::read(data),
            Piece::Nothing => Refusal::default(),
        };
        let words = refusal.message.as_deref().unwrap_or_default();
        let says = |part: &str| words.contains(part);
        match head.status.as_u16() {
            // The model is not one, or not one that may be asked like that: another provider may have it.
            400 if says("model identifier is invalid") || says("on-demand throughput isn") => Verdict::Unfit,
            // The signature, and not what the key may do.
            403 if says("security token") || says("signature we calculated") => Verdict::KeyBad(Extent::Key),
            // The model's own error, and its slowness.
            424 => Verdict::Broken(Breakage::Status),
            _ => anthropic::judge(head, piece, now),
        }
    }

    fn reply(
        &self,
        ask: &Ask<'_>,
        status: StatusCode,
        headers: &mut Headers,
    ) -> Option<Box<dyn Translator>> {
        answer::translator(ask, status, headers)
    }
}

fn place(account: &Account) -> String {
    format!("https://bedrock-runtime.{}.amazonaws.com", account.get(Setting::AwsRegion))
}

/// The model stands in the path: names of profiles have slashes and colons.
fn path(target: &Target, model: &str, call: &Call) -> Result<PathAndQuery, Unsupported> {
    let base = target.base.path().trim_end_matches('/');
    let how = if call.stream { "invoke-with-response-stream" } else { "invoke" };
    let path = format!("{base}/model/{}/{how}", compatible::encoded(model, b""));
    PathAndQuery::from_maybe_shared(Bytes::from(path)).map_err(|_| Unsupported::Path)
}

/// The model and whether it streams stand in the path; the version, and what is asked for beyond it, in the body.
fn edited((body, call): (&Bytes, &Call), model: &str, headers: &Headers) -> Result<Edits, Unsupported> {
    let mut outline = Outline::new(body).map_err(|_| Unsupported::Body)?;
    outline.remove("model").remove("stream").set("anthropic_version", quoted(VERSION));
    features::strip_fields(&mut outline, betas::lacks(model));
    if call.unsigned {
        features::strip_unsigned(&mut outline);
    }
    let asked = headers.members(features::BETA).map(|beta| String::from_utf8_lossy(beta).into_owned());
    let known: Vec<_> = asked.filter(|beta| betas::is_known(model, beta)).map(|beta| quoted(&beta)).collect();
    if !known.is_empty() {
        outline.set("anthropic_beta", [&b"["[..], &known.join(&b","[..]), b"]"].concat());
    }
    Ok(outline.edits())
}

/// Signs the request, or writes the API key.
fn authorise(
    headers: &mut Headers,
    target: &Target,
    path: &PathAndQuery,
    (edits, credential): (&Edits, &Credential),
    now: Time,
) -> Result<(), Unsupported> {
    let Credential::Key(key) = credential else { return Ok(()) };
    let Some(access) = AccessKey::read(key) else { return compatible::bearer(headers, key) };
    let authority = target.base.authority().map_or("", http::uri::Authority::as_str);
    let url = format!("{}://{authority}{path}", target.base.scheme_str().unwrap_or("https"));
    let scope = Scope { url: &url, region: target.account.get(Setting::AwsRegion), service: "bedrock" };
    let body: Segments = edits.apply();
    headers.remove(AUTHORIZATION);
    access.sign(&scope, headers, &body, now)
}
