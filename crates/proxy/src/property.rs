//! Who owns what a call made: a file, a batch, a container. Later calls that name it go to the same key;
//! and the address that a batch gives for its results leads back here.

use bytes::Bytes;
use http::Uri;
use relay_wire::edit::{Edits, quoted};
use relay_wire::scan::{self, Value};

use crate::relay::{Committed, Journey};

/// The most of a page about batches that is read to lead its addresses back, in bytes. The longest list,
/// of a thousand, has half of it.
const LONGEST_PAGE: usize = 1 << 20;

/// What follows from an answer about something that one key owns.
pub(crate) async fn settle(journey: &Journey, committed: &mut Committed) {
    note(journey, committed).await;
    lead_back(journey, committed).await;
}

/// A batch says where its results are, as an absolute URL at the provider. SDKs ask there with the
/// credential that they have, which is the relay's: so the address becomes ours.
async fn lead_back(journey: &Journey, committed: &mut Committed) {
    let reply = &mut committed.reply;
    if !journey.asked.is_about_batches() || !reply.status.is_success() {
        return;
    }
    let Some(own) = journey.asked.own_authority() else { return };
    let own = format!("{}://{own}", journey.exchange.scheme());
    let _ = reply.read_up_to(LONGEST_PAGE).await;
    if !reply.is_read() {
        return;
    }
    let body = reply.said();
    let base = committed.held.as_ref().and_then(crate::live::Held::provider);
    let base = base.and_then(|id| journey.snapshot.upstream(id)).map_or("", |it| it.target.base.path());
    let Some(edited) = led_back(&body, base.trim_end_matches('/'), &own) else { return };
    reply.headers.set("content-length", edited.len() as u64);
    reply.first = [edited].into();
}

/// The page with every `results_url` at `own`; none if there is none.
fn led_back(page: &Bytes, base: &str, own: &str) -> Option<Bytes> {
    let page_value = Value::read(page).ok()?;
    let listed = page_value.get("data").into_iter().flat_map(|data| data.elements().filter_map(Result::ok));
    let mut edits = Edits::new(page);
    for url in std::iter::once(page_value).chain(listed).filter_map(|batch| batch.get("results_url")) {
        let Some(uri) = url.as_str().and_then(|url| url.parse::<Uri>().ok()) else { continue };
        let path = uri.path_and_query()?.as_str();
        let path = path.strip_prefix(base).filter(|rest| rest.starts_with('/')).unwrap_or(path);
        edits.replace(url.span(), quoted(&format!("{own}{path}"))).ok()?;
    }
    (!edits.is_empty()).then(|| edits.apply().to_bytes())
}

/// Notes what an answer to a creating request names, from what has been read of it.
async fn note(journey: &Journey, committed: &mut Committed) {
    /// Such answers have some hundred bytes.
    const MOST: usize = 64 << 10;
    let Some(key) = committed.held.as_ref().and_then(crate::live::Held::key) else { return };
    if !journey.asked.makes_property() || !committed.reply.status.is_success() {
        return;
    }
    // A failure to read is the reply's own to tell, when it is sent.
    let _ = committed.reply.read_up_to(MOST).await;
    let body = committed.reply.said();
    if let Some(name) = id(&body) {
        journey.relay.live.own(&name, key);
    }
}

/// The `id` of a JSON object.
fn id(body: &[u8]) -> Option<String> {
    let members = scan::members(body).ok()?;
    let found = members.filter_map(Result::ok).filter(|member| member.is("id")).last()?;
    found.value.as_str().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_of_a_batch_are_asked_for_here() {
        let lead = |page: &'static str, base: &str| {
            led_back(&Bytes::from_static(page.as_bytes()), base, "http://127.0.0.1:8787")
                .map(|page| String::from_utf8_lossy(&page).into_owned())
        };
        assert_eq!(
            lead(r#"{ "id":"b","results_url":"https://api.anthropic.com/v1/x/results?a=1" , "n":1.0}"#, "")
                .unwrap(),
            r#"{ "id":"b","results_url":"http://127.0.0.1:8787/v1/x/results?a=1" , "n":1.0}"#
        );
        assert_eq!(
            lead(r#"{"data":[{"results_url":null},{"results_url":"https://p/api/v1/r"}]}"#, "/api").unwrap(),
            r#"{"data":[{"results_url":null},{"results_url":"http://127.0.0.1:8787/v1/r"}]}"#
        );
        assert_eq!(lead(r#"{"id":"b","results_url":null}"#, ""), None);
        assert_eq!(lead("not json", ""), None);
    }

    #[test]
    fn the_id_of_what_was_made_is_found() {
        assert_eq!(id(br#"{"id":"file_1","type":"file"}"#).as_deref(), Some("file_1"));
        assert_eq!(id(br#"{"type":"file"}"#), None);
        assert_eq!(id(b"<html>"), None);
    }
}
