//! A settings file as a document: it can be asked for a variable of `env`, and be given or relieved of one.
//! Every other byte stays as it is. It refuses to know what a variable is for.
//!
//! Of members of one name the last counts, as in the parser of Claude Code (`JSON.parse`).

use std::ops::Range;

use bytes::Bytes;
use relay_wire::edit::Edits;
use relay_wire::scan::{Kind, Member, Value, members};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::cc::layout::Layout;

/// The member of the settings that holds variables.
const ENV: &str = "env";

/// How text may begin that says of itself that it is UTF-8. Editors of other systems write it, and it is no JSON.
const MARK: &str = "\u{feff}";

/// JSON text whose outermost value is an object, and whose `env` is one as well, if there is any.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Document {
    /// [`MARK`], if the file begins with it.
    mark: &'static str,
    /// What follows.
    text: String,
    /// What stands in the file instead of that, if it is nothing but white space: it counts as an empty object.
    blank: Option<String>,
}

/// Why a text is no settings file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    /// It is not JSON.
    #[error("it is not valid JSON")]
    Malformed(#[source] serde_json::Error),
    /// It is JSON, but something else than an object.
    #[error("it holds {0} where an object belongs")]
    NotAnObject(&'static str),
    /// Its variables are something else than an object.
    #[error("its `env` is {0} where an object belongs")]
    EnvNotAnObject(&'static str),
    /// It is nested too deeply, or otherwise beyond what can be walked.
    #[error("it cannot be walked")]
    Unwalkable(#[from] relay_wire::Malformed),
}

/// An object in a document.
struct Object<'a> {
    text: &'a str,
    /// Braces included.
    span: Range<usize>,
    members: Vec<Member<'a>>,
}

/// How an object is filled.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shape {
    /// It is not there.
    Absent,
    /// There is nothing but this white space where it belongs.
    Blank(String),
    /// It has no members; this white space is between its braces.
    Empty(String),
    /// It has members.
    Full,
}

impl Document {
    /// What a settings file is made from that is not there yet.
    pub(crate) fn empty() -> Self {
        Self { mark: "", text: "{}\n".to_owned(), blank: None }
    }

    /// Reads a settings file.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Unfit> {
        let (mark, bytes) = bytes.strip_prefix(MARK.as_bytes()).map_or(("", bytes), |rest| (MARK, rest));
        if bytes.iter().all(|byte| b" \t\r\n".contains(byte)) {
            let blank = Some(String::from_utf8_lossy(bytes).into_owned());
            return Ok(Self { mark, blank, ..Self::empty() });
        }
        // The walk below is coarse where it skips; this is the whole grammar.
        let text: &RawValue = serde_json::from_slice(bytes).map_err(Unfit::Malformed)?;
        let root = Value::read(text.get().as_bytes())?;
        if root.kind() != Kind::Object {
            return Err(Unfit::NotAnObject(named(root.kind())));
        }
        // JSON that was read is text.
        let document = Self { mark, text: String::from_utf8_lossy(bytes).into_owned(), blank: None };
        match document.root_object()?.last(ENV) {
            Some(env) if env.value.kind() != Kind::Object => {
                Err(Unfit::EnvNotAnObject(named(env.value.kind())))
            }
            Some(env) => {
                env.value.members().collect::<Result<Vec<_>, _>>()?;
                Ok(document)
            }
            None => Ok(document),
        }
    }

    /// The text to be written.
    pub(crate) fn text(&self) -> String {
        [self.mark, self.blank.as_ref().unwrap_or(&self.text)].concat()
    }

    /// A variable, as JSON text; none if it is not set.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        let span = self.env()?.last(name)?.value.span();
        Some(&self.text[span])
    }

    /// How the outermost object is filled.
    pub(crate) fn root_shape(&self) -> Shape {
        self.blank.clone().map_or_else(|| self.root().shape(), Shape::Blank)
    }

    /// How `env` is filled.
    pub(crate) fn env_shape(&self) -> Shape {
        self.env().map_or(Shape::Absent, |env| env.shape())
    }

    /// The document in which the variable has this value, which is JSON text.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let root = self.root();
        let outer = root.layout().unwrap_or_else(|| Layout::usual(&self.text));
        let Some(env) = self.env() else {
            let inner = outer.inner();
            let env = inner.object(&inner.member(name, value));
            return self.added(&root, &outer, ENV, &env);
        };
        if let Some(member) = env.last(name) {
            return self.replaced(member.value.span(), value);
        }
        let inner = env.layout().unwrap_or_else(|| outer.inner());
        self.added(&env, &inner, name, value)
    }

    /// The document without the variable. Where that empties `env`, `blank` stays between its braces.
    pub(crate) fn without(&self, name: &str, blank: &str) -> Self {
        match self.env() {
            Some(env) => self.removed(&env, name, blank),
            None => self.clone(),
        }
    }

    /// The document without `env`. Where that empties it, `blank` stays between its braces.
    pub(crate) fn without_env(&self, blank: &str) -> Self {
        self.removed(&self.root(), ENV, blank)
    }

    /// The file with nothing but that white space in it.
    pub(crate) fn blanked(&self, blank: &str) -> Self {
        Self { mark: self.mark, blank: Some(blank.to_owned()), ..Self::empty() }
    }

    fn added(&self, object: &Object<'_>, layout: &Layout, name: &str, value: &str) -> Self {
        let member = layout.member(name, value);
        match object.members.last() {
            Some(last) => {
                let end = last.span().end;
                self.replaced(end..end, &format!(",{}{member}", layout.between))
            }
            None => self.replaced(object.span.clone(), &layout.object(&member)),
        }
    }

    fn removed(&self, object: &Object<'_>, name: &str, blank: &str) -> Self {
        let Some(at) = object.members.iter().rposition(|member| member.is(name)) else { return self.clone() };
        let span = object.members[at].span();
        // It goes with one comma: the one before it, or, at the front, the one after it.
        match (at.checked_sub(1), object.members.get(at + 1)) {
            (Some(before), _) => self.replaced(object.members[before].span().end..span.end, ""),
            (None, Some(after)) => self.replaced(span.start..after.span().start, ""),
            (None, None) => self.replaced(object.span.start + 1..object.span.end - 1, blank),
        }
    }

    /// The document with other text at one place.
    fn replaced(&self, span: Range<usize>, text: &str) -> Self {
        let document = Bytes::copy_from_slice(self.text.as_bytes());
        let mut edits = Edits::new(&document);
        edits.replace(span, text.to_owned()).expect("the only edit, and inside the document");
        let bytes = edits.apply().to_bytes();
        let text = String::from_utf8(bytes.into()).expect("text for text, at the borders of characters");
        Self { mark: self.mark, text, blank: None }
    }

    fn root(&self) -> Object<'_> {
        self.root_object().expect("it was walked when the document was read")
    }

    fn root_object(&self) -> Result<Object<'_>, relay_wire::Malformed> {
        let span = Value::read(self.text.as_bytes())?.span();
        let members = members(self.text.as_bytes())?.collect::<Result<_, _>>()?;
        Ok(Object { text: &self.text, span, members })
    }

    fn env(&self) -> Option<Object<'_>> {
        let env = self.root().last(ENV)?.value;
        let members =
            env.members().collect::<Result<_, _>>().expect("it was walked when the document was read");
        Some(Object { text: &self.text, span: env.span(), members })
    }
}

