//! Garbage never panics, and what was cut is read as far as it came.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::{Strategy, any, prop};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};
use relay_core::Time;
use relay_headers::{self as headers, Headers};
use relay_wire::scan::{self, Value};
use relay_wire::sse::Reader;
use relay_wire::{Call, Outline, Tally, quota, rate_limits, refusal};

use crate::fixtures;

/// Reads the bytes as everything there is.
fn read_all(bytes: &[u8]) {
    let call = Call::read(bytes);
    if let Ok(call) = &call {
        assert_eq!(call.len, bytes.len());
        assert!(call.model_span.clone().is_none_or(|span| span.end <= bytes.len()));
    }
    assert_eq!(call.is_ok(), Outline::new(&Bytes::copy_from_slice(bytes)).is_ok());
    if let Ok(members) = scan::members(bytes) {
        members.for_each(drop);
    }
    if let Ok(value) = Value::read(bytes) {
        let _ = (value.as_str(), value.as_u64(), value.as_bool(), value.get("a"));
        value.elements().for_each(drop);
    }
    let _ = (Tally::of_message(bytes), refusal::read(bytes));
    if let Ok(page) = rate_limits::read(bytes) {
        assert!(page.groups.iter().all(|group| !group.models.is_empty() && !group.limits.is_empty()));
    }

    let mut tally = Tally::default();
    let mut reader = Reader::default();
    for chunk in bytes.chunks(5) {
        reader.feed(chunk, |event| tally.read(&event));
    }
    let data = [b"event: message_delta\ndata: ", bytes, b"\n\n"].concat();
    reader.feed(&data, |event| tally.read(&event));
}

const HEADERS: [&str; 12] = [
    "date",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "anthropic-organization-id",
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-reset",
    "anthropic-ratelimit-unified-status",
    "anthropic-ratelimit-unified-reset",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
    "x-ratelimit-reset-requests",
];

/// A header's value: anything, or something near to what is understood.
fn header_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(32_u8..=255, 0..12),
        "[0-9.]{0,24}".prop_map(String::into_bytes),
        "([0-9.]{0,21}(ns|us|ms|s|m|h|d|x)?){0,3}".prop_map(String::into_bytes),
        "[-+]?[0-9]{1,6}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})"
            .prop_map(String::into_bytes),
        "(Mon|Fri), [0-9]{2} (Jan|Nov|Xyz) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} (GMT|UTC|-0400)"
            .prop_map(String::into_bytes),
    ]
}

#[test]
fn every_fixture_cut_anywhere_is_read_without_panic() {
    for folder in ["requests", "replies", "streams"] {
        for (name, bytes) in fixtures::all(folder) {
            for end in 0..=bytes.len().min(1200) {
                read_all(&bytes[..end]);
            }
            read_all(&bytes);
            assert!(!bytes.is_empty(), "{name}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        read_all(&bytes);
    }

    #[test]
    fn anything_that_looks_like_json_is_read_without_panic(
        text in r#"[\[\]{}":,\\ 0-9eE.+-]{0,40}|(\{"(error|usage|metadata|file_id)":[\[\]{}":,\\ 0-9a-z]{0,30}\}?)"#,
    ) {
        read_all(text.as_bytes());
    }

    #[test]
    fn anything_that_looks_like_a_list_of_limits_is_read_without_panic(
        models in r#"[\[\]{}":,\\ a-z]{0,20}|\["m"\]"#,
        limits in r#"[\[\]{}":,\\ 0-9a-z]{0,20}|\{"type":"(requests|input_tokens)_per_minute","value":[-0-9e."]{0,24}\}"#,
        end in r#"[\[\]{}":,\\ 0-9a-z]{0,12}|\]\}\],"next_page":"[a-z=]{0,3}"\}"#,
    ) {
        let text = format!(r#"{{"data":[{{"group_type":"model_group","models":{models},"limits":[{limits}{end}"#);
        read_all(text.as_bytes());
    }

    #[test]
    fn any_headers_are_read_without_panic(
        headers in prop::collection::vec((prop::sample::select(HEADERS.to_vec()), header_value()), 0..6),
        now in 0_u64..4_000_000_000,
    ) {
        let now = Time::from_epoch(Duration::from_secs(now));
        let mut list = Headers::default();
        for (name, value) in &headers {
            if let Ok(value) = headers::Value::new(value) {
                list.add(name, value);
            }
        }
        let quota = quota::quota(&list, quota::Pool::Ordinary, now);
        // A header that is not there gives no value.
        prop_assert!(list.has("retry-after") || list.has("retry-after-ms") || quota.retry_after.is_none());
        prop_assert_eq!(quota.output, relay_core::Gauge::default());
        prop_assert_eq!(quota.workspace, None);
    }
}
