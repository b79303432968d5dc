//! Options that are one word, one number, one secret. They know their own syntax and range, no more.

use std::path::PathBuf;

use relay_providers::Secret;

use crate::expand::for_shell;
use crate::problem::Spot;
use crate::raw::read::{Field, Reader, Shape, Shown};
use crate::raw::suggest::nearest;
use crate::raw::table::Form;
use crate::tree::{Node, Value};

/// Any text.
pub(crate) struct Text {
    pub(crate) text: String,
    /// The variable it came from. Then the text is never printed.
    pub(crate) variable: Option<String>,
}

/// A command of the shell, which replaces the variables in it. It may hold secrets, and is never printed.
pub(crate) struct CommandLine(pub(crate) String);

/// The path of a file.
pub(crate) struct FilePath(pub(crate) PathBuf);

/// Characters that are never shown, without the white space around them.
pub(crate) struct Hidden {
    pub(crate) secret: Secret,
    /// The variable it came from.
    pub(crate) variable: Option<String>,
    /// A default of a variable was used, so that an empty secret is meant.
    pub(crate) defaulted: bool,
}

/// True or false.
pub(crate) struct Flag(pub(crate) bool);

/// A whole number from `LEAST` to `MOST`.
pub(crate) struct Whole<const LEAST: u64, const MOST: u64>(pub(crate) u64);

/// One of several words.
pub(crate) struct OneOf<C>(pub(crate) C);

/// A value that is written as a word.
pub(crate) trait Choice: Copy + PartialEq + 'static {
    /// Every word and what it means. Of two words that mean the same the first is shown.
    fn words() -> Vec<(&'static str, Self)>;
}

/// A leaf that has no default stands in a [`Field`].
macro_rules! leaf_slot {
    () => {
        type Slot = Field<Self>;

        fn slot(reader: &mut Reader<'_>, node: Option<&Node>, spot: Spot) -> Field<Self> {
            Field::take(reader, node, spot)
        }
    };
}

pub(crate) use leaf_slot;

impl Text {
    /// The complaint that this is not `wanted`, without the text.
    pub(crate) fn is_not(&self, wanted: &str) -> String {
        match &self.variable {
            Some(variable) => format!("environment variable `{variable}` is not {wanted}"),
            None => format!("is not {wanted}"),
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), variable: None }
    }
}

impl Shown for Text {
    fn shown(&self) -> String {
        self.text.clone()
    }
}

impl Shape for Text {
    leaf_slot!();

    fn form() -> Form {
        Form::Text
    }

    fn read(reader: &mut Reader<'_>, node: &Node, spot: &Spot) -> Option<Self> {
        let said = reader.leaf(node, spot, "a text")?;
        Some(Self { text: said.text, variable: said.variable })
    }
}

impl Shape for CommandLine {
    leaf_slot!();

    fn form() -> Form {
        Form::Text
    }

    fn read(reader: &mut Reader<'_>, node: &Node, spot: &Spot) -> Option<Self> {
        // The variables are looked at as everywhere; but what becomes of them here is not what is run.
        let said = reader.leaf(node, spot, "a text")?;
        let Value::Leaf(leaf) = &node.value else { return None };
        if said.text.trim().is_empty() {
            return Some(Self(String::new()));
        }
        let command = for_shell(&leaf.text);
        if let Some(name) = command.kept.first() {
            reader
                .findings
                .notice(
                    spot,
                    format!("`{name}` stands between single quotes, where the shell does not replace it"),
                )
                .hint(format!("put it between double quotes, or write `$${{{name}}}` if that is meant"));
        }
        Some(Self(command.text))
    }
}

impl Shape for FilePath {
    leaf_slot!();

    fn form() -> Form {
        Form::Path
    }

    fn read(reader: &mut Reader<'_>, node: &Node, spot: &Spot) -> Option<Self> {
        let said = reader.secret_leaf(node, spot, "the path of a file")?;
        if said.text.is_empty() {
            reader.findings.problem(spot, said.is_not("the path of a file"));
            return None;
        }
        if said.text.starts_with('~') {
            let what = "begins with `~`, which only a shell understands";
            reader.findings.problem(spot, what).hint("write `${HOME}/…`");
            return None;
        }
        Some(Self(PathBuf::from(said.text)))
    }
}

impl Shape for Hidden {
    leaf_slot!();

    fn form() -> Form {
        Form::Secret
    }

    fn read(reader: &mut Reader<'_>, node: &Node, spot: &Spot) -> Option<Self> {
        let said = reader.secret_leaf(node, spot, "a secret")?;
        let text = said.text.trim();
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let whose = said.variable.map_or(String::new(), |name| format!("environment variable `{name}` "));
            reader
                .findings
                .problem(spot, format!("{whose}holds a character that no header can carry"))
                .hint("a key is made of printable ASCII characters, without blanks");
            return None;
        }
        Some(Self { secret: Secret::new(text), variable: said.variable, defaulted: said.defaulted })
    }
}

