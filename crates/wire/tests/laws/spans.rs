//! The scanner sees what `serde_json` sees.

use proptest::prelude::{Strategy, any, prop};
use proptest::{prop_assert, prop_assert_eq, proptest};
use relay_wire::scan::{self, Kind, Malformed, Value};
use serde_json::value::RawValue;

use crate::json::{self, Pairs};

/// Compares all the way down; panics where the two differ.
fn agree(document: &str, value: Value<'_>) {
    let text = &document[value.span()];
    assert_eq!(value.text(), text.as_bytes());
    match value.kind() {
        Kind::Object => {
            let expect: Pairs = serde_json::from_str(text).unwrap();
            let members: Vec<_> = value.members().map(Result::unwrap).collect();
            assert_eq!(members.len(), expect.0.len());
            for (member, (key, raw)) in members.iter().zip(&expect.0) {
                assert_eq!(member.key.as_str().unwrap(), *key);
                assert!(member.is(key));
                assert_eq!(member.value.text(), raw.get().as_bytes());
                assert_eq!(member.span(), member.key.span().start..member.value.span().end);
                agree(document, member.value);
            }
            for (key, _) in &expect.0 {
                let last = expect.0.iter().rfind(|(other, _)| other == key).unwrap();
                assert_eq!(value.get(key).unwrap().text(), last.1.get().as_bytes());
            }
        }
        Kind::Array => {
            let expect: Vec<Box<RawValue>> = serde_json::from_str(text).unwrap();
            let elements: Vec<_> = value.elements().map(Result::unwrap).collect();
            assert_eq!(elements.len(), expect.len());
            for (element, raw) in elements.into_iter().zip(&expect) {
                assert_eq!(element.text(), raw.get().as_bytes());
                agree(document, element);
            }
        }
        Kind::String => {
            assert_eq!(value.as_str().unwrap(), serde_json::from_str::<String>(text).unwrap());
        }
        Kind::Number => {
            let expect = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok());
            assert_eq!(value.as_u64(), expect.flatten());
            serde_json::from_str::<f64>(text).unwrap();
        }
        Kind::Boolean => assert_eq!(value.as_bool().unwrap(), serde_json::from_str::<bool>(text).unwrap()),
        Kind::Null => serde_json::from_str::<()>(text).unwrap(),
    }
}

/// Walks every level, and has the inside of every string looked at: then the scanner is as strict as
/// JSON is.
fn walk(value: Value<'_>) -> Result<(), Malformed> {
    for member in value.members() {
        let member = member?;
        walk(member.key)?;
        walk(member.value)?;
    }
    for element in value.elements() {
        walk(element?)?;
    }
    let is_string = value.kind() == Kind::String;
    if is_string && serde_json::from_slice::<&RawValue>(value.text()).is_err() {
        return Err(Malformed::Unexpected { at: value.span().start });
    }
    Ok(())
}

/// A text that was JSON until something was cut out of it and something else put there.
fn nearly_json() -> impl Strategy<Value = String> {
    let noise = "[\\[\\]{}\",:\\\\ 0-9a-z.+-]{0,3}";
    (json::object(), any::<prop::sample::Index>(), 0_usize..3, noise).prop_map(
        |(text, index, length, noise)| {
            let mut characters: Vec<char> = text.chars().collect();
            let start = index.index(characters.len());
            let end = (start + length).min(characters.len());
            characters.splice(start..end, noise.chars());
            characters.into_iter().collect()
        },
    )
}

proptest! {
    #[test]
    fn the_same_members_with_the_same_text(document in json::object()) {
        let value = Value::read(document.as_bytes()).unwrap();
        agree(&document, value);
        let expect: Vec<_> = value.members().map(|member| member.unwrap().span()).collect();
        let members = scan::members(document.as_bytes()).unwrap();
        prop_assert_eq!(members.map(|member| member.unwrap().span()).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn any_value_is_a_document(before in json::blanks(), text in json::value(), after in json::blanks()) {
        let document = format!("{before}{text}{after}");
        let value = Value::read(document.as_bytes()).unwrap();
        prop_assert_eq!(value.span(), before.len()..before.len() + text.len());
        agree(&document, value);
    }

    #[test]
    fn a_walk_of_every_level_accepts_json_and_nothing_else(document in nearly_json()) {
        let walked = Value::read(document.as_bytes()).and_then(walk);
        let expect = serde_json::from_str::<Box<RawValue>>(&document);
        prop_assert_eq!(walked.is_ok(), expect.is_ok(), "{:?} {:?}", walked, expect.err());
    }

    #[test]
    fn a_cut_object_is_read_up_to_the_cut(document in json::object(), index in any::<prop::sample::Index>()) {
        let whole: Vec<_> = scan::members(document.as_bytes()).unwrap().map(|member| member.unwrap().span()).collect();
        let end = document.trim_end().len();
        let cut = &document.as_bytes()[..index.index(end)];
        let Ok(mut members) = scan::members(cut) else {
            prop_assert!(cut.trim_ascii().is_empty());
            return Ok(());
        };
        let mut seen = Vec::new();
        let error = loop {
            match members.next() {
                Some(Ok(member)) => seen.push(member.span()),
                other => break other,
            }
        };
        prop_assert_eq!(error.map(Result::unwrap_err), Some(Malformed::Ended { at: cut.len() }));
        // A number that is cut may look whole; every other value is there or is not.
        let same = seen.iter().zip(&whole).filter(|(seen, whole)| seen == whole).count();
        prop_assert!(seen.len() - same <= 1);
        prop_assert!(seen.iter().zip(&whole).all(|(seen, whole)| seen.start == whole.start));
    }
}
