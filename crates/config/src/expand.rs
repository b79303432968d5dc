//! `${NAME}` in one text, from an environment that is passed in. It knows the syntax of variables and
//! nothing of options; what it returns never changes the structure around the text.
//!
//! | written | becomes |
//! | --- | --- |
//! | `${NAME}` | the variable's value |
//! | `${NAME:-default}` | the value, or `default` when the variable is unset or empty; `default` may hold variables |
//! | `$NAME` | the value, as the old program read it |
//! | `$${` and `$$NAME` | a literal `${` and `$NAME` |
//! | `$` before anything else | itself |
//!
//! In a command of the shell the variables stay as they are written, and the shell replaces them: a value that went
//! into the text could change what is run.

/// The environment: a name becomes a value.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A text after its variables were replaced.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Expanded {
    /// The text, with nothing in place of a variable that is not set.
    pub(crate) text: String,
    /// The variables it was made from, in their order, set or not.
    pub(crate) variables: Vec<String>,
    /// Those that are not set and have no default.
    pub(crate) unset: Vec<String>,
    /// Those that were written without braces.
    pub(crate) bare: Vec<String>,
    /// A default was used.
    pub(crate) defaulted: bool,
    /// A `${` was followed by something else than a name and `}` or `:-default}`.
    pub(crate) malformed: bool,
}

/// A command as the shell is to have it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Command {
    /// The text, with its variables in it.
    pub(crate) text: String,
    /// Those that stand between single quotes, where the shell does not replace them.
    pub(crate) kept: Vec<String>,
}

/// Defaults within defaults, no deeper than this.
const DEEPEST: usize = 8;

/// Replaces the variables of a text.
pub(crate) fn expand(text: &str, environment: Environment<'_>) -> Expanded {
    let mut expanded = Expanded::default();
    let text = expanded.replace(text, environment, 0);
    Expanded { text, ..expanded }
}

/// A text whose variables are left to the shell: only what stands for a literal `${` or `$NAME` becomes it.
pub(crate) fn for_shell(text: &str) -> Command {
    let mut command = Command::default();
    let mut quote = None;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        let literal = first == '$' && after.strip_prefix('$').is_some_and(begins_variable);
        let taken = match (first, quote) {
            // The second dollar is left out, and what follows it is no variable of ours.
            ('$', _) if literal => 2,
            ('\\', None | Some('"')) if !after.starts_with('$') => {
                1 + after.chars().next().map_or(0, char::len_utf8)
            }
            _ => first.len_utf8(),
        };
        match (first, quote) {
            ('\'' | '"', None) => quote = Some(first),
            ('\'' | '"', Some(open)) if open == first => quote = None,
            ('$', Some('\'')) if !literal => {
                let inside = after.strip_prefix('{').unwrap_or(after);
                let name = &inside[..name_length(inside)];
                command.kept.extend((!name.is_empty()).then(|| name.to_owned()));
            }
            _ => {}
        }
        command.text.push_str(if literal { "$" } else { &rest[..taken] });
        rest = &rest[taken..];
    }
    command
}

impl Expanded {
    fn replace(&mut self, text: &str, environment: Environment<'_>, depth: usize) -> String {
        let mut made = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            made.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            rest = if let Some(literal) = after.strip_prefix('$').filter(|next| begins_variable(next)) {
                made.push('$');
                let first = literal.chars().next().map_or(0, char::len_utf8);
                made.push_str(&literal[..first]);
                &literal[first..]
            } else if let Some(inside) = after.strip_prefix('{') {
                self.braced(inside, environment, depth, &mut made)
            } else {
                let (name, rest) = after.split_at(name_length(after));
                if name.is_empty() {
                    made.push('$');
                } else {
                    self.bare.push(name.to_owned());
                    made.push_str(&self.value(name, environment).unwrap_or_default());
                }
                rest
            };
        }
        made.push_str(rest);
        made
    }

    /// What follows `${`: writes what it stands for, and returns what is left.
    fn braced<'t>(
        &mut self,
        inside: &'t str,
        environment: Environment<'_>,
        depth: usize,
        made: &mut String,
    ) -> &'t str {
        let (name, rest) = inside.split_at(name_length(inside));
        let closed = if name.is_empty() || depth > DEEPEST { None } else { Closed::of(rest) };
        let Some(Closed { default, rest }) = closed else {
            self.malformed = true;
            return "";
        };
        let Some(default) = default else {
            made.push_str(&self.value(name, environment).unwrap_or_default());
            return rest;
        };
        self.variables.push(name.to_owned());
        if let Some(value) = environment(name).filter(|value| !value.is_empty()) {
            made.push_str(&value);
        } else {
            self.defaulted = true;
            let default = self.replace(default, environment, depth + 1);
            made.push_str(&default);
        }
        rest
    }

    /// The value of a variable that has no default.
    fn value(&mut self, name: &str, environment: Environment<'_>) -> Option<String> {
        self.variables.push(name.to_owned());
        let value = environment(name);
        if value.is_none() {
            self.unset.push(name.to_owned());
        }
        value
    }
}

/// What stands between a name and its closing brace, and what follows the brace.
struct Closed<'t> {
    default: Option<&'t str>,
    rest: &'t str,
}

impl<'t> Closed<'t> {
    fn of(after_name: &'t str) -> Option<Self> {
        if let Some(rest) = after_name.strip_prefix('}') {
            return Some(Self { default: None, rest });
        }
        let text = after_name.strip_prefix(":-")?;
        let end = closing_brace(text)?;
        Some(Self { default: Some(&text[..end]), rest: &text[end + 1..] })
    }
}

