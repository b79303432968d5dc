//! What holds for every provider there is, and for every one that will be.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use relay_core::{Breakage, Quota, Time, Verdict};
use relay_headers::Header;
use relay_providers::features::SAFEGUARDS;
use relay_providers::{Credential, Head, Kind, Offer, Piece, Scheme, Unsupported, Upstream};
use relay_wire::scan::Value;

use crate::stage::{Asked, SECRET, fixtures};

#[test]
fn a_kind_has_a_name_of_its_own_that_means_it() {
    let names: Vec<_> = Kind::all().map(Kind::as_str).collect();
    for (place, kind) in Kind::all().enumerate() {
        assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        assert_eq!(names.iter().filter(|name| **name == kind.as_str()).count(), 1);
        assert_eq!(kind as usize, place);
    }
    assert_eq!(Kind::parse("nobody"), None);
}

/// What is sent. Nothing is refused but what a provider does not offer, and what cannot be said in another dialect.
fn carried(asked: &Asked, kind: Kind, sent: Result<Upstream, Unsupported>) -> Option<Upstream> {
    let counts = asked.name == "count_tokens" && !kind.facts().offers(Offer::CountTokens);
    let says = |place: &str| matches!(&sent, Err(Unsupported::Field { place: own, .. }) if own == place);
    let foreign = kind.facts().translated
        && match &*asked.name {
            "files" => says("messages.0.content.1"),
            "pdf" => says("messages.0.content.0"),
            _ => false,
        };
    assert!(sent.is_ok() || counts || foreign, "{} of {}: {sent:?}", kind.as_str(), asked.name);
    sent.ok()
}

#[test]
fn the_same_request_is_written_the_same_twice() {
    for asked in fixtures() {
        for kind in Kind::all() {
            let write = || {
                let sent = asked.sent_to(kind, &[("claude-opus-5-5", "other")]);
                sent.map(|sent| (sent.path, sent.headers, sent.edits.map(|edits| edits.apply().to_bytes())))
            };
            assert_eq!(write(), write(), "{} of {}", kind.as_str(), asked.name);
        }
    }
}

#[test]
fn a_secret_stands_in_its_header_and_nowhere_else_and_the_clients_own_nowhere() {
    for asked in fixtures() {
        for kind in Kind::all() {
            let Some(sent) = carried(&asked, kind, asked.sent_to(kind, &[])) else { continue };
            let secrets: Vec<_> = sent.headers.iter().filter(Header::is_secret).collect();
            let expect = match kind.facts().auth.scheme {
                Scheme::ApiKey => ("x-api-key", SECRET.to_owned()),
                // Signatures have tests of their own: this is an API key.
                Scheme::Bearer | Scheme::Signature => ("authorization", format!("Bearer {SECRET}")),
            };
            let found: Vec<_> = secrets
                .iter()
                .map(|header| (header.lowercase(), header.text().unwrap_or_default()))
                .collect();
            assert_eq!(found, [(expect.0.into(), &*expect.1)], "{}", kind.as_str());
            let all = format!("{:?} {:?} {:?} {}", sent, sent.headers, sent.edits, sent.path);
            assert!(!all.contains(SECRET) && !all.contains("sk-of-the-client"), "{}", kind.as_str());
            let others = sent.headers.iter().filter(|header| !header.is_secret());
            for header in others {
                let value = String::from_utf8_lossy(header.value());
                assert!(!value.contains("sk-of-the"), "{}: {}", kind.as_str(), header.lowercase());
            }
        }
    }
}

#[test]
fn without_a_credential_none_is_sent() {
    for asked in fixtures() {
        for kind in Kind::all() {
            let sent = asked.sent_with(kind, &[], &Credential::None);
            let Some(sent) = carried(&asked, kind, sent) else { continue };
            assert!(
                !sent.headers.has("authorization") && !sent.headers.has("x-api-key"),
                "{}",
                kind.as_str()
            );
        }
    }
}

