//! The options as they are written, in one declarative table: name, type, default, meaning, standing.
//!
//! [`section!`] turns each row into a field that knows where it was written, into the reader that
//! reports what is wrong with it, and into the [`Row`](table::Row) from which the reference is made.
//! Nothing here knows how options depend on each other: that is [`crate::check`].

pub(crate) mod found;
pub(crate) mod read;
pub(crate) mod suggest;
pub(crate) mod table;

pub(crate) mod leaf;
pub(crate) mod many;
pub(crate) mod money;
pub(crate) mod unit;

pub(crate) mod auth;
pub(crate) mod cache;
pub(crate) mod health;
pub(crate) mod log;
pub(crate) mod providers;
pub(crate) mod queue;
pub(crate) mod routing;
pub(crate) mod server;
pub(crate) mod state;

use crate::expand::Environment;
use crate::problem::{Findings, Places, Spot};
use crate::raw::many::List;
use crate::raw::read::{Reader, Secrets};
use crate::raw::table::{Section, section};
use crate::tree::Node;

section! {
    /// The whole configuration.
    Root {
        /// The listener, its limits, and who may ask.
        server: server::Server;
        /// In which order providers are tried.
        routing: routing::Routing;
        /// The upstream accounts, each with its keys. At least one must be enabled.
        providers: List<providers::Account>;
        /// How long a call may wait for a key.
        queue: queue::Queue;
        /// What models cost. The list prices of Anthropic's are known; what is written here goes before them. By prices is decided how long a conversation waits for the key where its prompts are cached, and `cc-relay plan` reckons with them.
        prices: List<money::Price>;
        /// What was learned, and where it is kept over a restart.
        state: state::State;
        /// What is logged, and where.
        logging: log::Logging;
        /// Circuit breakers and health checks of providers.
        health: health::Breakers, inert;
        /// The cache of thinking signatures.
        cache: cache::Cache, inert;
    }
    dead {
        "grpc" => "remove it; this version has no management API";
        "metrics" => "remove it; this version has no metrics endpoint";
    }
}

impl Root {
    /// Where the options are that name something of the machine.
    pub(crate) fn places(&self) -> Places {
        let server::Tls { certificate, key, client_ca, .. } = &self.server.tls;
        let files = [certificate, key, client_ca, &self.state.path].map(|field| &field.spot);
        Places::of(files.into_iter().chain([self.server.tls.spot(), &self.logging.output.spot]))
    }
}

/// Reads a whole tree. What is wrong goes to the findings; the rest is read all the same.
pub(crate) fn read(tree: &Node, environment: Environment<'_>) -> (Root, Findings) {
    let mut reader = Reader::new(environment, Secrets::Needed);
    let root = Root::take(&mut reader, Some(tree), Spot::default());
    (root, reader.findings)
}

/// The same where no secret is needed, and the variables that were to hold one and are not set.
pub(crate) fn read_without_secrets(
    tree: &Node,
    environment: Environment<'_>,
) -> (Root, Findings, Vec<String>) {
    let mut reader = Reader::new(environment, Secrets::Unread);
    let root = Root::take(&mut reader, Some(tree), Spot::default());
    (root, reader.findings, reader.missed)
}
