//! The limits of an organization or of one of its workspaces, as the provider lists them. It knows the lists of the Rate
//! Limits API (platform.claude.com/docs/en/manage-claude/rate-limits-api); it refuses to know who may read them and what
//! the limits mean for anybody.
//!
//! Groups and limiters are open lists: what is not known, or cannot be read, is passed over one by one.

use std::borrow::Cow;

use relay_core::Counted;

use crate::scan::{Kind, Malformed, Value};

/// One page of such a list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// In the order of the page; those that say nothing of models are left out.
    pub groups: Vec<Group>,
    /// How the next page is asked for, as it was written. None after the last one.
    pub next: Option<String>,
}

/// Models that share limits, and these, a minute.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Group {
    /// Their names, with and without dates.
    pub models: Vec<String>,
    /// What is counted, and how many there are of it.
    pub limits: Vec<(Counted, u64)>,
}

/// Why there is no page in a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoPage {
    /// It is not JSON.
    #[error("it is not JSON: {0}")]
    Malformed(Malformed),
    /// It is JSON without a list.
    #[error("it has no list called `data`")]
    NoList,
}

/// Reads one page.
pub fn read(bytes: &[u8]) -> Result<Page, NoPage> {
    let page = Value::read(bytes).map_err(NoPage::Malformed)?;
    let [data, next] = page.pick(["data", "next_page"]);
    let data = data.filter(|data| data.kind() == Kind::Array).ok_or(NoPage::NoList)?;
    let next = next.and_then(Value::as_str).filter(|next| !next.is_empty());
    // After an entry that is no JSON, nobody knows where the next one begins.
    let entries = data.elements().map_while(Result::ok);
    Ok(Page { groups: entries.filter_map(group).collect(), next: next.map(Cow::into_owned) })
}

/// None if it is of something else than models, or says nothing that is understood.
fn group(entry: Value<'_>) -> Option<Group> {
    let [kind, models, limits] = entry.pick(["group_type", "models", "limits"]);
    kind.and_then(Value::as_str).filter(|kind| kind == "model_group")?;
    let texts = models?.elements().map_while(Result::ok).filter_map(Value::as_str);
    let models: Vec<String> = texts.filter(|model| !model.is_empty()).map(Cow::into_owned).collect();
    let limits: Vec<_> = limits?.elements().map_while(Result::ok).filter_map(limit).collect();
    (!models.is_empty() && !limits.is_empty()).then_some(Group { models, limits })
}

fn limit(entry: Value<'_>) -> Option<(Counted, u64)> {
    let [kind, value] = entry.pick(["type", "value"]);
    let counted = match &*kind?.as_str()? {
        "requests_per_minute" => Counted::Requests,
        "input_tokens_per_minute" => Counted::Input,
        "output_tokens_per_minute" => Counted::Output,
        _ => return None,
    };
    Some((counted, value?.as_u64()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As it is documented.
    const ORGANIZATION: &str = r#"{"data":[
        {"type":"rate_limit","group_type":"model_group","models":["claude-opus-4-5","claude-opus-4-5-20251101","claude-opus-4-6"],
         "limits":[{"type":"requests_per_minute","value":4000},{"type":"input_tokens_per_minute","value":10000000},
                   {"type":"output_tokens_per_minute","value":800000}]},
        {"type":"rate_limit","group_type":"batch","models":null,"limits":[{"type":"enqueued_batch_requests","value":500000}]}
      ],"next_page":null}"#;

    /// As it is documented.
    const WORKSPACE: &str = r#"{"data":[
        {"type":"workspace_rate_limit","group_type":"model_group","models":["claude-opus-4-5"],
         "limits":[{"type":"requests_per_minute","value":1000,"org_limit":4000}]}
      ],"next_page":"page_Mz=="}"#;

    fn page(body: &str) -> Page {
        read(body.as_bytes()).expect("it is a page")
    }

    fn group_of(models: &[&str], limits: &[(Counted, u64)]) -> Group {
        let models = models.iter().map(|name| (*name).to_owned()).collect();
        Group { models, limits: limits.to_vec() }
    }

    #[test]
    fn the_documented_pages_are_read() {
        let limits = [(Counted::Requests, 4_000), (Counted::Input, 10_000_000), (Counted::Output, 800_000)];
        let models = ["claude-opus-4-5", "claude-opus-4-5-20251101", "claude-opus-4-6"];
        let groups = vec![group_of(&models, &limits)];
        assert_eq!(page(ORGANIZATION), Page { groups, next: None });
        let groups = vec![group_of(&["claude-opus-4-5"], &[(Counted::Requests, 1_000)])];
        assert_eq!(page(WORKSPACE), Page { groups, next: Some("page_Mz==".to_owned()) });
    }

    #[test]
    fn what_is_not_understood_is_passed_over_one_by_one() {
        let good = r#"{"group_type":"model_group","models":["m"],"limits":[{"type":"requests_per_minute","value":5}]}"#;
        let read_as_nothing = [
            "null",
            "7",
            r#"{"group_type":"model_group","models":null,"limits":[{"type":"requests_per_minute","value":5}]}"#,
            r#"{"group_type":"model_group","models":[7,""],"limits":[{"type":"requests_per_minute","value":5}]}"#,
            r#"{"group_type":"model_group","models":["m"],"limits":[{"type":"requests_per_minute","value":-5}]}"#,
            r#"{"group_type":"model_group","models":["m"],"limits":[{"type":"requests_per_minute","value":"5"}]}"#,
            r#"{"group_type":"model_group","models":["m"],"limits":[{"type":"requests_per_hour","value":5},3]}"#,
            r#"{"group_type":"model_group","models":["m"],"limits":{}}"#,
            r#"{"group_type":"web_search","models":["m"],"limits":[{"type":"requests_per_minute","value":5}]}"#,
            r#"{"models":["m"],"limits":[{"type":"requests_per_minute","value":5}]}"#,
        ];
        for bad in read_as_nothing {
            let body = format!(r#"{{"data":[{bad},{good}]}}"#);
            assert_eq!(page(&body).groups, [group_of(&["m"], &[(Counted::Requests, 5)])], "{bad}");
        }
        assert_eq!(read(br#"{"data":[],"next_page":7}"#), Ok(Page::default()));
    }

    #[test]
    fn what_is_no_page_is_no_page() {
        assert!(matches!(read(b"<html>"), Err(NoPage::Malformed(_))));
        assert!(matches!(read(br#"{"data":["#), Err(NoPage::Malformed(_))));
        for body in ["[]", "{}", r#"{"data":null}"#, r#"{"type":"error","error":{"type":"api_error"}}"#] {
            assert_eq!(read(body.as_bytes()), Err(NoPage::NoList), "{body}");
        }
    }
}
