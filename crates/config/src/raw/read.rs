//! Reading one option from its node: variables are replaced here, and here a wrong type is reported.
//! It knows leaves, lists and sections in general; it knows no option by name.

use crate::expand::{Environment, Expanded, expand};
use crate::problem::{Findings, Spot};
use crate::raw::table::Form;
use crate::tree::{Leaf, Node, Style, Value};

/// A type an option can have.
pub(crate) trait Shape: Sized {
    /// How a section holds an option of this type that has no default.
    type Slot;

    /// The type, for the reference.
    fn form() -> Form;

    /// Reads it. None if that was impossible; the reason has then been reported.
    fn read(reader: &mut Reader<'_>, node: &Node, spot: &Spot) -> Option<Self>;

    /// Puts what was read, if anything was, where the section holds it.
    fn slot(reader: &mut Reader<'_>, node: Option<&Node>, spot: Spot) -> Self::Slot;
}

/// A type whose values can be written in one line.
pub(crate) trait Shown {
    /// The value as it would be written in YAML.
    fn shown(&self) -> String;
}

/// An option without a default.
pub(crate) struct Field<T> {
    pub(crate) spot: Spot,
    pub(crate) state: State<T>,
}

/// What is known of an option.
pub(crate) enum State<T> {
    /// It is not written, or `null`.
    Absent,
    /// It is written, but could not be read; that has been reported.
    Bad,
    /// It is written.
    Given(T),
}

/// An option with a default.
pub(crate) struct Filled<T> {
    pub(crate) spot: Spot,
    /// It is written, even if it could not be read.
    pub(crate) given: bool,
    /// It is written, but could not be read; the default stands in. That has been reported.
    pub(crate) bad: bool,
    pub(crate) value: T,
}

/// What reads a tree: it carries the environment and collects what is found.
pub(crate) struct Reader<'a> {
    environment: Environment<'a>,
    secrets: Secrets,
    /// Variables that were to hold a secret, or to name its place, and are not set.
    pub(crate) missed: Vec<String>,
    /// The provider that is being read.
    pub(crate) owner: Option<Owner>,
    pub(crate) findings: Findings,
}

/// The provider to which the options being read belong.
pub(crate) struct Owner {
    /// Its name, if it has one.
    pub(crate) name: Option<String>,
    /// Variables of a disabled provider need not be set.
    pub(crate) enabled: bool,
    /// So many entries are in its `keys`.
    pub(crate) n_keys: usize,
}

/// Are secrets needed?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Secrets {
    /// A variable that is to hold one, or to name its place, must be set.
    Needed,
    /// If it is not set, its name stands for what is in it.
    Unread,
}

/// A leaf after its variables were replaced.
pub(crate) struct Said {
    pub(crate) text: String,
    /// It was in quotes, so it is a text for certain.
    pub(crate) quoted: bool,
    /// The first variable it was made from. Then the text is never printed.
    pub(crate) variable: Option<String>,
    /// A default of a variable was used.
    pub(crate) defaulted: bool,
}

impl<T> Field<T> {
    /// The value, if there is one.
    pub(crate) fn get(&self) -> Option<&T> {
        match &self.state {
            State::Given(value) => Some(value),
            State::Absent | State::Bad => None,
        }
    }

    pub(crate) fn is_absent(&self) -> bool {
        matches!(self.state, State::Absent)
    }

    pub(crate) fn is_bad(&self) -> bool {
        matches!(self.state, State::Bad)
    }

