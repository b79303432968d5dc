//! "Did you mean": the nearest of several names. It knows letters, not options.

/// The known name that was probably meant, if one is near enough.
pub(crate) fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    let near = |name: &str| {
        let distance = distance(&written, &name.to_lowercase());
        let longer = written.chars().count().max(name.chars().count());
        let contained =
            name.len() >= 3 && written.len() >= 3 && (written.contains(name) || name.contains(&written));
        (distance <= (longer / 3).max(1) || contained).then_some(distance)
    };
    known
        .filter_map(|name| Some((near(name)?, name)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many letters must be inserted, removed, replaced or swapped with their neighbour
/// (optimal string alignment, <https://en.wikipedia.org/wiki/Damerau%E2%80%93Levenshtein_distance>).
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, from) in left.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, to) in right.iter().enumerate() {
            let replaced = last[column] + usize::from(from != to);
            let mut best = replaced.min(last[column + 1] + 1).min(next[column] + 1);
            if row > 0 && column > 0 && *from == right[column - 1] && left[row - 1] == *to {
                best = best.min(before_last[column - 1] + 1);
            }
            next.push(best);
        }
        before_last = std::mem::replace(&mut last, next);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    #[test]
    fn the_nearest_name_is_suggested() {
        let known = ["strategy", "debug", "model_mapping", "default_provider", "listen"];
        let table = [
            ("stategy", Some("strategy")),
            ("startegy", Some("strategy")),
            ("Strategy", Some("strategy")),
            ("default-provider", Some("default_provider")),
            ("mapping", Some("model_mapping")),
            ("lsiten", Some("listen")),
            ("timeout", None),
            ("", None),
            ("x", None),
        ];
        for (written, expect) in table {
            assert_eq!(nearest(written, known.into_iter()), expect, "{written}");
        }
    }

    #[test]
    fn neighbours_swapped_are_one_step_apart() {
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("listen", "lsiten"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    proptest! {
        #[test]
        fn a_name_is_as_far_from_another_as_the_other_from_it(left in "[abc]{0,6}", right in "[abc]{0,6}") {
            prop_assert_eq!(distance(&left, &right), distance(&right, &left));
            prop_assert_eq!(distance(&left, &right) == 0, left == right);
            prop_assert!(distance(&left, &right) <= left.len().max(right.len()));
        }
    }
}