impl From<bool> for Flag {
    fn from(value: bool) -> Self {
        Self(value)
    }
}

impl Shown for Flag {
    fn shown(&self) -> String {
        self.0.to_string()
    }
}

impl Shape for Flag {
    leaf_slot!();

    fn form() -> Form {
        Form::Flag
    }

    fn read(reader: &mut Reader<'_>, node: &Node, spot: &Spot) -> Option<Self> {
        let said = reader.leaf(node, spot, "true or false")?;
        let value = match said.text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" if !said.quoted => Some(true),
            "false" | "no" | "off" if !said.quoted => Some(false),
            "1" if said.variable.is_some() => Some(true),
            "0" if said.variable.is_some() => Some(false),
            _ => None,
        };
        if value.is_none() {
            let problem = reader.findings.problem(spot, said.is_not("true or false"));
            if said.quoted {
                problem.hint("write it without quotes");
            }
        }
        value.map(Self)
    }
}

impl<const LEAST: u64, const MOST: u64> From<u64> for Whole<LEAST, MOST> {
    fn from(value: u64) -> Self {
        Self(value)
    }
}

impl<const LEAST: u64, const MOST: u64> Shown for Whole<LEAST, MOST> {
    fn shown(&self) -> String {
        self.0.to_string()
    }
}

impl<const LEAST: u64, const MOST: u64> Shape for Whole<LEAST, MOST> {
    leaf_slot!();

    fn form() -> Form {
        Form::Whole { least: LEAST, most: MOST }
    }

    fn read(reader: &mut Reader<'_>, node: &Node, spot: &Spot) -> Option<Self> {
        let said = reader.leaf(node, spot, "a whole number")?;
        let number = if said.quoted { None } else { whole(&said.text) };
        match number {
            None => {
                let problem = reader.findings.problem(spot, said.is_not("a whole number"));
                if said.quoted && whole(&said.text).is_some() {
                    problem.hint("write it without quotes");
                }
                None
            }
            Some(number) if number < i128::from(LEAST) || number > i128::from(MOST) => {
                reader.findings.problem(spot, said.is_not(&format!("between {LEAST} and {MOST}")));
                None
            }
            Some(number) => u64::try_from(number).ok().map(Self),
        }
    }
}

impl<C: Choice> From<C> for OneOf<C> {
    fn from(choice: C) -> Self {
        Self(choice)
    }
}

impl<C: Choice> Shown for OneOf<C> {
    fn shown(&self) -> String {
        word_of(self.0).to_owned()
    }
}

impl<C: Choice> Shape for OneOf<C> {
    leaf_slot!();

    fn form() -> Form {
        Form::Choice(C::words().into_iter().map(|(word, _)| word).collect())
    }

    fn read(reader: &mut Reader<'_>, node: &Node, spot: &Spot) -> Option<Self> {
        let said = reader.leaf(node, spot, &choices::<C>())?;
        let choice = choose::<C>(&said.text);
        if choice.is_none() {
            let problem = reader.findings.problem(spot, said.is_not(&choices::<C>()));
            let words = C::words();
            let near = nearest(&said.text, words.iter().map(|(word, _)| *word));
            if let Some(near) = near.filter(|_| said.variable.is_none()) {
                problem.hint(format!("did you mean `{near}`?"));
            }
        }
        choice.map(Self)
    }
}

/// The value of a word.
pub(crate) fn choose<C: Choice>(word: &str) -> Option<C> {
    C::words().into_iter().find(|(known, _)| *known == word).map(|(_, choice)| choice)
}

/// The first word of a value.
pub(crate) fn word_of<C: Choice>(choice: C) -> &'static str {
    C::words().into_iter().find(|(_, known)| *known == choice).map_or("", |(word, _)| word)
}

/// Every word, as a message lists them.
pub(crate) fn choices<C: Choice>() -> String {
    let words: Vec<_> = C::words().iter().map(|(word, _)| format!("`{word}`")).collect();
    format!("one of {}", words.join(", "))
}

/// A whole number as YAML and TOML write it: with a sign, with `_` between digits, or as `0x`, `0o`, `0b`.
pub(crate) fn whole(text: &str) -> Option<i128> {
    let digits = text.replace('_', "");
    let radix = |prefix: &str, radix: u32| {
        let digits = digits.strip_prefix(prefix)?;
        u64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+')).map(i128::from)
    };
    let decimal = digits.parse::<i128>().ok();
    decimal.or_else(|| radix("0x", 16)).or_else(|| radix("0o", 8)).or_else(|| radix("0b", 2))
}
