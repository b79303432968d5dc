//! Microsoft Foundry: Claude models of a resource in Azure, each under the name of its deployment.
//! <https://learn.microsoft.com/azure/ai-foundry/foundry-models/how-to/use-foundry-models-claude>

use relay_core::Time;
use relay_headers::Value;

use crate::adapter::{
    Account, Adapter, Ask, Auth, Credential, Facts, Offer, Place, Setting, Target, Unsupported, Upstream,
};
use crate::compatible::{self, ANTHROPIC_VERSION};

pub(crate) struct Azure;

impl Adapter for Azure {
    fn facts(&self) -> &'static Facts {
        &Facts {
            place: Place::Of(&[Setting::AzureResource], place),
            models: &["claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"],
            owner: "azure",
            first_byte: crate::FIRST_BYTE,
            auth: Auth::API_KEY,
            offers: &[Offer::CountTokens],
            lacks: |_| &[],
            takes_beta: |_, _| true,
        }
    }

    /// It insists on a version, which clients of it may leave to it.
    fn prepare(
        &self,
        ask: &Ask<'_>,
        target: &Target,
        credential: &Credential,
        _now: Time,
    ) -> Result<Upstream, Unsupported> {
        let mut upstream = compatible::prepare(self.facts(), ask, target, credential)?;
        if upstream.headers.get(ANTHROPIC_VERSION).is_none() {
            upstream.headers.set(ANTHROPIC_VERSION, Value::fixed("2023-06-01"));
        }
        Ok(upstream)
    }
}

fn place(account: &Account) -> String {
    format!("https://{}.services.ai.azure.com/anthropic", account.get(Setting::AzureResource))
}
