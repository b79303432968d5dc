//! Words that must not stand in code. Knows them and why; refuses to look into comments and
//! strings, where they may be talked about.

use crate::tidy::source::Source;
use crate::tidy::{Finding, Rule};

/// What to look for, and why it must not be there.
struct Banned {
    /// As it is written without blanks.
    text: &'static str,
    reason: &'static str,
    place: Place,
}

/// Where a word is banned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Everywhere,
    /// Only in tests. The clocks of the code that is shipped are banned by clippy.
    Tests,
    /// In tests whose runtime does not stop the clock: where it stands still, sleeping is not waiting.
    TestsOfRunningClocks,
}

const BANNED: &[Banned] = &[
    Banned { text: "#[ignore", reason: "a test that does not run proves nothing", place: Place::Everywhere },
    Banned {
        text: "#[should_panic",
        reason: "any panic satisfies it; assert what is meant",
        place: Place::Everywhere,
    },
    Banned { text: "todo!", reason: "a promise is not a program", place: Place::Everywhere },
    Banned { text: "unimplemented!", reason: "a promise is not a program", place: Place::Everywhere },
    Banned {
        text: "thread::sleep",
        reason: "a test that waits is slow when it passes and wrong when it fails",
        place: Place::Tests,
    },
    Banned {
        text: "time::sleep",
        reason: "only with a paused clock (`start_paused = true`): otherwise the test waits",
        place: Place::TestsOfRunningClocks,
    },
];

pub(super) fn inspect(source: &Source<'_>) -> Vec<Finding> {
    let stops_clock = source.code.contains("start_paused") || source.code.contains("time::pause");
    let mut findings = Vec::new();
    for banned in BANNED {
        for (start, _) in source.code.match_indices(banned.text) {
            let counts = match banned.place {
                Place::Everywhere => true,
                Place::Tests => source.in_tests(start),
                Place::TestsOfRunningClocks => source.in_tests(start) && !stops_clock,
            };
            if counts && !continues_a_word(&source.code, start, banned.text) {
                let closed = if banned.text.starts_with('#') { "]" } else { "" };
                let problem = format!("`{}{closed}`: {}", banned.text, banned.reason);
                findings.push(source.finding(Rule::Word, start, "", problem));
            }
        }
    }
    findings
}

/// Whether a letter stands right before or behind, so that it is another word.
fn continues_a_word(code: &str, start: usize, text: &str) -> bool {
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    let before = text.starts_with(is_letter) && code[..start].ends_with(is_letter);
    let behind = text.ends_with(is_letter) && code[start + text.len()..].starts_with(is_letter);
    before || behind
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> Vec<String> {
        inspect(&Source::read(path, text)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn attributes_and_promises_are_found_with_their_line() {
        assert_eq!(
            problems("a.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}"),
            ["a.rs:2: `#[ignore]`: a test that does not run proves nothing [word]"]
        );
        assert_eq!(problems("a.rs", "#[should_panic(expected = \"x\")]\nfn a() { todo!() }").len(), 2);
        assert_eq!(problems("a.rs", "fn a() { unimplemented!(\"b\") }").len(), 1);
    }

    #[test]
    fn words_in_comments_strings_and_other_words_are_not_meant() {
        assert!(
            problems("a.rs", "// todo!\nconst A: &str = \"#[ignore]\";\n#[ignored]\nfn my_todo!() {}")
                .is_empty()
        );
    }

    #[test]
    fn a_test_may_sleep_only_while_the_clock_stands_still() {
        let sleeping = "async fn a() { tokio::time::sleep(B).await; }";
        assert_eq!(problems("crates/x/tests/a.rs", sleeping).len(), 1);
        assert!(problems("crates/x/src/a.rs", sleeping).is_empty());
        let paused = format!("#[tokio::test(start_paused = true)]\n{sleeping}");
        assert!(problems("crates/x/tests/a.rs", &paused).is_empty());
        let thread = format!("{paused} fn b() {{ std::thread::sleep(B) }}");
        assert_eq!(problems("crates/x/tests/a.rs", &thread).len(), 1);
    }

    #[test]
    fn sleeping_until_and_other_longer_words_are_other_words() {
        assert!(problems("crates/x/tests/a.rs", "fn a() { time::sleep_until_woken(B) }").is_empty());
    }
}