impl std::fmt::Debug for Document {
    /// The length; a settings file may hold keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Document({} bytes)", self.text().len())
    }
}

impl<'a> Object<'a> {
    fn last(&self, name: &str) -> Option<Member<'a>> {
        self.members.iter().rfind(|member| member.is(name)).copied()
    }

    fn shape(&self) -> Shape {
        if self.members.is_empty() {
            Shape::Empty(self.text[self.span.start + 1..self.span.end - 1].to_owned())
        } else {
            Shape::Full
        }
    }

    fn layout(&self) -> Option<Layout> {
        Layout::of(self.text, self.span.start, self.span.end, &self.members)
    }
}

const fn named(kind: Kind) -> &'static str {
    match kind {
        Kind::Object => "an object",
        Kind::Array => "a list",
        Kind::String => "a text",
        Kind::Number => "a number",
        Kind::Boolean => "`true` or `false`",
        Kind::Null => "`null`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> String {
        Document::read(text.as_bytes()).unwrap().with("A", "\"1\"").with("B", "2").text()
    }

    /// A document of that text, be it JSON or not.
    fn plain(text: &str) -> Document {
        Document { text: text.to_owned(), ..Document::empty() }
    }

    #[test]
    fn a_file_with_nothing_in_it_counts_as_an_empty_object() {
        let expect = "{\n  \"env\": {\n    \"A\": \"1\",\n    \"B\": 2\n  }\n}\n";
        for blank in ["", "\n", " \t\r\n"] {
            let document = Document::read(blank.as_bytes()).unwrap();
            assert_eq!((document.text().as_str(), document.variable("A")), (blank, None));
            assert_eq!(
                (document.root_shape(), document.env_shape()),
                (Shape::Blank(blank.to_owned()), Shape::Absent)
            );
            assert_eq!(with(blank), expect);
        }
    }

    #[test]
    fn a_byte_order_mark_stays_where_it_is() {
        for (text, expect) in [
            ("\u{feff}{\"x\":1}", "\u{feff}{\"x\":1,\"env\":{\"A\":\"1\",\"B\":2}}"),
            ("\u{feff}", "\u{feff}{\n  \"env\": {\n    \"A\": \"1\",\n    \"B\": 2\n  }\n}\n"),
        ] {
            assert_eq!(Document::read(text.as_bytes()).unwrap().text(), text);
            assert_eq!(with(text), expect);
        }
        assert!(Document::read("\u{feff}\u{feff}{}".as_bytes()).is_err(), "one is enough");
    }

    #[test]
    fn what_is_added_looks_like_what_is_there() {
        let table = [
            ("{}", "{\n  \"env\": {\n    \"A\": \"1\",\n    \"B\": 2\n  }\n}"),
            ("{}\r\n", "{\r\n  \"env\": {\r\n    \"A\": \"1\",\r\n    \"B\": 2\r\n  }\r\n}\r\n"),
            ("{\"x\":1}", "{\"x\":1,\"env\":{\"A\":\"1\",\"B\":2}}"),
            ("{ \"x\": 1 }\n", "{ \"x\": 1, \"env\": {\"A\": \"1\", \"B\": 2} }\n"),
            ("{\n\t\"x\": 1\n}", "{\n\t\"x\": 1,\n\t\"env\": {\n\t\t\"A\": \"1\",\n\t\t\"B\": 2\n\t}\n}"),
            (
                "{\r\n    \"x\": 1\r\n}",
                "{\r\n    \"x\": 1,\r\n    \"env\": {\r\n        \"A\": \"1\",\r\n        \"B\": 2\r\n    }\r\n}",
            ),
            ("{\n  \"env\": {}\n}", "{\n  \"env\": {\n    \"A\": \"1\",\n    \"B\": 2\n  }\n}"),
            ("{\n  \"env\": {\"C\":3}\n}", "{\n  \"env\": {\"C\":3,\"A\":\"1\",\"B\":2}\n}"),
            (
                "{\n  \"env\": {\n      \"C\":3,\n      \"D\" : 4\n  }}",
                "{\n  \"env\": {\n      \"C\":3,\n      \"D\" : 4,\n      \"A\": \"1\",\n      \"B\": 2\n  }}",
            ),
            ("{\"env\":{\"B\":0,\"A\":0}}", "{\"env\":{\"B\":2,\"A\":\"1\"}}"),
            (
                "{\"env\":{\"A\":0},\"env\":{\"A\":0, \"A\":0}}",
                "{\"env\":{\"A\":0},\"env\":{\"A\":0, \"A\":\"1\", \"B\":2}}",
            ),
            ("{\"\\u0065nv\":{\"\\u0041\":0}}", "{\"\\u0065nv\":{\"\\u0041\":\"1\",\"B\":2}}"),
        ];
        for (text, expect) in table {
            assert_eq!(with(text), expect, "{text}");
        }
    }

    #[test]
    fn a_variable_goes_with_its_comma_and_leaves_what_it_is_told() {
        let table = [
            (r#"{"env":{"A":1, "B":2}}"#, r#"{"env":{"B":2}}"#),
            (r#"{"env":{"B":2, "A":1 }}"#, r#"{"env":{"B":2 }}"#),
            (r#"{"env":{"B":2, "A":1 , "C":3}}"#, r#"{"env":{"B":2 , "C":3}}"#),
            (r#"{"env":{ "A":1 }}"#, r#"{"env":{-}}"#),
            (r#"{"env":{"B":1}}"#, r#"{"env":{"B":1}}"#),
            (r#"{"x":{"A":1}}"#, r#"{"x":{"A":1}}"#),
        ];
        for (text, expect) in table {
            // The dash marks the place; a real blank is white space.
            let document = plain(text);
            assert_eq!(document.without("A", "-").text(), expect, "{text}");
        }
        let document = Document::read(br#"{ "env" : {} , "x": 1}"#).unwrap();
        assert_eq!(document.without_env("").text(), r#"{ "x": 1}"#);
        assert_eq!(plain(r#"{"env":{}}"#).without_env(" ").text(), "{ }");
    }

    #[test]
    fn w50_what_is_no_settings_file_is_refused() {
        let table = [
            ("{", "it is not valid JSON"),
            ("{\"a\":[1,]}", "it is not valid JSON"),
            ("{\"a\":1} x", "it is not valid JSON"),
            ("// a comment\n{}", "it is not valid JSON"),
            ("null", "it holds `null` where an object belongs"),
            ("[]", "it holds a list where an object belongs"),
            ("\"x\"", "it holds a text where an object belongs"),
            ("{\"env\":null}", "its `env` is `null` where an object belongs"),
            ("{\"env\":[]}", "its `env` is a list where an object belongs"),
            ("{\"env\":{},\"env\":1}", "its `env` is a number where an object belongs"),
        ];
        for (text, expect) in table {
            assert_eq!(Document::read(text.as_bytes()).unwrap_err().to_string(), expect, "{text}");
        }
        assert!(Document::read(b"\xff{}").is_err());
        assert!(Document::read(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn a_document_is_not_shown() {
        let document = Document::read(br#"{"env":{"KEY":"secret"}}"#).unwrap();
        assert_eq!(format!("{document:?}"), "Document(24 bytes)");
    }
}