/// Where the brace is that closes a default; a `${` within it opens another.
fn closing_brace(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut previous = b' ';
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' if previous == b'$' => open += 1,
            b'}' if open == 0 => return Some(at),
            b'}' => open -= 1,
            _ => {}
        }
        previous = byte;
    }
    None
}

/// The length of the name at the beginning of a text, in bytes: letters, digits and `_`, no digit first.
fn name_length(text: &str) -> usize {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return 0;
    }
    text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count()
}

fn begins_variable(text: &str) -> bool {
    text.starts_with('{') || name_length(text) > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    fn environment(name: &str) -> Option<String> {
        match name {
            "A" => Some("alpha".to_owned()),
            "NESTED" => Some("${A} $A $${A}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_replaced() {
        let table = [
            ("", ""),
            ("plain", "plain"),
            ("${A}", "alpha"),
            ("<${A}${A}>", "<alphaalpha>"),
            ("$A", "alpha"),
            ("$A-x", "alpha-x"),
            ("${EMPTY}", ""),
            ("${A:-default}", "alpha"),
            ("${EMPTY:-default}", "default"),
            ("${NONE:-default}", "default"),
            ("${NONE:-}", ""),
            ("${NONE:-${A}}", "alpha"),
            ("${NONE:-${NONE:-{x}}}", "{x}"),
            ("${NONE:-a:b-c}", "a:b-c"),
            ("$${A}", "${A}"),
            ("$$A", "$A"),
            ("$$$A", "$$A"),
            ("$$", "$$"),
            ("$$1", "$$1"),
            ("cost: 5$", "cost: 5$"),
            ("$1 $- $", "$1 $- $"),
            ("ü$Aü", "üalphaü"),
            ("${NESTED}", "${A} $A $${A}"),
        ];
        for (text, expect) in table {
            let expanded = expand(text, &environment);
            assert_eq!(expanded.text, expect, "{text}");
            assert!(expanded.unset.is_empty() && !expanded.malformed, "{text}");
        }
    }

    #[test]
    fn a_command_keeps_its_variables_for_the_shell() {
        let table = [
            ("", ""),
            ("pass show ${A}", "pass show ${A}"),
            ("echo $A \"${NONE:-${A}}\"", "echo $A \"${NONE:-${A}}\""),
            // Variables of the command's own.
            ("k=$(pass); echo $${k%%:*}", "k=$(pass); echo ${k%%:*}"),
            ("for k in a b; do echo $$k; done", "for k in a b; do echo $k; done"),
            ("awk '{print $$NF, $1}'", "awk '{print $NF, $1}'"),
            ("${NONE:-$${k}}", "${NONE:-${k}}"),
            ("echo $$ $? ü$", "echo $$ $? ü$"),
            ("echo \\", "echo \\"),
            ("echo \\ü", "echo \\ü"),
            ("echo \\$${A}", "echo \\${A}"),
        ];
        for (text, expect) in table {
            let command = for_shell(text);
            assert_eq!((command.text.as_str(), command.kept.as_slice()), (expect, &[][..]), "{text}");
        }
    }

    #[test]
    fn what_the_shell_does_not_replace_is_named() {
        let table: [(&str, &[&str]); 6] = [
            ("echo '${A}' $B", &["A"]),
            ("echo '$A'\"${B}\"'${C:-x}'", &["A", "C"]),
            ("echo \"it's ${A}\"", &[]),
            ("echo it\\'s ${A}", &[]),
            ("echo \"\\\"'${A}'\"", &[]),
            ("sh -c 'echo $${A}'", &[]),
        ];
        for (text, expect) in table {
            assert_eq!(for_shell(text).kept, expect, "{text}");
        }
    }

    #[test]
    fn what_is_not_set_is_named() {
        let expanded = expand("${NONE}${A} $OTHER ${THIRD:-${FOURTH}}", &environment);
        assert_eq!(expanded.unset, ["NONE", "OTHER", "FOURTH"]);
        assert_eq!(expanded.variables, ["NONE", "A", "OTHER", "THIRD", "FOURTH"]);
        assert_eq!(expanded.bare, ["OTHER"]);
        assert!(expanded.defaulted);
    }

    #[test]
    fn what_is_no_variable_is_malformed() {
        let deep = "${N:-".repeat(20) + &"}".repeat(20);
        for text in ["${", "${}", "${1}", "${A", "${A-b}", "${A:?b}", "${A:-b", "${ A }", "${a.b}", &deep] {
            assert!(expand(text, &environment).malformed, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_text_without_a_dollar_stays(text in "[^$]*") {
            prop_assert_eq!(expand(&text, &environment).text, text);
        }

        #[test]
        fn a_value_is_never_read_again(value in any::<String>()) {
            let expanded = expand("<${X}>", &|_| Some(value.clone()));
            prop_assert_eq!(expanded.text, format!("<{value}>"));
        }

        #[test]
        fn doubling_the_dollar_before_a_name_or_brace_keeps_it(text in "[$A1{}:-]{0,24}") {
            let mut escaped = String::new();
            for (at, character) in text.char_indices() {
                escaped.push(character);
                let next = &text[at + 1..];
                if character == '$' && begins_variable(next) {
                    escaped.push('$');
                }
            }
            let expanded = expand(&escaped, &environment);
            prop_assert_eq!(expanded.text, text);
            prop_assert!(expanded.variables.is_empty());
        }

        #[test]
        fn any_text_expands(text in any::<String>()) {
            let expanded = expand(&text, &|name| Some(name.to_owned()));
            prop_assert!(expanded.unset.is_empty());
            prop_assert!(for_shell(&text).text.len() <= text.len());
        }
    }
}
