//! Groups of models, as a provider lists them, become limits of classes, as the relay keeps them.

use std::collections::{BTreeMap, BTreeSet};

use relay_core::{Class, Counted, Families};
use relay_wire::rate_limits::Group;

/// How many a minute there are of something, for a class of models.
pub(super) type Limit = (Class, Counted, u64);

/// The limits of classes. Where several groups are of one class, the smaller value rules; where one group is of several,
/// each is held to it.
pub(super) fn by_class(groups: &[Group], families: &Families) -> Vec<Limit> {
    let mut limits: BTreeMap<Class, Vec<(Counted, u64)>> = BTreeMap::new();
    for group in groups {
        for class in classes(group, families) {
            let held = limits.entry(class).or_default();
            // To be allowed nothing at all is no limit that anybody could wait for.
            for (counted, most) in group.limits.iter().filter(|(_, most)| *most > 0) {
                match held.iter_mut().find(|(known, _)| known == counted) {
                    Some((_, known)) => *known = (*known).min(*most),
                    None => held.push((*counted, *most)),
                }
            }
        }
    }
    let all = limits.into_iter();
    all.flat_map(|(class, held)| held.into_iter().map(move |(counted, most)| (class.clone(), counted, most)))
        .collect()
}

/// Of each group that is of several classes, their names.
pub(super) fn spanned(groups: &[Group], families: &Families) -> Vec<String> {
    let several = groups.iter().map(|group| classes(group, families)).filter(|classes| classes.len() > 1);
    several.map(|classes| classes.iter().map(Class::as_str).collect::<Vec<_>>().join(", ")).collect()
}

fn classes(group: &Group, families: &Families) -> BTreeSet<Class> {
    group.models.iter().map(|model| families.class(model)).collect()
}

/// The limits of all classes, for the log.
pub(super) fn summary(limits: &[Limit]) -> String {
    let of_class = limits.chunk_by(|(one, ..), (other, ..)| one == other);
    let texts = of_class.map(|held| {
        let parts: Vec<_> =
            held.iter().map(|(_, counted, most)| format!("{most} {}", word(*counted))).collect();
        let class = held.first().map_or("", |(class, ..)| class.as_str());
        format!("{class}: {}", parts.join(", "))
    });
    let texts: Vec<_> = texts.collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join("; ") }
}

const fn word(counted: Counted) -> &'static str {
    match counted {
        Counted::Requests => "requests",
        Counted::Input => "input",
        Counted::Output => "output",
        Counted::Tokens => "tokens",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(models: &[&str], limits: &[(Counted, u64)]) -> Group {
        let models = models.iter().map(|model| (*model).to_owned()).collect();
        Group { models, limits: limits.to_vec() }
    }

    #[test]
    fn models_of_one_family_are_one_class_and_the_smaller_of_two_limits_rules() {
        let groups = [
            group(
                &["claude-opus-4-5", "claude-opus-4-5-20251101"],
                &[(Counted::Input, 900), (Counted::Requests, 50)],
            ),
            group(&["claude-opus-4-1"], &[(Counted::Requests, 40), (Counted::Output, 7)]),
            group(&["claude-x"], &[(Counted::Requests, 0), (Counted::Output, 3)]),
        ];
        let limits = by_class(&groups, &Families::default());
        let said = "claude-opus-4: 900 input, 40 requests, 7 output; claude-x: 3 output";
        assert_eq!(summary(&limits), said);
        assert_eq!(spanned(&groups, &Families::default()), Vec::<String>::new());
        assert_eq!(summary(&by_class(&[], &Families::default())), "none");
    }

    #[test]
    fn classes_that_share_a_limit_are_each_held_to_it_until_they_are_joined() {
        let groups = [group(&["claude-x", "claude-y", "claude-y-20260101"], &[(Counted::Requests, 9)])];
        let apart = Families::default();
        assert_eq!(summary(&by_class(&groups, &apart)), "claude-x: 9 requests; claude-y: 9 requests");
        assert_eq!(spanned(&groups, &apart), ["claude-x, claude-y"]);
        let joined = ["claude-x", "claude-y"].map(|start| (start.to_owned(), "both".to_owned()));
        let joined = Families::with(joined);
        assert_eq!(summary(&by_class(&groups, &joined)), "both: 9 requests");
        assert_eq!(spanned(&groups, &joined), Vec::<String>::new());
    }
}