/// What is not known goes on, unless it is listed as lacking. In another dialect it would mean something else.
#[test]
fn fields_and_headers_survive_or_are_listed_as_lacking() {
    let body = Bytes::from_static(
        br#"{"of_tomorrow":{"z":1.0,"a":12345678901234567890},"model":"claude-opus-5-5","safeguards":[{"type":"dangerous_tool_use"}],"messages":[]}"#,
    );
    let asked = Asked::new("tomorrow", body);
    for kind in Kind::all().filter(|kind| !kind.facts().translated) {
        let sent = asked.sent_to(kind, &[("claude-opus-5-5", "other")]).expect("it is carried");
        let edited = sent.edits.map_or(asked.body.clone(), |edits| edits.apply().to_bytes());
        let fields = Value::read(&edited).expect("it is an object");
        let lacks = (kind.facts().lacks)("other");
        for field in ["of_tomorrow", "model", "safeguards", "messages"] {
            let lacking = lacks.iter().any(|feature| feature.fields.contains(&field));
            // Some write the model into the path.
            let goes = fields.get(field).is_some() || field == "model" && sent.path.path().contains("other");
            assert_eq!(goes, !lacking, "{} of {}", field, kind.as_str());
        }
        let of_tomorrow = fields.get("of_tomorrow").expect("nobody lacks it");
        assert_eq!(of_tomorrow.text(), br#"{"z":1.0,"a":12345678901234567890}"#);
        assert_eq!(sent.headers.text("x-of-tomorrow"), Some("kept"));
        // They stand in a header, or in the body.
        let in_body =
            fields.get("anthropic_beta").map(|list| String::from_utf8_lossy(list.text()).into_owned());
        let betas = sent.headers.text("anthropic-beta").map(str::to_owned).or(in_body).unwrap_or_default();
        for beta in asked.headers.members("anthropic-beta") {
            let beta = std::str::from_utf8(beta).expect("it is visible");
            let lacking =
                lacks.iter().flat_map(|feature| feature.betas).any(|lacking| beta.starts_with(lacking));
            let takes = (kind.facts().takes_beta)("other", beta) && !lacking;
            assert_eq!(betas.contains(beta), takes, "{beta} to {}", kind.as_str());
        }
    }
}

/// Paths of the client's machine are in it.
#[test]
fn safeguards_go_to_claude_models_only() {
    let fixtures = fixtures();
    let asked = fixtures.iter().find(|asked| asked.name == "safeguards").expect("it is there");
    for kind in Kind::all() {
        for (model, may) in [("claude-opus-5-5", true), ("glm-5.3", false)] {
            let sent = asked.sent_to(kind, &[("claude-opus-5-5", model)]).expect("it is carried");
            let text = sent.edits.map_or(asked.body.clone(), |edits| edits.apply().to_bytes());
            let goes = Value::read(&text).expect("it is an object").get("safeguards").is_some();
            let all_claude = !kind.facts().translated && !(kind.facts().lacks)("").contains(&&SAFEGUARDS);
            assert!(!goes || may || all_claude, "{} to {}", model, kind.as_str());
        }
    }
}

/// What others thought, or what came from a provider whose thoughts nobody signs, Claude models refuse; signed thoughts and
/// sealed ones go on as they are, with what they belong to.
#[test]
fn unsigned_thoughts_go_to_nobody_who_refuses_them_and_signed_ones_stay() {
    let body = br#"{"model":"claude-opus-5-5","max_tokens":9,"messages":[{"role":"user","content":"q"},{"role":"assistant","content":[{"type":"thinking","thinking":"foreign","signature":""},{"type":"tool_use","id":"t","name":"N","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"r"}]},{"role":"assistant","content":[{"type":"thinking","thinking":"own","signature":"EqQB"},{"type":"redacted_thinking","data":"EmwK"},{"type":"text","text":"x"}]},{"role":"user","content":"and?"}]}"#;
    let asked = Asked::new("moved", Bytes::from_static(body));
    for kind in Kind::all().filter(|kind| !kind.facts().translated) {
        for model in ["claude-opus-5-5", "other"] {
            let sent = asked.sent_to(kind, &[("claude-opus-5-5", model)]).expect("it is carried");
            let text = sent.edits.map_or(asked.body.clone(), |edits| edits.apply().to_bytes());
            let fields = Value::read(&text).expect("it is an object");
            let messages = fields.get("messages").expect("it has messages").text();
            let goes = !(kind.facts().signed_only)(model);
            let left = String::from_utf8_lossy(messages);
            assert_eq!(left.contains("foreign"), goes, "{model} of {}", kind.as_str());
            let foreign = r#"{"type":"thinking","thinking":"foreign","signature":""},"#;
            let all = String::from_utf8_lossy(body);
            let expect = if goes { all.into_owned() } else { all.replace(foreign, "") };
            assert!(expect.contains(&*left), "{model} of {}: nothing else is changed: {left}", kind.as_str());
        }
    }
}

#[test]
fn what_is_refused_for_want_of_capacity_is_never_the_providers_fault() {
    let now = Time::from_epoch(Duration::from_secs(1_000));
    let bodies: [&[u8]; 4] = [
        b"",
        b"<html>",
        br#"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your rate limit"}}"#,
        br#"{"error":{"code":"1302","message":"High concurrency usage (1002)"}}"#,
    ];
    for kind in Kind::all() {
        for retry_after in [None, Some(1), Some(40)] {
            let quota = Quota { retry_after: retry_after.map(Duration::from_secs), ..Quota::default() };
            let head = Head { status: StatusCode::TOO_MANY_REQUESTS, quota: &quota };
            for body in bodies {
                let verdict = kind.adapter().judge(&head, Piece::Body(body), now);
                let fault = matches!(verdict, Verdict::Broken(_) | Verdict::Overloaded { .. });
                assert!(!fault, "{} {verdict:?}", kind.as_str());
                if let Verdict::Spent { until } | Verdict::Throttled { until } | Verdict::Crowded { until } =
                    verdict
                {
                    assert!(until > now, "{} {verdict:?}", kind.as_str());
                }
            }
        }
    }
}

#[test]
fn what_most_statuses_mean_is_the_same_everywhere() {
    let (now, quota) = (Time::from_epoch(Duration::from_secs(1_000)), Quota::default());
    for kind in Kind::all() {
        let judged = |status: u16| {
            let head = Head { status: StatusCode::from_u16(status).unwrap(), quota: &quota };
            kind.adapter().judge(&head, Piece::Body(b"{}"), now)
        };
        assert_eq!(judged(200), Verdict::Served);
        assert_eq!(judged(400), Verdict::Refused);
        assert!(matches!(judged(401), Verdict::KeyBad(_)));
        assert_eq!(judged(402), Verdict::OutOfMoney);
        assert_eq!(judged(404), Verdict::Unfit);
        assert_eq!(judged(500), Verdict::Broken(Breakage::Status));
        assert_eq!(judged(529), Verdict::Overloaded { until: None });
    }
}

/// Nothing is copied but what is changed, however large the request is.
#[test]
fn of_twenty_megabytes_a_few_bytes_are_changed() {
    let text = "x".repeat(20 << 20);
    let body = format!(
        r#"{{"model":"claude-opus-5-5","messages":[{{"role":"user","content":"{text}"}}],"max_tokens":1}}"#
    );
    let asked = Asked::new("large", body.into());
    for kind in Kind::all() {
        let sent = asked.sent_to(kind, &[("claude-opus-5-5", "other")]).expect("it is carried");
        let edits = sent.edits.expect("the model has another name");
        let segments = edits.apply();
        let own = asked.body.as_ptr_range();
        let new = segments.iter().filter(|part| !own.contains(&part.as_ptr()));
        let new: usize = new.map(Bytes::len).sum();
        assert!(new < 200, "{} writes {new} bytes", kind.as_str());
    }
}
