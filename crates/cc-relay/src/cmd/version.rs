//! `cc-relay version`: which program this is.

use std::sync::LazyLock;

use crate::cli::Invocation;
use crate::report::{self, Exit, Outcome};

/// Print the version
#[derive(clap::Args)]
pub(crate) struct Version {}

impl Version {
    /// On standard output, where `$(cc-relay version)` finds it. The old program had it there for `--version` only.
    #[expect(clippy::unused_self, reason = "every command of the table is run in the same way")]
    pub(crate) fn run(self, _: &Invocation) -> Outcome {
        report::print(&format!("cc-relay {}\n", text()))?;
        Ok(Exit::Done)
    }
}

/// The version of this build: what the build was told to be, as `git describe` says it, else the package's.
pub(crate) fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| match option_env!("CC_RELAY_VERSION") {
        Some(described) if !described.is_empty() => {
            shown(described, option_env!("CC_RELAY_COMMIT").unwrap_or_default())
        }
        _ => env!("CARGO_PKG_VERSION").to_owned(),
    });
    &TEXT
}

/// A description by `git describe --dirty` as it is shown: `base-N-gSHA`, dirty or not, becomes `base-SHA-N`.
/// One that is dirty right at its tag takes the first seven characters of the commit, and 0.
fn shown(described: &str, commit: &str) -> String {
    let (clean, dirty) = match described.strip_suffix("-dirty") {
        Some(clean) => (clean, true),
        None => (described, false),
    };
    if let Some((base, n, sha)) = parts(clean) {
        return format!("{base}-{sha}-{n}");
    }
    match commit.get(..7) {
        Some(sha) if dirty => format!("{clean}-{sha}-0"),
        _ => described.to_owned(),
    }
}

/// The parts of `base-N-gSHA`.
fn parts(described: &str) -> Option<(&str, &str, &str)> {
    let (rest, sha) = described.rsplit_once("-g")?;
    let (base, n) = rest.rsplit_once('-')?;
    let is_sha = !sha.is_empty() && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_number = !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit());
    (is_sha && is_number && !base.is_empty()).then_some((base, n, sha))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_shown_with_its_commit_before_its_count() {
        let table = [
            ("v0.0.17", "v0.0.17"),
            ("v0.0.17-3-gabc1234", "v0.0.17-abc1234-3"),
            ("v0.0.17-3-gabc1234-dirty", "v0.0.17-abc1234-3"),
            ("v0.1.0-rc.1-12-g0f0f0f0", "v0.1.0-rc.1-0f0f0f0-12"),
            ("v0.0.17-dirty", "v0.0.17-0123456-0"),
            ("abc1234", "abc1234"),
            ("dev", "dev"),
            ("a-gb", "a-gb"),
            ("-1-gab", "-1-gab"),
        ];
        for (described, expect) in table {
            assert_eq!(shown(described, "0123456789abcdef"), expect, "{described}");
        }
        assert_eq!(shown("v0.0.17-dirty", ""), "v0.0.17-dirty");
    }
}