    /// Reads a value that has no default.
    pub(crate) fn take(reader: &mut Reader<'_>, node: Option<&Node>, spot: Spot) -> Self
    where
        T: Shape,
    {
        let state = match node {
            None => State::Absent,
            Some(node) => T::read(reader, node, &spot).map_or(State::Bad, State::Given),
        };
        Self { spot, state }
    }
}

impl<T: Shape> Filled<T> {
    /// Reads a value that has a default.
    pub(crate) fn take(reader: &mut Reader<'_>, node: Option<&Node>, spot: Spot, default: T) -> Self {
        let value = node.and_then(|node| T::read(reader, node, &spot));
        Self {
            spot,
            given: node.is_some(),
            bad: node.is_some() && value.is_none(),
            value: value.unwrap_or(default),
        }
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(environment: Environment<'a>, secrets: Secrets) -> Self {
        Self { environment, secrets, missed: Vec::new(), owner: None, findings: Findings::default() }
    }

    /// Another reader of the same environment, whose findings are its own.
    pub(crate) fn scratch(&self) -> Self {
        Self::new(self.environment, self.secrets)
    }

    /// The text of a leaf, with its variables replaced. `wanted` says what the option is: "a whole number".
    pub(crate) fn leaf(&mut self, node: &Node, spot: &Spot, wanted: &str) -> Option<Said> {
        let Value::Leaf(Leaf { text, style }) = &node.value else {
            self.findings.problem(spot, format!("must be {wanted}, is {}", node.value.sort()));
            return None;
        };
        let expanded = expand(text, self.environment);
        self.said(expanded, *style, spot)
    }

    /// The same of a leaf that holds a secret, or names its place.
    pub(crate) fn secret_leaf(&mut self, node: &Node, spot: &Spot, wanted: &str) -> Option<Said> {
        let Value::Leaf(Leaf { text, style }) = &node.value else {
            return self.leaf(node, spot, wanted);
        };
        let mut expanded = expand(text, self.environment);
        let needed = self.owner.as_ref().is_none_or(|owner| owner.enabled);
        if self.secrets == Secrets::Unread && needed && !expanded.unset.is_empty() {
            let unset = std::mem::take(&mut expanded.unset);
            let stand_in = |name: &str| {
                let unset = unset.iter().any(|unset| unset == name);
                (self.environment)(name).or_else(|| unset.then(|| format!("{name}-is-not-set")))
            };
            expanded = expand(text, &stand_in);
            self.missed.extend(unset);
        }
        self.said(expanded, *style, spot)
    }

    fn said(&mut self, expanded: Expanded, style: Style, spot: &Spot) -> Option<Said> {
        self.look_at(&expanded, spot)?;
        let variable = expanded.variables.into_iter().next();
        Some(Said {
            text: expanded.text,
            quoted: style == Style::Quoted && variable.is_none(),
            variable,
            defaulted: expanded.defaulted,
        })
    }

    /// Reports what is wrong with the variables of a text; none if it cannot be used.
    fn look_at(&mut self, expanded: &Expanded, spot: &Spot) -> Option<()> {
        if expanded.malformed {
            self.findings
                .problem(spot, "holds a `${` that does not begin a variable")
                .hint("write `${NAME}` or `${NAME:-default}`, or `$${` for a literal `${`");
            return None;
        }
        if !expanded.unset.is_empty() {
            if self.owner.as_ref().is_none_or(|owner| owner.enabled) {
                self.report_unset(expanded, spot);
            }
            return None;
        }
        if let Some(name) = expanded.bare.first() {
            self.findings
                .notice(spot, format!("`${name}` is the old way to write a variable"))
                .hint(format!("write `${{{name}}}`, or `$${name}` if no variable is meant"));
        }
        Some(())
    }

    fn report_unset(&mut self, expanded: &Expanded, spot: &Spot) {
        for name in &expanded.unset {
            let owner = self.owner.as_ref();
            let others = owner.is_some_and(|owner| owner.n_keys > 1);
            let otherwise = match owner.and_then(|owner| owner.name.as_deref()) {
                _ if expanded.bare.contains(name) => {
                    format!("write `$${name}` if no variable is meant")
                }
                // The provider has other keys.
                Some(_) if others && spot.path.contains(".keys[") => "remove this entry of `keys`".to_owned(),
                Some(owner) => format!("remove the provider `{owner}`"),
                None => format!("give it a default: `${{{name}:-…}}`"),
            };
            self.findings
                .problem(spot, format!("environment variable `{name}` is not set"))
                .hint(format!("export it before starting, or {otherwise}"));
        }
    }
}

impl Said {
    /// The complaint that this is not `wanted`. A value that came from a variable may be a secret: only
    /// the variable is named.
    pub(crate) fn is_not(&self, wanted: &str) -> String {
        match &self.variable {
            Some(variable) => format!("environment variable `{variable}` is not {wanted}"),
            None => format!("must be {wanted}, is {}", self.quote()),
        }
    }

    /// The text as a message shows it: numbers bare, all else in backticks.
    fn quote(&self) -> String {
        match self.text.parse::<i64>() {
            _ if self.text.is_empty() => "empty".to_owned(),
            Ok(number) if !self.quoted => number.to_string(),
            _ => format!("`{}`", self.text.escape_debug()),
        }
    }
}
