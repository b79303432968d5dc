//! What clouds have in common: errors in envelopes of their own, with names of accounts in their words.

use bytes::Bytes;
use relay_wire::refusal::{self, ErrorKind, Refusal};
use relay_wire::scan::Value;

use crate::adapter::{Garbled, Translator};

/// The most of an error that is kept, in bytes.
const MOST: usize = 256 << 10;

/// An error in Anthropic's envelope, with the words of the cloud.
pub(crate) struct Envelope {
    kind: ErrorKind,
    says: Says,
    body: Vec<u8>,
}

/// What an error says: its kind, if the answer has none that is better, and in which words.
pub(crate) type Says = fn(ErrorKind, &Refusal) -> (ErrorKind, String);

impl Envelope {
    pub(crate) const fn new(kind: ErrorKind) -> Self {
        Self::read_by(kind, clean)
    }

    /// The same where more than its status says what it is.
    pub(crate) const fn read_by(kind: ErrorKind, says: Says) -> Self {
        Self { kind, says, body: Vec::new() }
    }
}

fn clean(kind: ErrorKind, refusal: &Refusal) -> (ErrorKind, String) {
    (kind, without_names(refusal.message.as_deref().unwrap_or(&plain(kind))))
}

/// The name of a kind, in words.
pub(crate) fn plain(kind: ErrorKind) -> String {
    kind.as_str().replace('_', " ")
}

impl Translator for Envelope {
    fn push(&mut self, chunk: &[u8]) -> Result<Bytes, Garbled> {
        let room = MOST.saturating_sub(self.body.len());
        self.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        Ok(Bytes::new())
    }

    fn finish(&mut self) -> Result<Bytes, Garbled> {
        let body = std::mem::take(&mut self.body);
        let refusal = refusal::read(&body);
        // Others have the words of Anthropic's kinds, too, but not the envelope.
        let is_enveloped = Value::read(&body)
            .is_ok_and(|body| body.get("type").and_then(Value::as_str).as_deref() == Some("error"));
        if is_enveloped && refusal.kind.as_deref().and_then(ErrorKind::from_name).is_some() {
            // The model's own words, as Anthropic would say them.
            return Ok(body.into());
        }
        let (kind, words) = (self.says)(self.kind, &refusal);
        Ok(refusal::write(kind, &words, refusal.request_id.as_deref()))
    }
}

/// Words without the names of accounts: ARNs (`arn:aws:…`) and numbers of twelve digits, which are those of AWS, and
/// projects of Google's.
pub(crate) fn without_names(words: &str) -> String {
    let mut clean = String::with_capacity(words.len());
    for (nth, word) in words.split(' ').enumerate() {
        if nth > 0 {
            clean.push(' ');
        }
        match word.find("arn:") {
            Some(at) => {
                let end = word[at..].find(|c: char| !is_of_arn(c)).map_or(word.len(), |end| at + end);
                // A full stop ends the sentence, and not the name.
                let end = at + word[at..end].trim_end_matches(['.', ':', ',']).len();
                clean.push_str(&word[..at]);
                clean.push_str("[arn]");
                clean.push_str(&word[end..]);
            }
            None => clean.push_str(&without_project(&without_numbers(word))),
        }
    }
    clean
}

const fn is_of_arn(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, ':' | '/' | '-' | '_' | '.' | '*' | '@' | '+' | '=' | ',')
}

/// A resource of Google's without the project that it is in.
fn without_project(word: &str) -> String {
    const BEFORE: &str = "projects/";
    let Some(at) = word.find(BEFORE).map(|at| at + BEFORE.len()) else { return word.to_owned() };
    let end = word[at..].find(|c: char| !is_of_project(c)).map_or(word.len(), |end| at + end);
    format!("{}[project]{}", &word[..at], &word[end..])
}

const fn is_of_project(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.')
}

/// A word without its numbers of exactly twelve digits.
fn without_numbers(word: &str) -> String {
    let mut clean = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        let end = from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
        clean.push_str(before);
        clean.push_str(if end == 12 { "[account]" } else { &from[..end] });
        rest = &from[end..];
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_accounts_are_left_out_of_what_clouds_say() {
        let table = [
            (
                "User: arn:aws:iam::123456789012:user/me is not authorized to perform: bedrock:InvokeModel on resource: arn:aws:bedrock:eu-central-1::foundation-model/anthropic.claude-opus-5.",
                "User: [arn] is not authorized to perform: bedrock:InvokeModel on resource: [arn].",
            ),
            ("(arn:aws:sts::123456789012:assumed-role/r/s), denied", "([arn]), denied"),
            (
                "Permission denied on resource '//aiplatform.googleapis.com/projects/my-project-1/locations/global/publishers/anthropic'.",
                "Permission denied on resource '//aiplatform.googleapis.com/projects/[project]/locations/global/publishers/anthropic'.",
            ),
            ("account 123456789012, of 1234567890123 or 12", "account [account], of 1234567890123 or 12"),
            (
                "Too many tokens, please wait before trying again.",
                "Too many tokens, please wait before trying again.",
            ),
            ("", ""),
        ];
        for (words, expect) in table {
            assert_eq!(without_names(words), expect);
        }
    }

    #[test]
    fn an_error_is_put_into_the_envelope_once() {
        let said = |chunks: &[&[u8]]| {
            let mut envelope = Envelope::new(ErrorKind::RateLimit);
            for chunk in chunks {
                assert!(envelope.push(chunk).unwrap().is_empty());
            }
            String::from_utf8(envelope.finish().unwrap().to_vec()).unwrap()
        };
        assert_eq!(
            said(&[br#"{"message":"Too "#, br#"many requests"}"#]),
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"Too many requests"}}"#
        );
        let own = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_vrtx_1"}"#;
        assert_eq!(said(&[own.as_bytes()]), own);
        // OpenAI's was passed on as it was, for its type has a name that Anthropic knows.
        assert_eq!(
            said(&[br#"{"error":{"message":"No such model","type":"invalid_request_error","param":null}}"#]),
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"No such model"}}"#
        );
        assert_eq!(
            said(&[b"<html>"]),
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"rate limit error"}}"#
        );
    }
}
