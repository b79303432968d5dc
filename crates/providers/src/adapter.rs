//! The one shape of a provider: its facts, how a request to it is written, what its answers mean.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{StatusCode, Uri};
use relay_core::{Accounting, Quota, Time, Verdict};
use relay_headers::Headers;
use relay_wire::call::Call;
use relay_wire::edit::Edits;

use crate::features::{self, Feature};
use crate::models::Models;
use crate::secret::Secret;
use crate::{FIRST_BYTE, anthropic, compatible};

/// What differs between providers, and nothing else. No method does I/O or reads a clock.
pub trait Adapter: Send + Sync + 'static {
    /// Where it is, how it wants a key, and what it offers.
    fn facts(&self) -> &'static Facts;

    /// Writes the upstream request: where it goes, its headers, and what changes in the client's bytes. Some are signed,
    /// with the time.
    fn prepare(&self, order: &Order<'_>) -> Result<Upstream, Unsupported> {
        compatible::prepare(self.facts(), order)
    }

    /// Reads the head and a bounded first piece of an answer. Most providers speak as Anthropic does.
    fn judge(&self, head: &Head<'_>, piece: Piece<'_>, now: Time) -> Verdict {
        anthropic::judge(head, piece, now)
    }

    /// How the body of an answer becomes what Anthropic's would be, and its headers with it. Most are that already.
    fn reply(
        &self,
        _ask: &Ask<'_>,
        _status: StatusCode,
        _headers: &mut Headers,
    ) -> Option<Box<dyn Translator>> {
        None
    }
}

/// Turns a body into another one, as it comes.
pub trait Translator: Send {
    /// What the next chunk makes whole. Nothing, perhaps.
    fn push(&mut self, chunk: &[u8]) -> Result<Bytes, Garbled>;

    /// The body has ended: what it makes whole.
    fn finish(&mut self) -> Result<Bytes, Garbled>;
}

/// A body is not what its head says, and cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the answer is not in the form that it says")]
pub struct Garbled;

/// What a provider is, apart from any account.
#[derive(Debug)]
pub struct Facts {
    /// Where it is, if the configuration does not say.
    pub place: Place,
    /// The models it is listed with, if the configuration does not say.
    pub models: &'static [&'static str],
    /// Names that it takes for one of its models, by how they begin: the first that fits.
    pub aliases: &'static [(&'static str, &'static str)],
    /// A name with `[1m]` behind it means something to it.
    pub knows_long: bool,
    /// Who makes them, in the words of the old program's listing.
    pub owner: &'static str,
    /// How long it may take to the first byte, if the configuration does not say.
    pub first_byte: Duration,
    /// What is asked of it is written anew in its own dialect, and what it answers in Anthropic's.
    pub translated: bool,
    /// How it wants its key.
    pub auth: Auth,
    /// What stands for a key where none is written, if anything does.
    pub identity: Option<Identity>,
    /// What it has besides messages.
    pub offers: &'static [Offer],
    /// A body may be an error although its status says that it is a message.
    pub errs_late: bool,
    /// What it lacks of what requests may ask for, with the model of that name, and is therefore not asked.
    pub lacks: fn(&str) -> &'static [&'static Feature],
    /// Does a model of that name refuse thoughts that nobody has signed? Claude models do.
    pub signed_only: fn(&str) -> bool,
    /// What it counts otherwise than Anthropic does.
    pub accounting: Accounting,
    /// Does it take a beta with the model of that name? What it does not know it refuses.
    pub takes_beta: fn(&str, &str) -> bool,
}

impl Facts {
    /// What holds of most who speak as Anthropic does and have models of their own.
    pub const USUAL: Self = Self {
        place: Place::Anywhere,
        models: &[],
        aliases: &[],
        knows_long: false,
        owner: "",
        first_byte: FIRST_BYTE,
        translated: false,
        auth: Auth::BEARER,
        identity: None,
        offers: &[],
        errs_late: false,
        lacks: |_| features::FOREIGN,
        signed_only: |_| false,
        accounting: Accounting { at_once: &[], reserves: None },
        takes_beta: |_, _| true,
    };

    /// The model that it takes a name for.
    pub fn taken_for<'a>(&self, name: &'a str) -> &'a str {
        self.aliases.iter().find(|(start, _)| name.starts_with(start)).map_or(name, |(_, model)| model)
    }

    /// Does it have that?
    pub fn offers(&self, offer: Offer) -> bool {
        self.offers.contains(&offer)
    }
}

/// Where a provider is.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// There, for everybody.
    At(&'static str),
    /// Only the configuration knows.
    Anywhere,
    /// That follows from these settings of an account.
    Of(&'static [Setting], fn(&Account) -> String),
}

impl Place {
    /// The settings that it needs.
    pub const fn needs(&self) -> &'static [Setting] {
        match self {
            Self::Of(needs, _) => needs,
            Self::At(_) | Self::Anywhere => &[],
        }
    }

    /// Its base URL for such an account; none if only the configuration knows.
    pub fn url(&self, account: &Account) -> Option<String> {
        match self {
            Self::At(url) => Some((*url).to_owned()),
            Self::Anywhere => None,
            Self::Of(_, url) => Some(url(account)),
        }
    }
}

