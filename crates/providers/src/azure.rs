//! Microsoft Foundry: Claude models of a resource in Azure, each under the name of its deployment.
//! <https://learn.microsoft.com/azure/ai-foundry/foundry-models/how-to/use-foundry-models-claude>

use relay_headers::Value;

use crate::adapter::{
    Account, Adapter, Auth, Credential, Facts, Identity, Offer, Order, Place, Setting, Unsupported, Upstream,
};
use crate::compatible::{self, ANTHROPIC_VERSION};
use crate::secret::Secret;

pub(crate) struct Azure;

impl Adapter for Azure {
    fn facts(&self) -> &'static Facts {
        &Facts {
            place: Place::Of(&[Setting::AzureResource], place),
            models: &["claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"],
            owner: "azure",
            auth: Auth::API_KEY,
            identity: Some(Identity::Azure),
            offers: &[Offer::CountTokens],
            lacks: |_| &[],
            signed_only: |_| true,
            ..Facts::USUAL
        }
    }

    /// It insists on a version, which clients of it may leave to it.
    fn prepare(&self, order: &Order<'_>) -> Result<Upstream, Unsupported> {
        let mut upstream = compatible::prepare(self.facts(), order)?;
        if let Credential::Key(key) = order.credential
            && is_token(key)
        {
            upstream.headers.remove(compatible::X_API_KEY);
            compatible::bearer(&mut upstream.headers, key)?;
        }
        if upstream.headers.get(ANTHROPIC_VERSION).is_none() {
            upstream.headers.set(ANTHROPIC_VERSION, Value::fixed("2023-06-01"));
        }
        Ok(upstream)
    }
}

/// Is it a token of Entra's, and no API key? Such a token is three parts of JSON in base64, with dots between.
fn is_token(key: &Secret) -> bool {
    key.expose().starts_with("eyJ") && key.expose().split('.').count() == 3
}

fn place(account: &Account) -> String {
    format!("https://{}.services.ai.azure.com/anthropic", account.get(Setting::AzureResource))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_told_from_a_key() {
        assert!(is_token(&Secret::new("eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJhIn0.c2ln")));
        for key in ["0123456789abcdef0123456789abcdef", "eyJ0", "a.b.c", ""] {
            assert!(!is_token(&Secret::new(key)), "{key}");
        }
    }
}
