//! Who owns what a call made: a file, a batch, a container. Later calls that name it go to the same key.

use bytes::Bytes;
use relay_wire::scan;

use crate::relay::{Committed, Journey};

/// Notes what an answer to a creating request names, from what has been read of it.
pub(crate) async fn note(journey: &Journey, committed: &mut Committed) {
    /// Such answers have some hundred bytes.
    const MOST: usize = 64 << 10;
    let Some(key) = committed.held.as_ref().and_then(crate::live::Held::key) else { return };
    if !journey.asked.makes_property() || !committed.reply.head.status.is_success() {
        return;
    }
    // A failure to read is the reply's own to tell, when it is sent.
    let _ = committed.reply.read_up_to(MOST).await;
    let body: Vec<u8> = committed.reply.first.iter().flatten().copied().collect();
    if let Some(name) = id(&Bytes::from(body)) {
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
    fn the_id_of_what_was_made_is_found() {
        assert_eq!(id(br#"{"id":"file_1","type":"file"}"#).as_deref(), Some("file_1"));
        assert_eq!(id(br#"{"type":"file"}"#), None);
        assert_eq!(id(b"<html>"), None);
    }
}
