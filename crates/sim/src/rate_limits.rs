//! The Rate Limits API: what an organization may use, and which of its workspaces may use less
//! (<https://platform.claude.com/docs/en/manage-claude/rate-limits-api>). It refuses to know who may read it.

use serde_json::{Value, json};

use crate::{
    models::Model,
    refusal::Refusal,
    settings::{Limit, Organization, Settings},
};

/// How many requests of batches may be enqueued. Nobody counts them here.
const ENQUEUED: u64 = 500_000;

/// The groups of an organization, those of one kind if the query asks for that.
pub(crate) fn of_organization(
    settings: &Settings,
    organization: &Organization,
    query: Option<&str>,
) -> Value {
    let batch = json!({
        "type": "rate_limit",
        "group_type": "batch",
        "models": null,
        "limits": [{"type": "enqueued_batch_requests", "value": ENQUEUED}],
    });
    let models = groups(&settings.models, "rate_limit", |class| {
        let pairs = rates(organization.limit_of(class));
        pairs.map(|(kind, value)| json!({"type": kind, "value": value})).collect()
    });
    page(models.into_iter().chain([batch]), query)
}

/// What a workspace may use less than its organization.
pub(crate) fn of_workspace(
    settings: &Settings,
    organization: &Organization,
    id: &str,
    query: Option<&str>,
) -> Result<Value, Refusal> {
    let workspace = organization.workspaces.iter().find(|workspace| workspace.id == id);
    let workspace = workspace.ok_or_else(|| Refusal::not_found(format!("workspace: {id}")))?;
    let models = groups(&settings.models, "workspace_rate_limit", |class| {
        let of_all: Vec<_> = rates(organization.limit_of(class)).collect();
        let wider = |kind: &str| of_all.iter().find(|(known, _)| *known == kind).map(|(_, value)| *value);
        let own = rates(&workspace.limit);
        own.map(|(kind, value)| json!({"type": kind, "value": value, "org_limit": wider(kind)})).collect()
    });
    Ok(page(models, query))
}

/// A group for each class of models that has any limits.
fn groups(models: &[Model], kind: &str, limits: impl Fn(&str) -> Vec<Value>) -> Vec<Value> {
    let mut classes: Vec<(&str, Vec<&str>)> = Vec::new();
    for model in models {
        match classes.iter_mut().find(|(class, _)| *class == model.class) {
            Some((_, ids)) => ids.push(&model.id),
            None => classes.push((&model.class, vec![&model.id])),
        }
    }
    let group = |(class, ids): (&str, Vec<&str>)| {
        let limits = limits(class);
        let group = json!({"type": kind, "group_type": "model_group", "models": ids, "limits": limits});
        (!limits.is_empty()).then_some(group)
    };
    classes.into_iter().filter_map(group).collect()
}

fn rates(limit: &Limit) -> impl Iterator<Item = (&'static str, u64)> + use<> {
    let all = [
        ("requests_per_minute", limit.requests),
        ("input_tokens_per_minute", limit.input),
        ("output_tokens_per_minute", limit.output),
    ];
    all.into_iter().filter_map(|(kind, rate)| Some((kind, rate?)))
}

/// All of it on one page.
fn page(rows: impl IntoIterator<Item = Value>, query: Option<&str>) -> Value {
    let kind = query.unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("group_type="));
    let wanted = |row: &Value| kind.is_none_or(|kind| row["group_type"] == kind);
    json!({"data": rows.into_iter().filter(wanted).collect::<Vec<_>>(), "next_page": null})
}
