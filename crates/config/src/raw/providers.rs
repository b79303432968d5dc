//! `providers`: the upstream accounts and their keys, as written.

use std::time::Duration;

use relay_core::Strategy;
use relay_providers::Kind;

use crate::problem::Spot;
use crate::raw::leaf::{Choice, CommandLine, FilePath, Flag, Hidden, OneOf, Text, Whole};
use crate::raw::many::{List, Named};
use crate::raw::read::{Owner, Reader, Shape};
use crate::raw::routing::Pick;
use crate::raw::server::DAY;
use crate::raw::table::{Form, section};
use crate::raw::unit::Timed;
use crate::tree::{Node, Value};

/// Limits, weights and priorities beyond this are mistakes.
const MOST: u64 = u32::MAX as u64;

/// The largest number of calls at once; nobody has so many.
const CALLS: u64 = 1_000_000;

/// The longest time to wait for a connection, in milliseconds: 5 minutes.
const LONGEST_CONNECT: u64 = 300_000;

section! {
    /// An upstream account with its keys.
    Provider {
        /// Its name, unique: it stands in logs, headers and `routing`.
        name: Text => "anthropic";
        /// Its kind.
        r#type: OneOf<Kind> => "anthropic";
        /// Whether it is used.
        enabled: Flag = false => "true";
        /// Where it is: `http` or `https`, a host, and perhaps a path. The default depends on the kind.
        base_url: Text => "https://api.anthropic.com";
        /// The models it is listed with; for the listing only. The default depends on the kind.
        models: List<Text> => "[claude-opus-5-5, claude-sonnet-5-5]";
        /// Names of models, and what is sent upstream instead. A `*` stands for any letters; the very name comes before patterns, and longer patterns before shorter ones. `[1m]` at the end of a name asked for does not count.
        model_mapping: Named<Text> => "{ claude-haiku-4-5: claude-haiku-5-5, claude-opus-*: claude-opus-5-5 }";
        /// Its keys. `anthropic` without keys forwards the credential of the client, `ollama` needs none; `bedrock`, `azure` and `vertex` without keys are asked with what the machine is to the cloud.
        keys: List<Entry>;
        /// How one of its keys is chosen.
        pooling: Pooling;
        /// Higher goes first, under strategies that look at it. The default is that of the first key, or 0.
        priority: Whole<0, MOST> => "0";
        /// Its share, under strategies that look at it; 0 counts as 1. The default is that of the first key, or 1.
        weight: Whole<0, MOST> => "1";
        /// When to give up on it.
        timeouts: Timeouts;
        /// For `bedrock`, required: the region.
        aws_region: Text => "eu-central-1";
        /// For `bedrock`: an access key, with `aws_secret_access_key`. It is a key as those of `keys` are, beside them.
        aws_access_key_id: Hidden => "${AWS_ACCESS_KEY_ID}";
        /// For `bedrock`: the secret of the access key.
        aws_secret_access_key: Hidden => "${AWS_SECRET_ACCESS_KEY}";
        /// For `vertex`, required: the project.
        gcp_project_id: Text => "my-project";
        /// For `vertex`, required: the region.
        gcp_region: Text => "europe-west1";
        /// For `azure`, required: the name of the resource.
        azure_resource_name: Text => "my-resource";
    }
    dead {
        "azure_deployment_id" => "remove it; a deployment is the name of a model, see `model_mapping`";
        "azure_api_version" => "remove it; the Anthropic API on Azure has no such version";
    }
}

