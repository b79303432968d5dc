//! One Rust file as the rules see it: its code without comments and literals, which parts of
//! it are tests, and where its words stand. Refuses to know the rules about length and names.

use std::ops::Range;

use crate::tidy::mask::mask;
use crate::tidy::{Finding, Rule};

/// A file of Rust.
pub(super) struct Source<'a> {
    pub(super) path: &'a str,
    text: &'a str,
    /// The code alone: as long as the text, with blanks for all the rest.
    pub(super) code: String,
    tests: Tests,
}

/// Which parts of a file are tests.
enum Tests {
    Whole,
    Parts(Vec<Range<usize>>),
}

/// A word of code and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    pub(super) start: usize,
}

impl Word<'_> {
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

impl<'a> Source<'a> {
    pub(super) fn read(path: &'a str, text: &'a str) -> Self {
        let code = mask(text);
        let tests = if is_test_file(path) { Tests::Whole } else { Tests::Parts(test_parts(&code)) };
        Self { path, text, code, tests }
    }

    /// A finding at a place of this file.
    pub(super) fn finding(&self, rule: Rule, place: usize, subject: &str, problem: String) -> Finding {
        let (path, subject) = (self.path.to_owned(), subject.to_owned());
        Finding { rule, path, line: self.line_of(place), subject, problem }
    }

    pub(super) fn in_tests(&self, place: usize) -> bool {
        match &self.tests {
            Tests::Whole => true,
            Tests::Parts(parts) => parts.iter().any(|part| part.contains(&place)),
        }
    }

    /// Lines of code in a part of the file: neither blank nor comment.
    pub(super) fn lines_of_code(&self, part: Range<usize>) -> usize {
        self.code[part].lines().filter(|line| !line.trim().is_empty()).count()
    }

    /// Lines of code of the whole file, tests not counted.
    pub(super) fn lines_of_code_without_tests(&self) -> usize {
        match &self.tests {
            Tests::Whole => 0,
            Tests::Parts(parts) => {
                let in_parts: usize = parts.iter().map(|part| self.lines_of_code(part.clone())).sum();
                self.lines_of_code(0..self.code.len()).saturating_sub(in_parts)
            }
        }
    }

    /// All words of the code, in order.
    pub(super) fn words(&self) -> impl Iterator<Item = Word<'_>> {
        words(&self.code)
    }

    /// The braces which open next after a place, if no `;` ends the item before them.
    pub(super) fn body_after(&self, place: usize) -> Option<Range<usize>> {
        body_after(&self.code, place)
    }

    pub(super) fn opening(&self) -> Option<Finding> {
        let problem = "does not open with `//!`: what it knows, and what it refuses to know";
        (!self.text.starts_with("//!")).then(|| self.finding(Rule::Opening, 0, "", problem.to_owned()))
    }

    pub(super) fn mod_file(&self) -> Option<Finding> {
        let name = self.path.rsplit('/').next()?;
        (name == "mod.rs").then(|| Finding {
            rule: Rule::ModFile,
            path: self.path.to_owned(),
            line: 0,
            subject: String::new(),
            problem: "is called `mod.rs`; put `foo.rs` beside `foo/`".to_owned(),
        })
    }

    fn line_of(&self, place: usize) -> usize {
        self.text[..place].matches('\n').count() + 1
    }
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.split('/').any(|folder| folder == "tests" || folder == "benches")
}

/// Everything behind `#[cfg(test)]`, up to the end of the item which it marks.
fn test_parts(code: &str) -> Vec<Range<usize>> {
    const MARK: &str = "#[cfg(test)]";
    let starts = code.match_indices(MARK).map(|(start, _)| start);
    starts
        .map(|start| {
            let item = start + MARK.len();
            let end = body_after(code, item).map_or_else(
                || code[item..].find(';').map_or(code.len(), |length| item + length + 1),
                |body| body.end,
            );
            start..end
        })
        .collect()
}

fn words(code: &str) -> impl Iterator<Item = Word<'_>> {
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut place = 0;
    std::iter::from_fn(move || {
        let start = place + code[place..].find(is_letter)?;
        let length = code[start..].find(|letter| !is_letter(letter)).unwrap_or(code.len() - start);
        place = start + length;
        Some(Word { text: &code[start..place], start })
    })
}

fn body_after(code: &str, place: usize) -> Option<Range<usize>> {
    // Braces and semicolons inside of parentheses or brackets are part of a type (`[u8; 4]`).
    let mut nested = 0_usize;
    let mut open = None;
    for (offset, byte) in code.bytes().enumerate().skip(place) {
        match byte {
            b'(' | b'[' => nested += 1,
            b')' | b']' => nested = nested.saturating_sub(1),
            b';' if nested == 0 => return None,
            b'{' if nested == 0 => {
                open = Some(offset);
                break;
            }
            _ => {}
        }
    }
    let open = open?;
    let mut depth = 0_usize;
    for (offset, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(open..offset + 1);
                }
            }
            _ => {}
        }
    }
    Some(open..code.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_counted_without_comments_blanks_and_tests() {
        let text = "//! Docs.\n\nuse a::b;\n/// More.\nfn c() {\n    // why\n    d();\n}\n\n#[cfg(test)]\nmod tests {\n    fn e() {}\n}\n";
        let source = Source::read("crates/x/src/a.rs", text);
        assert_eq!(source.lines_of_code_without_tests(), 4);
    }

    #[test]
    fn the_tests_module_is_known_and_what_follows_it_is_not_tests() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { if c { } } }\nfn d() {}\n#[cfg(test)]\nuse x::y;\nfn e() {}\n";
        let source = Source::read("crates/x/src/a.rs", text);
        let inside = |name: &str| source.in_tests(text.find(name).unwrap());
        assert!(!inside("fn a"));
        assert!(inside("fn b"));
        assert!(!inside("fn d"));
        assert!(inside("x::y"));
        assert!(!inside("fn e"));
    }

    #[test]
    fn files_of_tests_are_tests_from_end_to_end() {
        for path in
            ["crates/proxy/tests/failover.rs", "crates/core/src/state/tests.rs", "crates/wire/benches/sse.rs"]
        {
            assert!(Source::read(path, "fn a() {}").in_tests(0), "{path}");
        }
        assert!(!Source::read("crates/testkit/src/story.rs", "fn a() {}").in_tests(0));
    }

    #[test]
    fn a_body_is_found_behind_types_with_brackets() {
        let code = "fn a(b: [u8; 4]) -> [u8; { 2 + 2 }] { if c { d } }  fn e();";
        assert_eq!(&code[body_after(code, 4).unwrap()], "{ if c { d } }");
        assert_eq!(body_after(code, code.find("e()").unwrap()), None);
    }

    #[test]
    fn a_file_opens_with_what_it_knows() {
        assert!(Source::read("a.rs", "//! Knows.\n").opening().is_none());
        assert_eq!(Source::read("a.rs", "use a;\n//! Knows.\n").opening().unwrap().line, 1);
    }
}
