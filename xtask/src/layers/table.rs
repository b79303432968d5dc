//! The table of layers: what each crate may use, and what that buys. Knows the crates by name;
//! refuses to know how they are checked.

/// One crate of the workspace.
pub(crate) struct Crate {
    /// Its folder, which is also its name in the documents.
    pub(crate) name: &'static str,
    /// Which of ours it may use.
    pub(crate) uses: &'static [&'static str],
    /// Which of ours its tests may use as well.
    pub(crate) tests_use: &'static [&'static str],
    pub(crate) outside: Outside,
    /// The reason.
    pub(crate) so_that: &'static str,
}

/// Which crates of others it may use itself. What those use in turn is their affair: a pure
/// crate cannot reach it.
pub(crate) enum Outside {
    /// These and no others: the crate is pure.
    Only(&'static [&'static str]),
    /// All but these.
    Never(&'static [&'static str]),
}

impl Crate {
    /// The name of its package: a crate cannot well be called `core`.
    pub(crate) fn package(&self) -> String {
        match self.name {
            "cc-relay" | "xtask" => self.name.to_owned(),
            folder => format!("relay-{folder}"),
        }
    }
}

impl Outside {
    pub(crate) fn allows(&self, name: &str) -> bool {
        match self {
            Self::Only(names) => names.contains(&name),
            Self::Never(names) => !names.contains(&name),
        }
    }
}

/// What only the binary may pull in: how it is called, and how it shows itself.
const FACES: &[&str] = &["clap", "indicatif", "tonic", "ratatui"];

/// All crates, each below everything it may use.
pub(crate) const LAYERS: &[Crate] = &[
    Crate {
        name: "core",
        uses: &[],
        tests_use: &[],
        outside: Outside::Only(&[]),
        so_that: "every decision can be replayed",
    },
    Crate {
        name: "headers",
        uses: &[],
        tests_use: &[],
        outside: Outside::Only(&["bytes", "http", "itoa", "thiserror"]),
        so_that: "headers pass as they came, at the cost of a list",
    },
    Crate {
        name: "wire",
        uses: &["core", "headers"],
        tests_use: &[],
        outside: Outside::Only(&[
            "bytes",
            "crc32fast",
            "http",
            "jiff",
            "memchr",
            "serde",
            "serde_json",
            "thiserror",
        ]),
        so_that: "formats can be fuzzed alone",
    },
    Crate {
        name: "providers",
        uses: &["core", "headers", "wire"],
        tests_use: &[],
        outside: Outside::Only(&[
            "aws-credential-types",
            "aws-sigv4",
            "base64",
            "bytes",
            "http",
            "memchr",
            "serde_json",
            "sha2",
            "thiserror",
            "zeroize",
        ]),
        so_that: "a provider is a page of facts",
    },
    Crate {
        name: "config",
        uses: &["core", "providers"],
        tests_use: &[],
        outside: Outside::Only(&[
            "http",
            "saphyr",
            "saphyr-parser",
            "serde_json",
            "thiserror",
            "toml",
            "zeroize",
        ]),
        so_that: "a configuration is checked without a machine",
    },
    Crate {
        name: "telemetry",
        uses: &["core"],
        tests_use: &[],
        outside: Outside::Never(FACES),
        so_that: "names of metrics exist once",
    },
    Crate {
        name: "transport",
        uses: &["headers"],
        tests_use: &[],
        outside: Outside::Never(FACES),
        so_that: "connections can be tested and measured alone",
    },
    Crate {
        name: "ledger",
        uses: &["core"],
        tests_use: &[],
        outside: Outside::Only(&["rusqlite", "thiserror"]),
        so_that: "remembering can fail alone",
    },
    Crate {
        name: "sim",
        uses: &["wire"],
        tests_use: &[],
        outside: Outside::Never(FACES),
        so_that: "it judges the relay with rules written a second time",
    },
    Crate {
        name: "plan",
        uses: &["core", "headers", "wire", "sim"],
        tests_use: &[],
        outside: Outside::Only(&["microlp", "serde", "serde_json", "thiserror"]),
        so_that: "the relay's own decisions run through hours in seconds",
    },
    Crate {
        name: "proxy",
        uses: &["core", "headers", "wire", "providers", "config", "telemetry", "ledger", "transport"],
        tests_use: &["sim", "testkit"],
        outside: Outside::Never(FACES),
        so_that: "the data path knows no operator",
    },
    Crate {
        name: "cc-relay",
        uses: &["core", "wire", "providers", "config", "telemetry", "transport", "sim", "plan", "proxy"],
        tests_use: &["testkit"],
        outside: Outside::Never(&[]),
        so_that: "wiring is in one place",
    },
    Crate {
        name: "testkit",
        uses: &["core", "wire", "providers", "config", "telemetry", "transport", "sim", "proxy"],
        tests_use: &[],
        outside: Outside::Never(FACES),
        so_that: "a story is told in a few lines",
    },
    Crate {
        name: "xtask",
        uses: &["core", "config", "sim", "plan"],
        tests_use: &[],
        outside: Outside::Never(FACES),
        so_that: "the workshop never ships",
    },
];
