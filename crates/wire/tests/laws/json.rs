//! Any JSON text, in any spelling: white space anywhere, every kind of escape, keys that repeat.

use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop};
use proptest::prop_oneof;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object as `serde_json` reads them: in order, repeated ones too.
#[derive(Debug)]
pub(crate) struct Pairs(pub(crate) Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Pairs;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// White space between tokens.
pub(crate) fn blanks() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,2}"
}

/// A string with its quotes.
pub(crate) fn string() -> BoxedStrategy<String> {
    let escape = prop::sample::select(vec![
        r#"\""#,
        r"\\",
        r"\/",
        r"\b",
        r"\f",
        r"\n",
        r"\r",
        r"\t",
        r"\u0061",
        r"\u00E9",
        r"\ud83d\ude00",
    ]);
    let unescaped = |c| if matches!(c, '"' | '\\' | '\0'..='\x1f') { 'x' } else { c };
    let plain = any::<char>().prop_map(unescaped);
    let piece = prop_oneof![
        3 => plain.prop_map(String::from),
        2 => escape.prop_map(str::to_owned),
        1 => prop::sample::select(vec!["{", "}", "[", "]", ",", ":"]).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| format!("\"{}\"", pieces.concat())).boxed()
}

/// A key with its quotes; mostly one of a few, so that they repeat and are written differently.
fn key() -> BoxedStrategy<String> {
    let known = prop::sample::select(vec![
        r#""a""#,
        r#""b""#,
        r#""m""#,
        r#""\u0061""#,
        r#""\u006d""#,
        r#""""#,
        r#""file_id""#,
    ]);
    prop_oneof![3 => known.prop_map(str::to_owned), 1 => string()].boxed()
}

/// An object with up to `most` members, whose values are from `value`.
fn object_of(value: impl Strategy<Value = String> + 'static, most: usize) -> BoxedStrategy<String> {
    let member = (blanks(), key(), blanks(), blanks(), value, blanks())
        .prop_map(|(b0, key, b1, b2, value, b3)| format!("{b0}{key}{b1}:{b2}{value}{b3}"));
    (prop::collection::vec(member, 0..=most), blanks())
        .prop_map(|(members, blank)| match members.as_slice() {
            [] => format!("{{{blank}}}"),
            members => format!("{{{}}}", members.join(",")),
        })
        .boxed()
}

fn array_of(value: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    let element = (blanks(), value, blanks()).prop_map(|(b0, value, b1)| format!("{b0}{value}{b1}"));
    (prop::collection::vec(element, 0..4), blanks())
        .prop_map(|(elements, blank)| match elements.as_slice() {
            [] => format!("[{blank}]"),
            elements => format!("[{}]", elements.join(",")),
        })
        .boxed()
}

/// Any value.
pub(crate) fn value() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        prop::sample::select(vec!["null", "true", "false"]).prop_map(str::to_owned),
        "-?(0|[1-9][0-9]{0,5})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
        string(),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![array_of(inner.clone()), object_of(inner, 4), Just("{}".to_owned())]
    })
    .boxed()
}

/// Any object, with white space around it.
pub(crate) fn object() -> impl Strategy<Value = String> {
    (blanks(), object_of(value(), 6), blanks())
        .prop_map(|(before, object, after)| format!("{before}{object}{after}"))
}
