//! The Claude Code command line, headless: `claude -p`, with a home of its own, telemetry and updates
//! off. Knows how to run it and to read what it printed; refuses to know what is expected.

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::program::{Printed, run, scrubbed, told};
use crate::stage::Stage;

/// Settings that keep it from everything but the address it is given.
const QUIET: [(&str, &str); 4] = [
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    ("DISABLE_TELEMETRY", "1"),
    ("DISABLE_AUTOUPDATER", "1"),
    ("DISABLE_ERROR_REPORTING", "1"),
];

/// Tools may be used without being asked: its home is all that it could touch. That root may do so
/// must be said.
const UNASKED: (&str, &str) = ("--dangerously-skip-permissions", "IS_SANDBOX");

/// One session to be.
pub(crate) struct Claude {
    command: Command,
    home: TempDir,
}

/// What a session printed.
pub(crate) struct Heard {
    pub(crate) printed: Printed,
    pub(crate) home: TempDir,
}

impl Claude {
    /// A session that shows its credential as `x-api-key`.
    pub(crate) fn on(stage: &Stage) -> Self {
        Self::at(&stage.url(), stage.credential())
    }

    /// The same elsewhere.
    pub(crate) fn at(url: &str, credential: &str) -> Self {
        Self::bare(url).env("ANTHROPIC_API_KEY", credential)
    }

    /// A session that shows it as a bearer.
    pub(crate) fn with_bearer(stage: &Stage) -> Self {
        Self::bare(&stage.url()).env("ANTHROPIC_AUTH_TOKEN", stage.credential())
    }

    fn bare(url: &str) -> Self {
        let home = tempfile::tempdir().expect("a folder can be made");
        let mut command = scrubbed(told("RELAY_CLAUDE"), home.path());
        let (permission, sandbox) = UNASKED;
        command.envs(QUIET).env(sandbox, "1");
        command.env("CLAUDE_CONFIG_DIR", home.path().join("claude"));
        command.env("ANTHROPIC_BASE_URL", url);
        command.arg(permission);
        Self { command, home }
    }

    /// One more variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Asks, and reads what was made of it as JSON.
    pub(crate) async fn ask(mut self, prompt: &str) -> Heard {
        self.command.args(["--output-format", "json"]);
        self.say(prompt).await
    }

    /// Asks, and reads it as text.
    pub(crate) async fn say(mut self, prompt: &str) -> Heard {
        self.command.arg("--print").arg(prompt);
        Heard { printed: run(self.command).await, home: self.home }
    }
}

impl Heard {
    /// The JSON of a session.
    pub(crate) fn json(&self) -> Value {
        let printed = &self.printed;
        serde_json::from_str(&printed.stdout)
            .unwrap_or_else(|error| panic!("it did not print one JSON object: {error}\n{printed:?}"))
    }

    /// What it said in the end, where all went well.
    pub(crate) fn text(&self) -> String {
        let json = self.json();
        assert_eq!((self.printed.code, &json["is_error"]), (Some(0), &Value::Bool(false)), "{json}");
        json["result"].as_str().expect("a session has a result").to_owned()
    }

    /// What it said went wrong.
    pub(crate) fn error(&self) -> String {
        let json = self.json();
        assert_eq!((self.printed.code, &json["is_error"]), (Some(1), &Value::Bool(true)), "{json}");
        json["result"].as_str().expect("a session has a result").to_owned()
    }
}
