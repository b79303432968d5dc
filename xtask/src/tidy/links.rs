//! Links between the documents. Knows Markdown's links and headings; refuses to follow a link
//! out of the checkout.

use std::collections::BTreeMap;

use crate::tidy::{Finding, Rule};
use crate::workshop::has_extension;

pub(super) fn inspect(texts: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in texts.iter().filter(|(path, _)| has_extension(path, "md")) {
        for (line, target) in links(text) {
            if let Some(problem) = problem_of(texts, path, target) {
                let path = path.clone();
                findings.push(Finding { rule: Rule::Link, path, line, subject: target.to_owned(), problem });
            }
        }
    }
    findings
}

fn problem_of(texts: &BTreeMap<String, String>, path: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let file = if file.is_empty() { path.to_owned() } else { resolve(path, file)? };
    // A folder is there when a file lies in it.
    let folder = format!("{}/", file.trim_end_matches('/'));
    let exists = texts.contains_key(&file) || texts.keys().any(|name| name.starts_with(&folder));
    if !exists {
        return Some(format!("the link `{target}` leads nowhere"));
    }
    let document = texts.get(&file).filter(|_| has_extension(&file, "md") && !heading.is_empty())?;
    let has_heading = headings(document).any(|anchor| anchor == heading);
    (!has_heading).then(|| format!("the link `{target}` leads to a heading which is not there"))
}

/// The path of a link's target from the root; nothing when it leaves the checkout.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Each link's line (from 1) and target: `[text](target)` and `[name]: target`.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    for (number, line) in prose(text) {
        if let Some((name, target)) = line.strip_prefix('[').and_then(|rest| rest.split_once("]: "))
            && !name.contains(']')
        {
            links.push((number, first_word(target)));
        }
        let spans: Vec<&str> = line.split('`').step_by(2).collect();
        for span in spans {
            let ends = span.match_indices("](").map(|(place, _)| &span[place + 2..]);
            links.extend(
                ends.filter_map(|rest| rest.split_once(')')).map(|(target, _)| (number, first_word(target))),
            );
        }
    }
    links
}

/// A target may be followed by a title, and may stand in angle brackets.
fn first_word(target: &str) -> &str {
    let word = target.split_whitespace().next().unwrap_or_default();
    word.trim_start_matches('<').trim_end_matches('>')
}

/// The lines outside of code blocks, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_block = false;
    text.lines().enumerate().filter_map(move |(number, line)| {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
            return None;
        }
        (!in_block).then_some((number + 1, line))
    })
}

/// The anchors which GitHub gives to headings: small letters, blanks become hyphens, and all
/// other signs but hyphens and underscores are dropped. (The second heading of the same words
/// gets a number; the first is enough here.)
fn headings(text: &str) -> impl Iterator<Item = String> {
    let titles = prose(text).filter_map(|(_, line)| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len()).then(|| title.trim())
    });
    titles.map(|title| {
        let kept =
            title.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
        kept.flat_map(char::to_lowercase).map(|letter| if letter == ' ' { '-' } else { letter }).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(documents: &[(&str, &str)]) -> Vec<String> {
        let texts = documents.iter().map(|&(path, text)| (path.to_owned(), text.to_owned())).collect();
        inspect(&texts).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_to_files_folders_headings_and_other_places_are_followed() {
        let readme = "See [map](ARCHITECTURE.md), [adr](docs/adr/), [time](ARCHITECTURE.md#time--chance), \
            [here](#readme), [web](https://example.com/x), <mailto:a@b.c> and [named][1].\n\n# Readme\n\n[1]: docs/adr/0001.md \"title\"\n";
        let adr = "Back to [the map](../../ARCHITECTURE.md).\n";
        let map = "## Time & chance\n";
        assert!(
            problems(&[("README.md", readme), ("docs/adr/0001.md", adr), ("ARCHITECTURE.md", map)])
                .is_empty()
        );
    }

    #[test]
    fn links_that_lead_nowhere_are_found_with_their_line() {
        let text = "# A\n\n[b](b.md) and [c](#c)\n[d]: ../d.md\n";
        assert_eq!(
            problems(&[("docs/a.md", text)]),
            [
                "docs/a.md:3: the link `b.md` leads nowhere [link]",
                "docs/a.md:3: the link `#c` leads to a heading which is not there [link]",
                "docs/a.md:4: the link `../d.md` leads nowhere [link]",
            ]
        );
    }

    #[test]
    fn code_is_not_searched_for_links() {
        assert!(problems(&[("a.md", "```text\n[a](b.md)\n```\nand `[c](d.md)` too\n")]).is_empty());
    }

    #[test]
    fn a_link_out_of_the_checkout_is_not_followed() {
        assert_eq!(resolve("a.md", "../x"), None);
        assert_eq!(resolve("docs/a.md", "../x/./y").as_deref(), Some("x/y"));
    }
}
