//! What a list of headers is held to: the map that `http` has, and a plain list.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::{collection::vec, sample::select};
use relay_headers::{Change, Headers, Value};

const NAMES: [&str; 6] = ["host", "x-a", "x-b", "content-type", "anthropic-beta", "via"];

fn pairs() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    vec((select(&NAMES[..]), "[ -~]{0,12}"), 0..12)
}

/// The same name in letters of either size.
fn shouted(name: &str, loud: u16) -> String {
    let letter = |(at, letter): (usize, char)| {
        if loud >> (at % 16) & 1 == 1 { letter.to_ascii_uppercase() } else { letter }
    };
    name.chars().enumerate().map(letter).collect()
}

/// As a head is parsed.
fn parsed(pairs: &[(&'static str, String)], loud: u16) -> Headers {
    let line = |(name, value): &(&'static str, String)| format!("{}: {value}\r\n", shouted(name, loud));
    let text = pairs.iter().map(line).collect::<Vec<_>>().concat();
    let head = Bytes::from(text);
    let mut at = 0;
    let mut places = Vec::new();
    for (name, value) in pairs {
        let begin = at + name.len() + 2;
        places.push((at..at + name.len(), begin..begin + value.len()));
        at = begin + value.len() + 2;
    }
    Headers::parsed(&head, places.iter().map(|(name, value)| (&head[name.clone()], &head[value.clone()])))
        .unwrap()
}

fn map(pairs: &[(&'static str, String)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    map
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_says_what_the_map_says(pairs in pairs(), loud in any::<u16>()) {
        let (headers, map) = (parsed(&pairs, loud), map(&pairs));
        prop_assert_eq!(headers.len(), pairs.len());
        for name in NAMES {
            prop_assert_eq!(headers.get(name), map.get(name).map(HeaderValue::as_bytes));
            prop_assert_eq!(headers.has(name), map.contains_key(name));
            let all: Vec<_> = map.get_all(name).iter().map(HeaderValue::as_bytes).collect();
            prop_assert_eq!(headers.all(name).collect::<Vec<_>>(), all);
        }
        prop_assert_eq!(HeaderMap::from(&headers), map);
    }

    #[test]
    fn what_came_stays_in_its_order_and_letters(pairs in pairs(), loud in any::<u16>()) {
        let headers = parsed(&pairs, loud);
        for (header, (name, value)) in headers.iter().zip(&pairs) {
            let name = shouted(name, loud);
            prop_assert_eq!(header.name(), name.as_bytes());
            prop_assert_eq!(header.value(), value.as_bytes());
        }
    }

    #[test]
    fn what_is_set_is_there_once_and_last_and_nothing_else_changes(
        pairs in pairs(), name in select(&NAMES[..]), value in "[!-~]{0,9}", loud in any::<u16>(),
    ) {
        let mut headers = parsed(&pairs, loud);
        headers.set(name, Value::new(value.as_bytes()).unwrap());
        let mut expected: Vec<_> = pairs.into_iter().filter(|(known, _)| *known != name).collect();
        expected.push((name, value));
        prop_assert_eq!(&headers, &parsed(&expected, 0));
        prop_assert!(headers.remove(name));
        prop_assert!(!headers.remove(name) && !headers.has(name));
        expected.pop();
        prop_assert_eq!(headers, parsed(&expected, 0));
    }

    #[test]
    fn what_is_revised_has_another_value_where_it_is_and_nothing_else_changes(
        pairs in pairs(), fates in vec((0_u8..3, "[!-~]{0,9}"), 12), loud in any::<u16>(),
    ) {
        let mut headers = parsed(&pairs, loud);
        let mut at = 0;
        headers.revise(|_| {
            at += 1;
            match &fates[at - 1] {
                (0, _) => Change::Keep,
                (1, _) => Change::Drop,
                (_, value) => Change::To(Value::new(value.as_bytes()).unwrap()),
            }
        });
        let mut expected = Vec::new();
        for ((name, value), (fate, other)) in pairs.into_iter().zip(&fates) {
            match fate {
                0 => expected.push((name, value)),
                1 => {}
                _ => expected.push((name, other.clone())),
            }
        }
        let (mut written, mut lines) = (Vec::new(), Vec::new());
        headers.write(&mut written, |_| true);
        parsed(&expected, loud).write(&mut lines, |_| true);
        prop_assert_eq!(String::from_utf8(written).unwrap(), String::from_utf8(lines).unwrap());
        prop_assert_eq!(headers, parsed(&expected, loud));
    }

    #[test]
    fn lines_are_written_one_by_one_or_in_one_piece_and_are_the_same(
        pairs in pairs(), loud in any::<u16>(), left_out in vec(any::<bool>(), 12), added in "[!-~]{0,9}",
    ) {
        let mut headers = parsed(&pairs, loud);
        headers.add("x-added", Value::new(added.as_bytes()).unwrap());
        let mut at = 0;
        let mut written = b"before".to_vec();
        headers.write(&mut written, |_| {
            at += 1;
            !left_out.get(at - 1).copied().unwrap_or_default()
        });
        let mut all: Vec<_> =
            pairs.iter().map(|(name, value)| format!("{}: {value}\r\n", shouted(name, loud))).collect();
        all.push(format!("x-added: {added}\r\n"));
        let is_left_out = |at: usize| left_out.get(at).copied().unwrap_or_default();
        let lines: Vec<_> = all.into_iter().enumerate().filter(|(at, _)| !is_left_out(*at)).map(|it| it.1).collect();
        prop_assert_eq!(String::from_utf8(written).unwrap(), format!("before{}", lines.concat()));
    }

    #[test]
    fn a_list_through_the_map_is_the_same_list(pairs in pairs()) {
        let through = Headers::from(&map(&pairs));
        prop_assert_eq!(HeaderMap::from(&through), map(&pairs));
    }
}

#[test]
fn a_list_of_members_is_read_over_all_lines() {
    let headers =
        parsed(&[("via", "a, b ,,\tc".to_owned()), ("host", "x".to_owned()), ("via", " d".to_owned())], 0);
    assert_eq!(headers.members("Via").collect::<Vec<_>>(), [b"a", b"b", b"c", b"d"]);
}

/// A line of another form is written in the usual one: with one blank, and a whole line end.
#[test]
fn a_line_of_another_form_is_not_copied() {
    for (text, name, value) in [
        ("host:x\r\n", 0..4, 5..6),
        ("host:   x\r\n", 0..4, 8..9),
        ("host: x\n", 0..4, 6..7),
        ("host: x  \r\n", 0..4, 6..7),
        ("host:\tx\r\n", 0..4, 6..7),
        ("host: x", 0..4, 6..7),
    ] {
        let head = Bytes::from(text);
        let headers = Headers::parsed(&head, [(&head[name], &head[value])].into_iter()).unwrap();
        let mut written = Vec::new();
        headers.write(&mut written, |_| true);
        assert_eq!(written, b"host: x\r\n", "{text:?}");
    }
}

#[test]
fn no_value_is_ever_printed() {
    let mut headers = parsed(&[("host", "hidden".to_owned())], 0);
    headers.set_secret("x-api-key", Value::fixed("hidden"));
    assert_eq!(format!("{headers:?}"), r#"["host", "x-api-key"]"#);
}

#[test]
fn a_secret_is_one_in_the_map_too() {
    let mut headers = Headers::default();
    headers.set_secret("x-api-key", Value::fixed("k"));
    headers.add("x-a", 7);
    let map = HeaderMap::from(&headers);
    assert!(map["x-api-key"].is_sensitive() && !map["x-a"].is_sensitive());
    assert!(Headers::from(&map).iter().any(|header| header.is_secret()));
}

#[test]
fn what_is_not_of_the_head_is_no_header_of_it() {
    let head = Bytes::from_static(b"host: x");
    let other = Bytes::from("host: x".to_owned());
    assert!(Headers::parsed(&head, [(&other[..4], &head[6..])].into_iter()).is_none());
    assert_eq!(
        Headers::parsed(&head, [(&head[..4], &b""[..])].into_iter()).unwrap().get("host"),
        Some(&b""[..])
    );
}
