//! The two SDKs. Each has one script with the same scenarios and the same way to print what came of
//! them; knows how to run it, and refuses to know what is expected.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::program::{run, scrubbed, told};
use crate::stage::Stage;

/// One of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sdk {
    Python,
    TypeScript,
}

/// What came of a scenario.
#[derive(Debug)]
pub(crate) struct Outcome(Value);

/// How a scenario ended that the SDK reported an error of; everything else is a fault of the script.
const REPORTED: i32 = 3;

impl Sdk {
    /// Runs a scenario on a stage.
    pub(crate) async fn play(self, stage: &Stage, arguments: &[&str]) -> Outcome {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients");
        let (program, script): (PathBuf, _) = match self {
            Self::Python => (told("RELAY_PYTHON").into(), scripts.join("python/scenarios.py")),
            Self::TypeScript => ("node".into(), scripts.join("node/scenarios.mjs")),
        };
        let mut command = scrubbed(program, stage.home());
        command.arg(script).args(arguments);
        command.env("RELAY_NODE_MODULES", told("RELAY_NODE_MODULES"));
        command.env("ANTHROPIC_BASE_URL", stage.url()).env("ANTHROPIC_API_KEY", stage.credential());
        let printed = run(command).await;
        let value: Value = serde_json::from_str(&printed.stdout)
            .unwrap_or_else(|error| panic!("{self:?} did not print one JSON object: {error}\n{printed:?}"));
        let expected = if value.get("error").is_some() { REPORTED } else { 0 };
        assert_eq!(printed.code, Some(expected), "{printed:?}");
        Outcome(value)
    }
}

impl Outcome {
    /// What was printed, where the SDK reported no error.
    pub(crate) fn value(&self) -> &Value {
        assert_eq!(self.0.get("error"), None, "the SDK reported an error");
        &self.0
    }

    /// The error which the SDK reported.
    pub(crate) fn error(&self) -> &Value {
        self.0.get("error").unwrap_or_else(|| panic!("the SDK reported no error: {}", self.0))
    }

    /// What was said in the end.
    pub(crate) fn text(&self) -> &str {
        let turns = self.value()["turns"].as_array().expect("a conversation has turns");
        let content = turns.last().and_then(|turn| turn["content"].as_array()).expect("a turn has content");
        content.last().and_then(|block| block["text"].as_str()).expect("the last block is text")
    }
}

impl PartialEq for Outcome {
    /// Two outcomes are the same if the SDK's user could not tell them apart, but for the ids of requests.
    fn eq(&self, other: &Self) -> bool {
        let seen = |outcome: &Self| {
            let mut value = outcome.0.clone();
            if let Some(error) = value.get_mut("error").and_then(Value::as_object_mut) {
                error.remove("request_id");
                error.remove("message");
                if let Some(body) = error.get_mut("body").and_then(Value::as_object_mut) {
                    body.remove("request_id");
                }
            }
            value
        };
        seen(self) == seen(other)
    }
}

/// Makes one test for each SDK of functions which take one.
macro_rules! for_each_sdk {
    ($($name:ident),+ $(,)?) => {
        mod python {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    super::$name(crate::sdk::Sdk::Python).await;
                }
            )+
        }
        mod typescript {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    super::$name(crate::sdk::Sdk::TypeScript).await;
                }
            )+
        }
    };
}

pub(crate) use for_each_sdk;
