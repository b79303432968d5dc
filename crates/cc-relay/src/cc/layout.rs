//! How an object is laid out, so that what is added looks like what is there: indentation, line ends, the
//! space after a colon. It knows white space, and nothing of what the members mean.

use relay_wire::scan::Member;

/// The white space of an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    /// Between the opening brace and the first member.
    pub(crate) open: String,
    /// Between a comma and the next member.
    pub(crate) between: String,
    /// Between the last member and the closing brace.
    pub(crate) close: String,
    /// Between a colon and its value.
    pub(crate) colon: String,
}

impl Layout {
    /// That of an object with members: the text, where it begins and ends in it, braces included.
    pub(crate) fn of(text: &str, start: usize, end: usize, members: &[Member<'_>]) -> Option<Self> {
        let (first, last) = (members.first()?, members.last()?);
        let open = &text[start + 1..first.span().start];
        let close = &text[last.span().end..end - 1];
        let colon = &text[last.key.span().end..last.value.span().start];
        let colon = colon.split_once(':').map_or("", |(_, after)| after);
        let between = match members {
            [.., before, last] => {
                let gap = &text[before.span().end..last.span().start];
                gap.split_once(',').map_or("", |(_, after)| after)
            }
            _ if open.contains('\n') => open,
            _ if colon.is_empty() => "",
            _ => " ",
        };
        let owned = str::to_owned;
        Some(Self { open: owned(open), between: owned(between), close: owned(close), colon: owned(colon) })
    }

    /// That of a document that shows none: two spaces, as Claude Code writes it.
    pub(crate) fn usual(text: &str) -> Self {
        let line = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let open = format!("{line}  ");
        Self { between: open.clone(), open, close: line.to_owned(), colon: " ".to_owned() }
    }

    /// That of an object which is a member of this one, and shows none of its own.
    pub(crate) fn inner(&self) -> Self {
        let Some((before, indent)) = self.open.rsplit_once('\n') else {
            return Self { open: String::new(), close: String::new(), ..self.clone() };
        };
        let line = if before.ends_with('\r') { "\r\n" } else { "\n" };
        let outer = self.close.rsplit_once('\n').map_or("", |(_, outer)| outer);
        let unit = indent.strip_prefix(outer).unwrap_or(indent);
        let open = format!("{line}{indent}{unit}");
        Self { between: open.clone(), open, close: format!("{line}{indent}"), colon: self.colon.clone() }
    }

    /// A member as it is written. The name needs no escapes, and the value is JSON text.
    pub(crate) fn member(&self, name: &str, value: &str) -> String {
        format!("\"{name}\":{}{value}", self.colon)
    }

    /// An object of one member.
    pub(crate) fn object(&self, member: &str) -> String {
        format!("{{{}{member}{}}}", self.open, self.close)
    }
}
