//! A JSON text that is written anew from parts of another one. Strings and values of that are taken over as they are
//! written there, and what is long is not even copied.

use std::borrow::Cow;

use bytes::Bytes;
use relay_wire::edit::Edits;
use relay_wire::scan::Value;

use super::names;

/// What is longer than this is a slice of its document.
const LONG: usize = 512;

/// See the module. It knows no grammar: whoever writes sets the commas.
pub(super) struct Written<'a> {
    document: &'a Bytes,
    pieces: Vec<Bytes>,
    last: Vec<u8>,
}

impl<'a> Written<'a> {
    /// Nothing yet.
    pub(super) const fn of(document: &'a Bytes) -> Self {
        Self { document, pieces: Vec::new(), last: Vec::new() }
    }

    /// JSON as it is given.
    pub(super) fn put(&mut self, json: &str) -> &mut Self {
        self.last.extend_from_slice(json.as_bytes());
        self
    }

    /// A text, as a string.
    pub(super) fn quoted(&mut self, text: &str) -> &mut Self {
        self.put("\"").escaped(text.as_bytes()).put("\"")
    }

    /// A value of the document, as it stands there.
    pub(super) fn value(&mut self, value: Value<'_>) -> &mut Self {
        self.span(value.span())
    }

    /// The name of a tool, cut if it is too long for others.
    pub(super) fn name(&mut self, name: Value<'_>) -> &mut Self {
        match name.as_str().as_deref().map(names::outward) {
            Some(Cow::Owned(short)) => self.quoted(&short),
            _ => self.value(name),
        }
    }

    /// What stands between the quotes of a string of the document.
    pub(super) fn inside(&mut self, string: Value<'_>) -> &mut Self {
        let span = string.span();
        self.span(span.start + 1..span.end.saturating_sub(1).max(span.start + 1))
    }

    fn span(&mut self, span: std::ops::Range<usize>) -> &mut Self {
        if span.len() > LONG {
            let last = std::mem::take(&mut self.last);
            self.pieces.extend([last.into(), self.document.slice(span)]);
        } else {
            self.last.extend_from_slice(&self.document[span]);
        }
        self
    }

    /// A text between the quotes of a string.
    pub(super) fn escaped(&mut self, text: &[u8]) -> &mut Self {
        escape(text, &mut self.last);
        self
    }

    /// All of it, in place of the document.
    pub(super) fn edits(self) -> Edits {
        let Self { document, mut pieces, last } = self;
        pieces.push(last.into());
        Edits::anew(document, pieces)
    }
}

/// Writes a text as it stands between the quotes of a string.
pub(super) fn escape(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            ..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_escaped_is_read_as_it_was(text in any::<String>()) {
            let mut out = vec![b'"'];
            escape(text.as_bytes(), &mut out);
            out.push(b'"');
            let read = Value::read(&out).unwrap();
            let read = read.as_str();
            prop_assert_eq!(read.as_deref(), Some(text.as_str()));
        }
    }

    #[test]
    fn values_are_taken_over_as_they_stand_and_long_ones_are_not_copied() {
        let long = "x".repeat(LONG + 1);
        let document = Bytes::from(format!(r#"{{"a": "q\u0041", "b": [1,  2], "c": "{long}", "d": ""}}"#));
        let fields = Value::read(&document).unwrap();
        let [a, b, c, d] = fields.pick(["a", "b", "c", "d"]).map(Option::unwrap);
        let mut written = Written::of(&document);
        written.put("[").value(a).put(",").value(b).put(",\"").inside(c).inside(d).put("\"]").quoted("\n\"");
        let segments = written.edits().apply();
        let expect = format!(r#"["q\u0041",[1,  2],"{long}"]"\n\"""#);
        assert_eq!(segments.to_bytes(), expect.as_bytes());
        let inside = document.as_ptr_range();
        assert!(segments.iter().any(|piece| piece.len() == long.len() && inside.contains(&piece.as_ptr())));
    }
}
