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

impl Sdk {
    /// Plays a scenario on a stage, once.
    pub(crate) async fn play(self, stage: &Stage, arguments: &[&str]) -> Outcome {
        let mut outcomes = self.play_repeatedly(stage, 1, arguments).await;
        outcomes.pop().expect("it was played once")
    }

    /// Plays a scenario on a stage that often, one after the other, with one client.
    pub(crate) async fn play_repeatedly(
        self,
        stage: &Stage,
        times: usize,
        arguments: &[&str],
    ) -> Vec<Outcome> {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients");
        let (program, script): (PathBuf, _) = match self {
            Self::Python => (told("RELAY_PYTHON").into(), scripts.join("python/scenarios.py")),
            Self::TypeScript => ("node".into(), scripts.join("node/scenarios.mjs")),
        };
        let mut command = scrubbed(program, stage.home());
        command.arg(script).args(arguments).args(["--repeat", &times.to_string()]);
        command.env("RELAY_NODE_MODULES", told("RELAY_NODE_MODULES"));
        command.env("ANTHROPIC_BASE_URL", stage.url()).env("ANTHROPIC_API_KEY", stage.credential());
        let printed = run(command).await;
        assert_eq!(printed.code, Some(0), "{printed:?}");
        let values: Vec<Value> = serde_json::from_str(&printed.stdout)
            .unwrap_or_else(|error| panic!("{self:?} did not print a list in JSON: {error}\n{printed:?}"));
        assert_eq!(values.len(), times);
        values.into_iter().map(Outcome).collect()
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