/// What an account at a cloud is told apart by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Setting {
    /// `aws_region`.
    AwsRegion,
    /// `azure_resource_name`.
    AzureResource,
    /// `gcp_project_id`.
    GcpProject,
    /// `gcp_region`.
    GcpRegion,
}

impl Setting {
    /// The option of the configuration that says it.
    pub const fn option(self) -> &'static str {
        match self {
            Self::AwsRegion => "aws_region",
            Self::AzureResource => "azure_resource_name",
            Self::GcpProject => "gcp_project_id",
            Self::GcpRegion => "gcp_region",
        }
    }
}

/// The settings of one account, as configured.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Account(pub BTreeMap<Setting, String>);

impl Account {
    /// One of them; nothing if it is not set.
    pub fn get(&self, setting: Setting) -> &str {
        self.0.get(&setting).map_or("", String::as_str)
    }
}

/// How a provider wants its key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Auth {
    /// Where the key stands.
    pub scheme: Scheme,
    /// It serves only with one.
    pub is_needed: bool,
}

/// Who the machine is, to a cloud: what it is asked with where no key is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Identity {
    /// Of AWS: variables, profiles, roles of containers and machines.
    Aws,
    /// Of Azure: variables, workloads, machines, the command line.
    Azure,
    /// Of Google: its application default credentials.
    Google,
}

impl Identity {
    /// Its name, as operators read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws-identity",
            Self::Azure => "azure-identity",
            Self::Google => "google-identity",
        }
    }
}

/// Where a key stands in a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// `x-api-key`.
    ApiKey,
    /// `authorization: Bearer`.
    Bearer,
    /// In a signature of the request, or in `authorization: Bearer` if it is an API key.
    Signature,
}

impl Auth {
    /// In `x-api-key`.
    pub const API_KEY: Self = Self { scheme: Scheme::ApiKey, is_needed: true };
    /// In `authorization`.
    pub const BEARER: Self = Self { scheme: Scheme::Bearer, is_needed: true };
    /// The same where there may be none.
    pub const OPTIONAL_BEARER: Self = Self { scheme: Scheme::Bearer, is_needed: false };
    /// In a signature.
    pub const SIGNATURE: Self = Self { scheme: Scheme::Signature, is_needed: true };
    /// In `x-api-key`, where there may be none.
    pub const OPTIONAL_API_KEY: Self = Self { scheme: Scheme::ApiKey, is_needed: false };
}

/// What a provider may have besides messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offer {
    /// `/v1/messages/count_tokens`.
    CountTokens,
    /// `/v1/messages/batches`.
    Batches,
    /// `/v1/files`.
    Files,
    /// Answers that come faster for more money, with limits of their own.
    FastMode,
    /// A client's own credential may go there.
    OwnCredential,
}

/// What the client asked, as HTTP.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The path and the query, as they came.
    pub path: &'a PathAndQuery,
    /// The headers, as they came.
    pub headers: &'a Headers,
    /// What its body asks, and the body; none for a body that is not looked at.
    pub call: Option<(&'a Call, &'a Bytes)>,
}

/// What is to be written, for whom, with what, and when.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// What the client asked.
    pub ask: Ask<'a>,
    /// Who is asked.
    pub target: &'a Target,
    /// What authorises it.
    pub credential: &'a Credential,
    /// The time, for signatures.
    pub now: Time,
}

/// One provider as configured: where it is, and what it calls its models.
#[derive(Clone, Debug)]
pub struct Target {
    /// Scheme, authority, and perhaps a path and a query.
    pub base: Uri,
    /// What it calls models.
    pub models: Models,
    /// What its account is told apart by.
    pub account: Account,
}

/// What authorises one upstream request. Exactly one is ever set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Credential {
    /// A key of ours.
    Key(Secret),
    /// The client's own `authorization: Bearer`, passed on.
    OwnBearer(Secret),
    /// The client's own `x-api-key`, passed on.
    OwnKey(Secret),
    /// None: the provider asks for nothing.
    None,
}

/// An upstream request, but for its body.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Path and query on the provider's host.
    pub path: PathAndQuery,
    /// Its headers; `host` and `content-length` are the transport's.
    pub headers: Headers,
    /// What changes in the client's bytes; none if nothing does.
    pub edits: Option<Edits>,
}

/// The head of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Its status.
    pub status: StatusCode,
    /// What its headers say of limits.
    pub quota: &'a Quota,
}

/// The bounded first piece of an answer.
#[derive(Clone, Copy, Debug)]
pub enum Piece<'a> {
    /// Nothing was looked at.
    Nothing,
    /// The beginning of a body, decoded.
    Body(&'a [u8]),
    /// The data of the first event of a stream that is not a ping; `error` if that is its name.
    Error(&'a [u8]),
}

/// A call that a provider cannot carry: this pair does not fit.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unsupported {
    /// The path and query do not make a URL with the provider's base.
    #[error("the path cannot be sent to this provider")]
    Path,
    /// The credential holds a byte that a header cannot.
    #[error("the key holds a character that a header cannot carry")]
    Credential,
    /// It is not an object whose fields can be changed.
    #[error("the body is no JSON object that can be read")]
    Body,
    /// It asks for what the provider does not have, and what would be missed.
    #[error("{place} {why}")]
    Field {
        /// Where in the body.
        place: String,
        /// Why that cannot be carried.
        why: &'static str,
    },
}
