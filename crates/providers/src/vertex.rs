//! Google Vertex AI: Claude models of a project in Google's cloud.
//! <https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude>,
//! <https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai>

use bytes::Bytes;
use http::StatusCode;
use http::uri::PathAndQuery;
use relay_headers::{Headers, Value};
use relay_wire::ErrorKind;
use relay_wire::edit::{Edits, Outline, quoted};

use crate::adapter::{
    Account, Adapter, Ask, Facts, Identity, Offer, Order, Place, Setting, Target, Translator, Unsupported, Upstream,
};
use crate::cloud::Envelope;
use crate::compatible::{self, ANTHROPIC_VERSION, COUNT_TOKENS, MESSAGES};
use crate::features::{self, Feature};

pub(crate) struct Vertex;

/// The version of the format of its bodies, which stands in them.
const VERSION: &str = "vertex-2023-10-16";

/// What it lacks (protocol of the partner models: no code execution, files, batches, fallbacks).
const LACKS: &[&Feature] = &[&features::CONTAINERS, &features::FALLBACKS, &features::FAST_MODE];

impl Adapter for Vertex {
    fn facts(&self) -> &'static Facts {
        &Facts {
            place: Place::Of(&[Setting::GcpProject, Setting::GcpRegion], place),
            owner: "google",
            identity: Some(Identity::Google),
            offers: &[Offer::CountTokens],
            lacks: |_| LACKS,
            signed_only: |_| true,
            ..Facts::USUAL
        }
    }

    fn prepare(&self, order: &Order<'_>) -> Result<Upstream, Unsupported> {
        let Order { ask, target, credential, .. } = *order;
        let Some((call, body)) = ask.call else { return Err(Unsupported::Path) };
        let asked = call.model.as_deref().ok_or(Unsupported::Body)?;
        let model = &*target.models.sent(asked, false);
        let mut headers = compatible::forwarded(ask.headers);
        // A compressed stream cannot be watched.
        headers.set("accept-encoding", Value::fixed("identity"));
        headers.remove(ANTHROPIC_VERSION);
        features::strip_betas(&mut headers, LACKS);
        let (resource, edits) = match ask.path.path() {
            MESSAGES => {
                let how = if call.stream { "streamRawPredict" } else { "rawPredict" };
                (format!("{}:{how}", compatible::encoded(model, b"@")), message(body, call.unsigned)?)
            }
            COUNT_TOKENS => {
                // It refuses what is asked for beyond counting.
                headers.remove(features::BETA);
                ("count-tokens:rawPredict".to_owned(), count(body, model, call.unsigned)?)
            }
            _ => return Err(Unsupported::Path),
        };
        compatible::authorise(&mut headers, self.facts().auth, credential)?;
        Ok(Upstream { path: path(target, &resource)?, headers, edits: Some(edits) })
    }

    fn reply(
        &self,
        _ask: &Ask<'_>,
        status: StatusCode,
        headers: &mut Headers,
    ) -> Option<Box<dyn Translator>> {
        (!status.is_success()).then(|| {
            headers.set("content-type", Value::fixed("application/json"));
            Box::new(Envelope::new(ErrorKind::from_status(status))) as Box<dyn Translator>
        })
    }
}

/// The worldwide endpoint and those of several regions have hosts of other shapes than those of one region.
fn place(account: &Account) -> String {
    match account.get(Setting::GcpRegion) {
        "global" => "https://aiplatform.googleapis.com".to_owned(),
        several @ ("us" | "eu") => format!("https://aiplatform.{several}.rep.googleapis.com"),
        region => format!("https://{region}-aiplatform.googleapis.com"),
    }
}

/// The model stands in the path, in the project and at the place of the account.
fn path(target: &Target, resource: &str) -> Result<PathAndQuery, Unsupported> {
    let base = target.base.path().trim_end_matches('/');
    let part = |setting| compatible::encoded(target.account.get(setting), b":");
    let (project, region) = (part(Setting::GcpProject), part(Setting::GcpRegion));
    let path =
        format!("{base}/v1/projects/{project}/locations/{region}/publishers/anthropic/models/{resource}");
    PathAndQuery::from_maybe_shared(Bytes::from(path)).map_err(|_| Unsupported::Path)
}

/// The version stands in the body. With the messages before the tools and the system prompt, caches are missed at random;
/// behind all else they are hit (measured, see the protocol notes).
fn message(body: &Bytes, unsigned: bool) -> Result<Edits, Unsupported> {
    let mut outline = Outline::new(body).map_err(|_| Unsupported::Body)?;
    outline.remove("model").set("anthropic_version", quoted(VERSION));
    features::strip_fields(&mut outline, LACKS);
    if unsigned {
        features::strip_unsigned(&mut outline);
    }
    Ok(outline.move_last("messages").edits())
}

/// Whoever counts is no model, so the model stands in the body.
fn count(body: &Bytes, model: &str, unsigned: bool) -> Result<Edits, Unsupported> {
    let mut outline = Outline::new(body).map_err(|_| Unsupported::Body)?;
    outline.set("model", quoted(model)).set("anthropic_version", quoted(VERSION));
    features::strip_fields(&mut outline, LACKS);
    if unsigned {
        features::strip_unsigned(&mut outline);
    }
    features::strip_fields(&mut outline, BESIDE_COUNTING);
    Ok(outline.edits())
}

/// What is asked for by betas, which whoever counts refuses.
const BESIDE_COUNTING: &[&Feature] = &[
    &features::SAFEGUARDS,
    &features::CONTEXT_MANAGEMENT,
    &features::EFFORT,
    &features::STRUCTURED_OUTPUTS,
    &features::TASK_BUDGETS,
    &features::MCP,
    &features::BLOCK_BINDING,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_has_its_host() {
        for (region, host) in [
            ("global", "https://aiplatform.googleapis.com"),
            ("us", "https://aiplatform.us.rep.googleapis.com"),
            ("eu", "https://aiplatform.eu.rep.googleapis.com"),
            ("us-east5", "https://us-east5-aiplatform.googleapis.com"),
        ] {
            assert_eq!(place(&Account([(Setting::GcpRegion, region.to_owned())].into())), host);
        }
    }

    #[test]
    fn messages_stand_last_and_nothing_else_is_moved() {
        let body = Bytes::from_static(
            br#"{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[],"system":"s","stream":true}"#,
        );
        let sent = message(&body, false).unwrap().apply().to_bytes();
        assert_eq!(
            std::str::from_utf8(&sent).unwrap(),
            r#"{"tools":[],"system":"s","stream":true,"anthropic_version":"vertex-2023-10-16","messages":[{"role":"user","content":"hi"}]}"#
        );
        let counted = count(&body, "claude-sonnet-4-5@20250929", false).unwrap().apply().to_bytes();
        assert!(counted.starts_with(br#"{"model":"claude-sonnet-4-5@20250929","messages""#));
    }
}
