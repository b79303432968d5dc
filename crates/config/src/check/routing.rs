//! In which order providers are tried: names of providers become their places.

use crate::check::providers::Accounts;
use crate::checked::Routing;
use crate::problem::{Findings, Spot};
use crate::raw;
use crate::raw::leaf::Text;
use crate::raw::suggest::nearest;

pub(super) fn routing(raw: &raw::routing::Routing, accounts: &Accounts, findings: &mut Findings) -> Routing {
    let order = raw.strategy.value.0;
    if !order.model_based {
        let written = [
            (&raw.model_mapping.spot, !raw.model_mapping.entries.is_empty()),
            (
                &raw.default_provider.spot,
                raw.default_provider.get().is_some_and(|name| !name.text.is_empty()),
            ),
        ];
        for (spot, _) in written.iter().filter(|(_, written)| *written) {
            findings
                .notice(spot, "has no effect, because `routing.strategy` is not `model_based`")
                .hint("set `strategy: model_based`");
        }
    } else if raw.model_mapping.entries.is_empty() {
        findings
            .problem(&raw.strategy.spot, "`model_based` needs `routing.model_mapping`")
            .hint("map the beginning of a model's name to a provider");
    }
    let prefixes = raw
        .model_mapping
        .entries
        .iter()
        .map(|(spot, prefix, name)| (prefix.clone(), target(name, spot, accounts, findings)))
        .collect();
    let default = raw.default_provider.get().filter(|name| !name.text.is_empty());
    Routing {
        strategy: order.strategy,
        model_based: order.model_based,
        prefixes,
        default_provider: default
            .and_then(|name| target(name, &raw.default_provider.spot, accounts, findings)),
        debug: raw.debug.value.0,
        unified_headers: raw.unified_headers.value.0,
        model_classes: classes(raw, findings),
    }
}

fn classes(raw: &raw::routing::Routing, findings: &mut Findings) -> Vec<(String, String)> {
    let mut classes = Vec::new();
    for (spot, start, class) in &raw.model_classes.entries {
        if class.text.is_empty() {
            findings
                .problem(spot, "must name a class")
                .hint("any name: models with the same one share limits");
        }
        classes.push((start.clone(), class.text.clone()));
    }
    classes
}

/// The place of the provider of that name; none if it is not served, or there is none.
fn target(name: &Text, spot: &Spot, accounts: &Accounts, findings: &mut Findings) -> Option<usize> {
    let said = match &name.variable {
        Some(variable) => format!("environment variable `{variable}` names"),
        None => format!("`{}` is", name.text.escape_debug()),
    };
    if let Some((_, place)) = accounts.names.iter().find(|(known, _)| *known == name.text) {
        if place.is_none() {
            findings
                .notice(spot, format!("{said} a provider that is not served"))
                .hint("the rule is left out");
        }
        return *place;
    }
    if accounts.all_named {
        let problem = findings.problem(spot, format!("{said} no configured provider"));
        let known = || accounts.names.iter().map(|(name, _)| name.as_str());
        let near = nearest(&name.text, known()).filter(|_| name.variable.is_none());
        if let Some(near) = near {
            problem.hint(format!("did you mean `{near}`?"));
        } else if !accounts.names.is_empty() {
            let names: Vec<_> = known().map(|name| format!("`{name}`")).collect();
            problem.hint(format!("configured: {}", names.join(", ")));
        }
    }
    None
}
