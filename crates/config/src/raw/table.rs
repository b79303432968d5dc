//! The table of options: its rows as values, and the macro that makes a section of them.
//! It knows no option by name.

use crate::problem::Spot;
#[cfg(test)]
use crate::raw::read::Reader;
#[cfg(test)]
use crate::tree::Node;

/// An option as the reference shows it.
pub(crate) struct Row {
    /// Its name within its section.
    pub(crate) name: &'static str,
    /// What it means.
    pub(crate) about: String,
    /// Its type.
    pub(crate) form: Form,
    /// Its default as it would be written in YAML.
    pub(crate) default: Option<String>,
    /// An example, as it would be written in YAML.
    pub(crate) sample: Option<&'static str>,
    /// Whether it is to be used.
    pub(crate) standing: Standing,
    /// Reads a value of it, for the findings alone.
    #[cfg(test)]
    pub(crate) read: fn(&mut Reader<'_>, &Node),
}

/// The type of an option.
pub(crate) enum Form {
    /// Any text.
    Text,
    /// The path of a file.
    Path,
    /// Characters that are never shown.
    Secret,
    /// True or false.
    Flag,
    /// A whole number.
    Whole {
        /// The least.
        least: u64,
        /// The greatest.
        most: u64,
    },
    /// A time such as `1m30s`; a bare number counts in the unit, if there is one.
    Lapse {
        /// What a bare number counts, "milliseconds" for example.
        unit: Option<&'static str>,
    },
    /// A number of bytes such as `64MiB`.
    Size,
    /// A number of dollars such as `0.05`.
    Dollars,
    /// One of several words.
    Choice(Vec<&'static str>),
    /// A list.
    List(Box<Form>),
    /// Names of the writer's own, each with a value.
    Map(Box<Form>),
    /// More options.
    Section {
        /// What it is about.
        about: String,
        /// Its options.
        rows: Vec<Row>,
        /// Names the old program's files may hold that never had an effect.
        dead: &'static [(&'static str, &'static str)],
    },
}

/// Whether an option is to be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// It is.
    Current,
    /// It is read and checked, and has no effect in this version. A notice says so; of a whole section,
    /// [`crate::check`] makes it.
    Inert,
    /// It is of the old program and has another meaning or a better name now.
    Old {
        /// What is to be known of it.
        what: &'static str,
        /// What to write.
        hint: &'static str,
    },
}

/// A section: a set of options that are written together.
pub(crate) trait Section: Sized {
    /// What it is about.
    fn about() -> String;
    /// Its options.
    fn rows() -> Vec<Row>;
    /// Names that are known and without effect, each with advice.
    const DEAD: &'static [(&'static str, &'static str)];
    /// Where it is written.
    fn spot(&self) -> &Spot;
    /// Is it written, even if some of it could not be read?
    fn given(&self) -> bool;
}

impl Form {
    /// The rows of a section, also when it stands in a list or a map.
    pub(crate) fn rows(&self) -> &[Row] {
        match self {
            Self::Section { rows, .. } => rows,
            Self::List(form) | Self::Map(form) => form.rows(),
            _ => &[],
        }
    }
}

/// One section of the table.
///
/// `name: Type = default => "sample", standing;` — default, sample and standing may be left out.
/// A standing is `inert`, or `old("what is to be known", "what to write")`. A section whose options
/// are only checked says why in brackets before its name. After the options, `dead` lists names of
/// the old program's files that never had an effect, each with advice.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $([$unread:literal])?
        $section:ident {
            $(
                $(#[doc = $doc:literal])+
                $field:ident : $type:ty $(= $default:expr)? $(=> $sample:literal)?
                    $(, $standing:ident $(($what:literal, $hint:literal))?)? ;
            )+
        }
        $(dead { $($dead:literal => $advice:literal;)+ })?
    ) => {
        $(#[doc = $about])+
        $(#[expect(dead_code, reason = $unread)])?
        pub(crate) struct $section {
            spot: $crate::problem::Spot,
            given: bool,
            $(
                $(#[doc = $doc])+
                pub(crate) $field: $crate::raw::table::slot!($type $(, $default)?),
            )+
        }

        impl $crate::raw::table::Section for $section {
            fn about() -> String {
                $crate::raw::table::joined(&[$($about),+])
            }

            fn rows() -> Vec<$crate::raw::table::Row> {
                vec![$(
                    $crate::raw::table::Row {
                        name: $crate::raw::table::plain_name(stringify!($field)),
                        about: $crate::raw::table::joined(&[$($doc),+]),
                        form: <$type as $crate::raw::read::Shape>::form(),
                        default: $crate::raw::table::default!($type $(, $default)?),
                        sample: $crate::raw::table::sample!($($sample)?),
                        standing: $crate::raw::table::standing!($($standing $(($what, $hint))?)?),
                        #[cfg(test)]
                        read: |reader, node| {
                            <$type as $crate::raw::read::Shape>::read(reader, node, &Default::default());
                        },
                    },
                )+]
            }

            const DEAD: &'static [(&'static str, &'static str)] = &[$($(($dead, $advice)),+)?];

            fn spot(&self) -> &$crate::problem::Spot {
                &self.spot
            }

            fn given(&self) -> bool {
                self.given
            }
        }

        impl $section {
            /// Reads the section; an absent one has its defaults.
            pub(crate) fn take(
                reader: &mut $crate::raw::read::Reader<'_>,
                node: Option<&$crate::tree::Node>,
                spot: $crate::problem::Spot,
            ) -> Self {
                let found = $crate::raw::found::Found::sort::<Self>(reader, node, &spot);
                $(
                    let (at, place) = found.node($crate::raw::table::plain_name(stringify!($field)), &spot);
                    let $field = $crate::raw::table::taken!(reader, at, place, $type $(, $default)?);
                )+
                Self { spot, given: node.is_some(), $($field),+ }
            }
        }

        impl $crate::raw::read::Shape for $section {
            type Slot = Self;

            fn form() -> $crate::raw::table::Form {
                $crate::raw::table::Form::Section {
                    about: <Self as $crate::raw::table::Section>::about(),
                    rows: <Self as $crate::raw::table::Section>::rows(),
                    dead: <Self as $crate::raw::table::Section>::DEAD,
                }
            }

            fn read(
                reader: &mut $crate::raw::read::Reader<'_>,
                node: &$crate::tree::Node,
                spot: &$crate::problem::Spot,
            ) -> Option<Self> {
                let section = Self::take(reader, Some(node), spot.clone());
                matches!(node.value, $crate::tree::Value::Map(_)).then_some(section)
            }

            fn slot(
                reader: &mut $crate::raw::read::Reader<'_>,
                node: Option<&$crate::tree::Node>,
                spot: $crate::problem::Spot,
            ) -> Self {
                Self::take(reader, node, spot)
            }
        }
    };
}

macro_rules! slot {
    ($type:ty) => { <$type as $crate::raw::read::Shape>::Slot };
    ($type:ty, $default:expr) => { $crate::raw::read::Filled<$type> };
}

macro_rules! taken {
    ($reader:ident, $node:ident, $spot:ident, $type:ty) => {
        <$type as $crate::raw::read::Shape>::slot($reader, $node, $spot)
    };
    ($reader:ident, $node:ident, $spot:ident, $type:ty, $default:expr) => {
        $crate::raw::read::Filled::<$type>::take($reader, $node, $spot, <$type>::from($default))
    };
}

macro_rules! default {
    ($type:ty) => {
        None
    };
    ($type:ty, $default:expr) => {
        Some($crate::raw::read::Shown::shown(&<$type>::from($default)))
    };
}

macro_rules! sample {
    () => {
        None
    };
    ($sample:literal) => {
        Some($sample)
    };
}

macro_rules! standing {
    () => {
        $crate::raw::table::Standing::Current
    };
    (inert) => {
        $crate::raw::table::Standing::Inert
    };
    (old($what:literal, $hint:literal)) => {
        $crate::raw::table::Standing::Old { what: $what, hint: $hint }
    };
}

pub(crate) use {default, sample, section, slot, standing, taken};

/// Lines of documentation as one text.
pub(crate) fn joined(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// A field's name as it is written: `type`, not `r#type`.
pub(crate) fn plain_name(field: &'static str) -> &'static str {
    field.strip_prefix("r#").unwrap_or(field)
}
