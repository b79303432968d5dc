//! How long files and functions are. Knows the limits; refuses to count what is a test.

use crate::tidy::source::Source;
use crate::tidy::{Report, Rule};

/// Lines of code from which a file is worth a second look.
const FILE_SOFT: usize = 300;
/// Lines of code which no file may exceed.
const FILE_HARD: usize = 500;
/// Lines of code which no function's body may exceed.
const FUNCTION: usize = 60;

pub(super) fn inspect(source: &Source<'_>, report: &mut Report) {
    let n = source.lines_of_code_without_tests();
    if n > FILE_HARD {
        let problem = format!("has {n} lines of code, more than {FILE_HARD}");
        report.findings.push(source.finding(Rule::FileLength, 0, "", problem));
    } else if n > FILE_SOFT {
        report.hints.push(format!("{}: {n} lines of code; beyond {FILE_SOFT}, look for a seam", source.path));
    }
    let mut words = source.words().peekable();
    while let Some(word) = words.next() {
        if word.text != "fn" || source.in_tests(word.start) {
            continue;
        }
        // A function pointer (`fn(u8)`) has no name right behind the word.
        let Some(name) = words.peek().filter(|name| source.code[word.end()..name.start].trim().is_empty())
        else {
            continue;
        };
        let Some(body) = source.body_after(name.end()) else { continue };
        // The lines of the two braces belong to the signature.
        let n = source.lines_of_code(body).saturating_sub(2);
        if n > FUNCTION {
            let problem = format!("`{}` has {n} lines of code, more than {FUNCTION}", name.text);
            report.findings.push(source.finding(Rule::FunctionLength, name.start, name.text, problem));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str) -> Report {
        let mut report = Report::default();
        inspect(&Source::read("crates/x/src/a.rs", text), &mut report);
        report
    }

    fn function(n_lines: usize) -> String {
        format!("pub fn long<T>(a: [u8; 2]) -> T\nwhere\n    T: X,\n{{\n{}}}\n", "    a();\n".repeat(n_lines))
    }

    #[test]
    fn a_function_may_have_sixty_lines_and_not_one_more() {
        assert!(report(&function(60)).findings.is_empty());
        let findings = report(&function(61)).findings;
        assert_eq!(findings.len(), 1);
        assert_eq!(
            findings[0].to_string(),
            "crates/x/src/a.rs:1: `long` has 61 lines of code, more than 60 [function-length]"
        );
        assert_eq!(findings[0].subject, "long");
    }

    #[test]
    fn comments_blanks_and_tests_do_not_count() {
        let body = "    a(); // b\n    // c\n\n".repeat(60);
        assert!(report(&format!("fn a() {{\n{body}}}\n")).findings.is_empty());
        assert!(report(&format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function(100))).findings.is_empty());
    }

    #[test]
    fn a_function_pointer_is_not_a_function() {
        let fields = "    run: fn(u8) -> u8,\n".repeat(80);
        assert!(report(&format!("struct A {{\n{fields}}}\n")).findings.is_empty());
    }

    #[test]
    fn a_file_is_hinted_at_from_three_hundred_lines_and_refused_from_five_hundred() {
        let lines = |n: usize| "const A: u8 = 1;\n".repeat(n);
        assert!(report(&lines(300)).hints.is_empty());
        assert_eq!(report(&lines(301)).hints.len(), 1);
        assert!(report(&lines(500)).findings.is_empty());
        assert_eq!(report(&lines(501)).findings[0].rule, Rule::FileLength);
    }
}
