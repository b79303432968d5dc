//! What a request may say about earlier thinking: each block must be one that was made here.
//!
//! A block which is not ours, or not as it was, is refused. One which is bound to another model
//! or organization is dropped silently, as the provider does, and said so only to those who ask.

use serde_json::{Value, json};

use crate::{
    models::{Binding, Model},
    refusal::Refusal,
    signature::{Origin, Seal},
};

/// Who reads the thinking blocks of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) seal: Seal,
    pub(crate) model: &'a Model,
    /// The id of the organization.
    pub(crate) organization: &'a str,
}

/// A block which the reader cannot read, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Dropped {
    path: String,
    reason: &'static str,
}

impl Reader<'_> {
    pub(crate) fn origin(&self) -> Origin {
        Origin::new(&self.model.id, self.organization)
    }

    /// Why a block of that origin cannot be read, if so.
    fn unreadable(&self, origin: Origin) -> Option<&'static str> {
        let here = self.origin();
        let foreign_model = self.model.binding != Binding::Free && !origin.same_model(here);
        let foreign_account = self.model.binding == Binding::Account && !origin.same_organization(here);
        match (foreign_model, foreign_account) {
            (true, _) => Some("model_mismatch"),
            (false, true) => Some("account_mismatch"),
            (false, false) => None,
        }
    }
}

impl Dropped {
    /// As in `input_transformations`.
    pub(crate) fn describe(&self) -> Value {
        json!({"type": "thinking_dropped", "path": self.path, "reason": self.reason})
    }
}

/// Checks every thinking block; returns those which are dropped.
pub(crate) fn check(body: &Value, reader: &Reader<'_>) -> Result<Vec<Dropped>, Refusal> {
    let mut dropped = Vec::new();
    let messages = body.get("messages").and_then(Value::as_array).into_iter().flatten();
    for (place, message) in messages.enumerate() {
        let blocks = message.get("content").and_then(Value::as_array).into_iter().flatten();
        for (number, block) in blocks.enumerate() {
            let text = |field: &str| block.get(field).and_then(Value::as_str).unwrap_or_default();
            let (field, sealed, shown) = match text("type") {
                "thinking" => ("signature", text("signature"), text("thinking")),
                "redacted_thinking" => ("data", text("data"), ""),
                _ => continue,
            };
            let path = format!("messages.{place}.content.{number}");
            let Some(origin) = reader.seal.open(sealed, shown) else {
                let kind = text("type");
                return Err(Refusal::invalid(format!("{path}: Invalid `{field}` in `{kind}` block")));
            };
            if let Some(reason) = reader.unreadable(origin) {
                dropped.push(Dropped { path, reason });
            }
        }
    }
    Ok(dropped)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Reader, check};
    use crate::{
        digest::Digest,
        models::{Model, find, known_models},
        signature::Seal,
    };

    fn reader<'a>(models: &'a [Model], model: &str, organization: &'a str) -> Reader<'a> {
        Reader { seal: Seal::new(1), model: find(models, model).expect("a known model"), organization }
    }

    fn body(thinking: &str, signature: &str) -> Value {
        json!({"messages": [
            {"role": "user", "content": "why?"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": thinking, "signature": signature}]},
        ]})
    }

    #[test]
    fn a_block_is_read_where_it_is_bound_to_and_silently_dropped_elsewhere() {
        let models = known_models();
        let dropped = |made: (&str, &str), read: (&str, &str)| {
            let maker = reader(&models, made.0, made.1);
            let signature = maker.seal.sign(maker.origin(), "hm", Digest::seeded(3));
            let outcome =
                check(&body("hm", &signature), &reader(&models, read.0, read.1)).expect("it is ours");
            outcome.first().map(|dropped| dropped.reason)
        };
        let (free, model, account) = ("claude-sonnet-5", "claude-opus-5-5", "claude-sonnet-5-5");
        assert_eq!(dropped((free, "a"), (free, "b")), None);
        assert_eq!(dropped((model, "a"), (free, "b")), None);
        assert_eq!(dropped((model, "a"), (model, "b")), None);
        assert_eq!(dropped((free, "a"), (model, "a")), Some("model_mismatch"));
        assert_eq!(dropped((account, "a"), (account, "a")), None);
        assert_eq!(dropped((account, "a"), (account, "b")), Some("account_mismatch"));
    }

    #[test]
    fn a_changed_or_foreign_block_is_refused_in_the_words_clients_look_for() {
        let models = known_models();
        let reader = reader(&models, "claude-opus-5-5", "a");
        let signature = reader.seal.sign(reader.origin(), "hm", Digest::seeded(3));
        for (thinking, signature) in [("hmm", signature.as_str()), ("hm", ""), ("hm", "c29tZWJvZHkgZWxzZQ==")]
        {
            let refusal = check(&body(thinking, signature), &reader).expect_err("it is not ours");
            assert_eq!(refusal.message, "messages.1.content.0: Invalid `signature` in `thinking` block");
            assert_eq!(refusal.status, 400);
        }
        let redacted = json!({"messages": [{"role": "assistant", "content": [
            {"type": "redacted_thinking", "data": "c29tZWJvZHkgZWxzZQ=="},
        ]}]});
        let refusal = check(&redacted, &reader).expect_err("it is not ours");
        assert_eq!(refusal.message, "messages.0.content.0: Invalid `data` in `redacted_thinking` block");
    }
}
