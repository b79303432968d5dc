//! Who asks: a credential becomes an organization, a workspace and a key.
//!
//! It knows the headers in which credentials come and the order in which they count; it refuses
//! to know what the caller may then do.

use std::collections::HashMap;

use http::{HeaderMap, header::AUTHORIZATION};

use crate::{
    limiter::Account,
    refusal::{Kind, Refusal},
    settings::{Key, Settings},
};

/// How OAuth tokens begin.
const OAUTH: &str = "sk-ant-oat";

/// The beta without which OAuth tokens are refused.
const OAUTH_BETA: &str = "oauth-2025-04-20";

/// Every credential that is known.
#[derive(Debug)]
pub(crate) struct Directory {
    accounts: HashMap<Secret, Account>,
    /// The places of the organizations of which each is an Admin API key.
    admins: HashMap<Secret, usize>,
}

/// A secret as a key of a map; it prints nothing.
#[derive(PartialEq, Eq, Hash)]
struct Secret(String);

/// A credential as it was sent.
#[derive(Clone, Copy)]
enum Credential<'a> {
    ApiKey(&'a str),
    Bearer(&'a str),
}

impl Directory {
    pub(crate) fn new(settings: &Settings) -> Self {
        let (mut accounts, mut admins) = (HashMap::new(), HashMap::new());
        for (organization, holder) in settings.organizations.iter().enumerate() {
            admins.extend(holder.admin_keys.iter().map(|key| (Secret(key.secret.clone()), organization)));
            for (workspace, part) in holder.workspaces.iter().enumerate() {
                for (key, Key { secret, .. }) in part.keys.iter().enumerate() {
                    accounts.insert(Secret(secret.clone()), Account { organization, workspace, key });
                }
            }
        }
        Self { accounts, admins }
    }

    /// Who sent this, or why nobody may.
    pub(crate) fn identify(&self, headers: &HeaderMap) -> Result<Account, Refusal> {
        let refuse = |message: &str| Err(Refusal::new(Kind::Authentication, message));
        match credential(headers) {
            None => refuse("x-api-key header is required"),
            Some(Credential::ApiKey(secret)) => match self.find(secret) {
                Some(account) if !secret.starts_with(OAUTH) => Ok(account),
                _ => refuse("invalid x-api-key"),
            },
            Some(Credential::Bearer(secret)) => match self.find(secret) {
                Some(_) if secret.starts_with(OAUTH) && !betas(headers).any(|beta| beta == OAUTH_BETA) => {
                    refuse("OAuth authentication is currently not supported.")
                }
                Some(account) => Ok(account),
                None => refuse("Invalid bearer token"),
            },
        }
    }

    /// The organization whose administrator sent this, or why nobody may.
    pub(crate) fn administers(&self, headers: &HeaderMap) -> Result<usize, Refusal> {
        let found = match credential(headers) {
            Some(Credential::ApiKey(secret)) => self.admins.get(&Secret(secret.to_owned())),
            Some(Credential::Bearer(_)) | None => None,
        };
        found.copied().ok_or_else(|| Refusal::new(Kind::Authentication, "invalid x-api-key"))
    }

    /// Whose credential this is, whether or not it would be accepted in this place.
    pub(crate) fn recognise(&self, headers: &HeaderMap) -> Option<Account> {
        let (Credential::ApiKey(secret) | Credential::Bearer(secret)) = credential(headers)?;
        self.find(secret)
    }

    fn find(&self, secret: &str) -> Option<Account> {
        self.accounts.get(&Secret(secret.to_owned())).copied()
    }
}

/// The values of `anthropic-beta`, which may come in one header or in several.
pub(crate) fn betas(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all("anthropic-beta").iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|beta| !beta.is_empty())
}

/// `x-api-key` wins if both are sent. Two of it are none that could be known.
fn credential(headers: &HeaderMap) -> Option<Credential<'_>> {
    let mut keys = headers.get_all("x-api-key").iter();
    if let Some(key) = keys.next() {
        let only = keys.next().is_none();
        return Some(Credential::ApiKey(key.to_str().ok().filter(|_| only).unwrap_or_default()));
    }
    let bearer = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = bearer.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(Credential::Bearer(token.trim()))
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::{Account, Directory};
    use crate::settings::{Organization, Settings};

    const API: &str = "sk-ant-api03-one";
    const OAT: &str = "sk-ant-oat01-two";

    fn outcome(headers: &[(&'static str, &str)]) -> Result<usize, String> {
        let organization = Organization::open("acme", &[("one", API), ("two", OAT)]);
        let directory =
            Directory::new(&Settings { organizations: vec![organization], ..Settings::default() });
        assert!(!format!("{directory:?}").contains("sk-ant"));
        let mut map = HeaderMap::new();
        for &(name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
        }
        directory.identify(&map).map(|Account { key, .. }| key).map_err(|refusal| {
            assert_eq!(refusal.status, 401);
            refusal.message
        })
    }

    #[test]
    fn credentials_count_as_the_provider_counts_them() {
        let bearer_api = format!("Bearer {API}");
        let bearer_oat = format!("bearer {OAT}");
        let beta = ("anthropic-beta", "claude-code-20250219, oauth-2025-04-20");
        let no = |message: &str| Err(message.to_owned());
        assert_eq!(outcome(&[]), no("x-api-key header is required"));
        assert_eq!(outcome(&[("x-api-key", API)]), Ok(0));
        assert_eq!(outcome(&[("x-api-key", "sk-ant-api03-none")]), no("invalid x-api-key"));
        assert_eq!(outcome(&[("authorization", &bearer_api)]), Ok(0));
        assert_eq!(outcome(&[("authorization", "Bearer nobody")]), no("Invalid bearer token"));
        assert_eq!(outcome(&[("authorization", "Basic abc")]), no("x-api-key header is required"));
        assert_eq!(
            outcome(&[("authorization", &bearer_oat)]),
            no("OAuth authentication is currently not supported.")
        );
        assert_eq!(outcome(&[("authorization", &bearer_oat), beta]), Ok(1));
        assert_eq!(outcome(&[("x-api-key", OAT), beta]), no("invalid x-api-key"));
        assert_eq!(
            outcome(&[("x-api-key", "wrong"), ("authorization", &bearer_api)]),
            no("invalid x-api-key")
        );
        assert_eq!(outcome(&[("x-api-key", API), ("authorization", "Bearer wrong")]), Ok(0));
        assert_eq!(outcome(&[("x-api-key", API), ("x-api-key", API)]), no("invalid x-api-key"));
    }
}