section! {
    /// A key of a provider. Exactly one of `key`, `key_file` and `key_command` says where its secret comes from.
    Entry {
        /// The secret itself, most often from a variable.
        key: Hidden => "${ANTHROPIC_API_KEY}";
        /// A file whose first line is the secret. It is read again whenever it changes.
        key_file: FilePath => "/run/secrets/anthropic";
        /// A command, run by the shell, that prints the secret. Variables in it are replaced by the shell: what is in them cannot change the command. It is run again when the key is refused, at most every 30 s; a call that nobody else can serve waits for it.
        key_command: CommandLine => "pass show anthropic";
        /// Messages a minute, of all models together; 0 means no cap of your own. What the provider's answers say of limits holds beside it.
        rpm_limit: Whole<0, MOST> = 0_u64;
        /// Uncached input tokens a minute, of all models together; 0 means no cap of your own.
        itpm_limit: Whole<0, MOST> = 0_u64;
        /// Output tokens a minute, of all models together; 0 means no cap of your own.
        otpm_limit: Whole<0, MOST> = 0_u64;
        /// For `bedrock`, which has one limit for tokens of both kinds: tokens a minute as AWS counts them, of all models together; 0 means no cap of your own. An answer is held back as long as it may be (`max_tokens`), and each of its tokens counts five times in the end. For other types it is an old option: half of it counts for input, half for output, unless they have limits of their own.
        tpm_limit: Whole<0, MOST> => "0";
        /// Calls under way at once, of all models together; 0 means no cap of your own. It replaces what is known of the provider (DeepSeek allows an account 500 or 2,500, by model).
        concurrency_limit: Whole<0, CALLS> = 0_u64;
        /// 0 to 2, higher goes first, under strategies that look at it. The default is 1.
        priority: Whole<0, 2> => "1";
        /// Its share, under strategies that look at it; 0 counts as 1.
        weight: Whole<0, MOST> => "1";
        /// Keys of the same group share the limits that answers tell of, from the start; the caps above stay each key's own. Keys that turn out to be of one organization share them in any case.
        limit_group: Text => "team-a";
        /// The workspace the key belongs to. Keys of the same workspace share a prompt cache, and its narrower limits if it has any. Answers of Anthropic's name it; where they do not, name it here.
        workspace: Text => "default";
        /// For `anthropic`: an Admin API key of the organization that the key belongs to. With it the relay asks every hour which limits the organization has, and keeps them from the start. It suffices to write it beside one key of the organization; no message is ever sent with it.
        limits_admin_key: Hidden => "${ANTHROPIC_ADMIN_KEY}";
        /// A file whose first line is the Admin API key. It is read again for each look.
        limits_admin_key_file: FilePath => "/run/secrets/anthropic-admin";
    }
}

section! {
    /// How one of the keys of a provider is chosen.
    Pooling {
        /// Several keys are a pool by default; `false` uses the first one only.
        enabled: Flag => "true";
        /// How a key is chosen.
        strategy: OneOf<Pick> = Pick(Strategy::LeastLoaded);
    }
}

section! {
    /// When to give up on a provider.
    Timeouts {
        /// Resolving, connecting and the TLS handshake together.
        connect: Timed<1, LONGEST_CONNECT> = Duration::from_secs(10);
        /// From the request to the head of the answer. The default is `10m`, and `1h` for `ollama`.
        first_byte: Timed<1, DAY> => "10m";
        /// Without a byte while an answer flows.
        idle: Timed<1, DAY> = Duration::from_mins(5);
    }
}

/// A provider, read with the knowledge of whose options they are: what is wrong with them names it, and
/// of a disabled one no variable needs to be set.
pub(crate) struct Account(pub(crate) Provider);

impl Shape for Account {
    type Slot = Option<Self>;

    fn form() -> Form {
        Provider::form()
    }

    fn read(reader: &mut Reader<'_>, node: &Node, spot: &Spot) -> Option<Self> {
        reader.owner = Some(owner(reader, node));
        let provider = Provider::read(reader, node, spot);
        reader.owner = None;
        provider.map(Self)
    }

    fn slot(reader: &mut Reader<'_>, node: Option<&Node>, spot: Spot) -> Option<Self> {
        Self::read(reader, node?, &spot)
    }
}

/// Whose options follow. What is wrong with the two options looked at is reported when they are read in earnest.
fn owner(reader: &Reader<'_>, node: &Node) -> Owner {
    let mut scratch = reader.scratch();
    let Value::Map(map) = &node.value else { return Owner { name: None, enabled: true, n_keys: 0 } };
    let first = |name| map.named(name).next().map(|entry| &entry.node);
    let name = first("name").and_then(|node| Text::read(&mut scratch, node, &Spot::default()));
    let enabled = first("enabled").and_then(|node| Flag::read(&mut scratch, node, &Spot::default()));
    Owner {
        name: name.filter(|name| name.variable.is_none()).map(|name| name.text),
        enabled: enabled.is_some_and(|enabled| enabled.0),
        n_keys: match first("keys").map(|node| &node.value) {
            Some(Value::List(entries)) => entries.len(),
            _ => 0,
        },
    }
}

impl Choice for Kind {
    fn words() -> Vec<(&'static str, Self)> {
        Self::all().map(|kind| (kind.as_str(), kind)).collect()
    }
}
