//! Names of types, functions and modules. Knows the words that say nothing; refuses to judge
//! names that somebody else chose: what a foreign trait demands is not our choice.

use std::ops::Range;

use crate::tidy::source::{Source, Word};
use crate::tidy::{Finding, Rule};

/// Words that could stand in any name, and so say nothing in each.
const EMPTY_WORDS: &[&str] =
    &["manager", "service", "handler", "helper", "util", "common", "base", "info", "data", "impl"];

/// First words of functions that only say that something happens.
const EMPTY_VERBS: &[&str] = &["do", "process", "handle"];

/// Where gRPC calls a thing a service, so do we.
const GRPC: &[&str] = &["crates/api/", "crates/control/"];

/// The option is called `base_url` by every client of every provider.
const WHOLE_NOUNS: &[(&str, &str)] = &[("base", "url")];

pub(super) fn inspect(source: &Source<'_>) -> Vec<Finding> {
    let foreign = foreign_parts(source);
    let mut findings = Vec::new();
    let mut words = source.words().peekable();
    while let Some(keyword) = words.next() {
        let Some(name) = words.peek().copied() else { break };
        if !defines(keyword.text) || !source.code[keyword.end()..name.start].trim().is_empty() {
            continue;
        }
        if source.in_tests(name.start) || foreign.iter().any(|part| part.contains(&name.start)) {
            continue;
        }
        if let Some(problem) = problem_of(keyword.text, name.text, source.path) {
            findings.push(source.finding(Rule::Name, name.start, name.text, problem));
        }
    }
    findings
}

fn defines(word: &str) -> bool {
    matches!(word, "struct" | "enum" | "union" | "trait" | "type" | "fn" | "mod")
}

fn problem_of(keyword: &str, name: &str, path: &str) -> Option<String> {
    let parts = split(name);
    if let [verb, _, ..] = parts.as_slice()
        && keyword == "fn"
        && EMPTY_VERBS.contains(&verb.as_str())
    {
        return Some(format!("`{name}` begins with `{verb}_`, which says nothing"));
    }
    let empty = parts.iter().enumerate().find_map(|(place, part)| {
        let word = EMPTY_WORDS.iter().find(|word| part == *word || part.strip_suffix('s') == Some(word))?;
        let next = parts.get(place + 1).map_or("", String::as_str);
        let is_whole = WHOLE_NOUNS.contains(&(word, next));
        let is_grpc = *word == "service" && GRPC.iter().any(|folder| path.starts_with(folder));
        (!is_whole && !is_grpc).then_some(word)
    })?;
    Some(format!("`{name}` has the word `{empty}` in its name, which says nothing"))
}

/// The words of a name, small: `KeyManager` and `key_manager` are `key`, `manager`.
fn split(name: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut begins = true;
    for letter in name.chars() {
        if letter == '_' {
            begins = true;
            continue;
        }
        if begins || letter.is_uppercase() {
            parts.push(String::new());
            begins = false;
        }
        if let Some(part) = parts.last_mut() {
            part.extend(letter.to_lowercase());
        }
    }
    parts
}

/// The bodies of `impl Trait for Type`, whose names the trait chose.
fn foreign_parts(source: &Source<'_>) -> Vec<Range<usize>> {
    let implements = |word: &Word<'_>| {
        let before = source.code[..word.start].trim_end();
        let opens_item =
            before.is_empty() || before.ends_with(['}', '{', ';', ']']) || before.ends_with("unsafe");
        word.text == "impl" && opens_item
    };
    let bodies = source.words().filter(implements).filter_map(|word| {
        let body = source.body_after(word.end())?;
        let head = &source.code[word.end()..body.start];
        // `for<'a>` binds a lifetime; only a bare `for` names the type.
        let names_trait =
            head.match_indices(" for ").any(|(place, _)| !head[place + 4..].trim_start().starts_with('<'));
        names_trait.then_some(body)
    });
    bodies.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> Vec<String> {
        inspect(&Source::read(path, text)).into_iter().map(|finding| finding.problem).collect()
    }

    #[test]
    fn empty_words_are_found_in_every_kind_of_name() {
        for text in [
            "struct KeyManager;",
            "enum ErrorInfo {}",
            "trait RequestHandler {}",
            "type Data = u8;",
            "mod utils;",
            "mod common {}",
            "fn read_data() {}",
            "struct BaseProvider<T>(T);",
            "pub(crate) struct KeyServiceImpl;",
        ] {
            assert_eq!(problems("crates/core/src/a.rs", text).len(), 1, "{text}");
        }
    }

    #[test]
    fn empty_verbs_are_found_before_another_word() {
        assert_eq!(
            problems("a.rs", "fn handle_request() {}"),
            ["`handle_request` begins with `handle_`, which says nothing"]
        );
        assert_eq!(problems("a.rs", "fn do_it() {} fn process_call() {}").len(), 2);
        assert!(problems("a.rs", "fn handle() {} fn downgrade() {} struct Handle; mod process;").is_empty());
    }

    #[test]
    fn names_that_say_something_pass() {
        let text =
            "struct Database; fn informs() {} struct Handle; fn base_url() {} struct BaseUrl; mod dataset;";
        assert!(problems("a.rs", text).is_empty());
    }

    #[test]
    fn what_a_trait_demands_is_not_our_choice() {
        let text = "impl<T> Body for Stream<T> { type Data = Bytes; fn process_frame(&self) {} }";
        assert!(problems("a.rs", text).is_empty());
        let own = "impl Stream { fn process_frame(&self) {} }\nimpl<F> Stream<F> where F: for<'a> Fn(&'a u8) { fn do_it() {} }";
        assert_eq!(problems("a.rs", own).len(), 2);
        let argument = "fn a(b: impl Fn() + 'static) -> u8 { 1 }\nstruct Helper;";
        assert_eq!(problems("a.rs", argument).len(), 1);
    }

    #[test]
    fn tests_are_sentences_and_may_use_any_word() {
        assert!(problems("a.rs", "#[cfg(test)]\nmod tests { fn a_data_line_is_read() {} }").is_empty());
    }

    #[test]
    fn grpc_has_services() {
        assert_eq!(problems("crates/proxy/src/a.rs", "struct RelayService;").len(), 1);
        assert!(problems("crates/control/src/a.rs", "struct RelayService;").is_empty());
    }

    #[test]
    fn names_are_split_into_words() {
        assert_eq!(split("KeyManager"), ["key", "manager"]);
        assert_eq!(split("http_data_2"), ["http", "data", "2"]);
        assert_eq!(split("_base"), ["base"]);
    }
}
