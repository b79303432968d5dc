//! AWS Bedrock.
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html>

use crate::adapter::{Account, Adapter, Auth, Facts, Place, Scheme, Setting};

pub(crate) struct Bedrock;

impl Adapter for Bedrock {
    fn facts(&self) -> &'static Facts {
        &Facts {
            place: Place::Of(&[Setting::AwsRegion], place),
            models: &[],
            owner: "aws",
            first_byte: crate::FIRST_BYTE,
            auth: Auth { scheme: Scheme::Unwritten, is_needed: false },
            offers: &[],
            lacks: |_| &[],
        }
    }
}

fn place(account: &Account) -> String {
    format!("https://bedrock-runtime.{}.amazonaws.com", account.get(Setting::AwsRegion))
}
