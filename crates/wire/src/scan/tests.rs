//! The scanner by example: what it gives, where it says no, and how far it goes. Its laws are in `tests/laws`.

use super::*;

fn keys(document: &str) -> Result<Vec<(String, Kind, String)>, Malformed> {
    members(document.as_bytes())?
        .map(|member| {
            let Member { key, value } = member?;
            let text = std::str::from_utf8(value.text()).unwrap();
            assert_eq!(&document[value.span()], text);
            Ok((key.as_str().unwrap().into_owned(), value.kind(), text.to_owned()))
        })
        .collect()
}

#[test]
fn members_are_given_with_kind_and_text() {
    let document =
        " {\"a\" : [1, {\"b\":\"}\"}] ,\n\"c\":\"\\\"]\",\"d\":-0.5e+7,\"e\":null , \"f\":true\t} ";
    let expect = [
        ("a", Kind::Array, "[1, {\"b\":\"}\"}]"),
        ("c", Kind::String, "\"\\\"]\""),
        ("d", Kind::Number, "-0.5e+7"),
        ("e", Kind::Null, "null"),
        ("f", Kind::Boolean, "true"),
    ];
    let expect = expect.map(|(key, kind, text)| (key.to_owned(), kind, text.to_owned()));
    assert_eq!(keys(document).unwrap(), expect);
    assert_eq!(keys("{ }").unwrap(), []);
}

#[test]
fn every_fault_says_where_it_lies() {
    for (document, expect) in [
        ("", Malformed::Ended { at: 0 }),
        ("  ", Malformed::Ended { at: 2 }),
        (" 1", Malformed::NotAnObject { at: 1 }),
        ("{", Malformed::Ended { at: 1 }),
        ("{}{", Malformed::Unexpected { at: 2 }),
        ("{,}", Malformed::Unexpected { at: 1 }),
        ("{1:2}", Malformed::Unexpected { at: 1 }),
        (r#"{"a"}"#, Malformed::Unexpected { at: 4 }),
        (r#"{"a":}"#, Malformed::Unexpected { at: 5 }),
        (r#"{"a":1 "b":2}"#, Malformed::Unexpected { at: 7 }),
        (r#"{"a":1,}"#, Malformed::Unexpected { at: 7 }),
        (r#"{"a":1,"#, Malformed::Ended { at: 7 }),
        (r#"{"a":1"#, Malformed::Ended { at: 6 }),
        (r#"{"a":tru"#, Malformed::Ended { at: 8 }),
        (r#"{"a":tru}"#, Malformed::Unexpected { at: 5 }),
        (r#"{"a":"\""#, Malformed::Ended { at: 8 }),
        (r#"{"a":[1}"#, Malformed::Unexpected { at: 7 }),
        (r#"{"a":{"b":1]"#, Malformed::Unexpected { at: 11 }),
    ] {
        assert_eq!(keys(document), Err(expect), "{document}");
    }
}

#[test]
fn after_an_error_there_is_nothing_more() {
    let mut members = members(br#"{"a":1,,"b":2}"#).unwrap();
    assert!(members.next().unwrap().is_ok());
    assert_eq!(members.next().unwrap().unwrap_err(), Malformed::Unexpected { at: 7 });
    assert!(members.next().is_none());

    let list = Value::read(b"[1,,2]").unwrap();
    let mut elements = list.elements();
    assert!(elements.next().unwrap().is_ok());
    assert_eq!(elements.next().unwrap().unwrap_err(), Malformed::Unexpected { at: 3 });
    assert!(elements.next().is_none());
}

#[test]
fn a_cut_value_is_given_as_far_as_it_came() {
    let mut members = members(br#"{"a":1,"error": {"type":"x"#).unwrap();
    assert!(members.next().unwrap().is_ok());
    assert!(members.unfinished().is_none());
    assert_eq!(members.next().unwrap().unwrap_err(), Malformed::Ended { at: 26 });
    let (key, piece) = members.unfinished().unwrap();
    assert_eq!(key.as_str().unwrap(), "error");
    assert_eq!(piece, br#"{"type":"x"#);
}

#[test]
fn depth_is_bounded_and_the_bound_is_exact() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let deepest = MAX_DEPTH;
    assert!(keys(&nested(deepest)).is_ok());
    assert_eq!(keys(&nested(deepest + 1)), Err(Malformed::TooDeep { at: 5 + deepest }));
}

#[test]
fn a_value_is_read_only_as_what_it_is() {
    let value = |text: &'static str| Value::read(text.as_bytes()).unwrap();
    assert_eq!(value("18446744073709551615").as_u64(), Some(u64::MAX));
    for other in ["18446744073709551616", "-1", "1.0", "1e2", "\"1\"", "null", "[1]"] {
        assert_eq!(value(other).as_u64(), None, "{other}");
    }
    assert_eq!(value("true").as_bool(), Some(true));
    assert_eq!(value("false").as_bool(), Some(false));
    assert_eq!(value("\"true\"").as_bool(), None);
    assert_eq!(value(r#""\u00e9\n\ud83d\ude00""#).as_str().unwrap(), "é\n😀");
    assert_eq!(value(r#""\ud83d""#).as_str(), None);
    assert_eq!(value(r#""\x""#).as_str(), None);
    assert_eq!(value("null").as_str(), None);
    assert_eq!(Value::read(b"\"\xff\"").unwrap().as_str(), None);
}

#[test]
fn a_nested_value_keeps_the_offsets_of_its_document() {
    let document = r#"{"a":[{"b":"x"},{"b":"y"}]}"#;
    let list = Value::read(document.as_bytes()).unwrap().get("a").unwrap();
    let spans: Vec<_> = list.elements().map(|element| element.unwrap().get("b").unwrap().span()).collect();
    assert_eq!(spans, [11..14, 21..24]);
    assert_eq!(&document[spans[1].clone()], "\"y\"");
}

#[test]
fn entries_of_another_kind_are_none() {
    let document = Value::read(br#"{"a":[1],"a":2}"#).unwrap();
    assert_eq!(document.elements().count(), 0);
    assert_eq!(document.get("b").map(Value::kind), None);
    assert_eq!(document.get("a").map(Value::kind), Some(Kind::Number));
    assert_eq!(Value::read(b"[1]").unwrap().members().count(), 0);
    assert_eq!(Value::read(b"1").unwrap().elements().count(), 0);
    assert_eq!(
        Value::read(br#"{"a":[1,{"b":1,}]}"#).unwrap().get("a").unwrap().get("b").map(Value::kind),
        None
    );
}

#[test]
fn a_document_is_one_value_and_blanks() {
    assert_eq!(Value::read(b" 7 ").unwrap().span(), 1..2);
    assert_eq!(Value::read(b"7 7").unwrap_err(), Malformed::Unexpected { at: 2 });
    assert_eq!(Value::read(b" ").unwrap_err(), Malformed::Ended { at: 1 });
}

#[test]
fn nothing_of_the_text_is_shown() {
    let value = Value::read(br#"{"prompt":"secret"}"#).unwrap();
    assert_eq!(format!("{value:?}"), "Object at 0..19");
    let members = "Members { cursor: First at 1 of 19, unfinished: None }";
    assert_eq!(format!("{:?}", value.members()), members);
}
