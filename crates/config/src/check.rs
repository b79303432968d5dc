//! Raw options become a [`Config`]: what depends on each other is checked here, and all of it at once.
//!
//! Whatever is wrong is noted and replaced by something harmless, so that the next check still makes
//! sense; a configuration with problems is never handed out.

mod auth;
mod keys;
mod log;
mod prices;
mod providers;
mod routing;
mod server;

use relay_core::Second;

use crate::checked::{Config, Queue, State};
use crate::problem::Findings;
use crate::raw::Root;
use crate::raw::cache::{Cache, Mode};
use crate::raw::table::Section;

/// Checks everything. The result counts only if the findings hold no problem.
pub(crate) fn check(root: &Root, findings: &mut Findings) -> Config {
    let server = server::server(&root.server, findings);
    let auth = auth::auth(&root.server, findings);
    auth::guard(&root.server, &server, &auth, findings);
    let accounts = providers::providers(root, &server.listen, findings);
    let routing = routing::routing(&root.routing, &accounts, findings);
    look_at_inert(root, findings);
    Config {
        server,
        auth,
        routing,
        providers: accounts.served,
        prices: prices::prices(root, findings),
        queue: Queue {
            max_wait: root.queue.max_wait_ms.value.0,
            cold_prefix_wait: root.queue.cold_prefix_wait_ms.value.0,
            max_calls: root.queue.max_calls.value.0,
            max_bytes: root.queue.max_bytes.value.0,
            second: Second(root.queue.dollars_per_second.value.0),
        },
        state: State {
            enabled: root.state.enabled.value.0,
            path: root.state.path.get().map(|path| path.0.clone()),
        },
        log: log::log(&root.logging, findings),
    }
}

/// Sections that are read and checked, and do nothing in this version.
fn look_at_inert(root: &Root, findings: &mut Findings) {
    const WHAT: &str = "is checked, but has no effect in this version";
    if root.health.given() {
        findings.notice(root.health.spot(), WHAT);
    }
    if asks_for_cache(&root.cache) {
        findings.notice(root.cache.spot(), WHAT);
    }
}

/// A section that disables the cache has its effect.
fn asks_for_cache(cache: &Cache) -> bool {
    let disabled = cache.mode.get().is_some_and(|mode| mode.0 == Mode::Disabled);
    let detailed = cache.ristretto.given() || cache.olric.given();
    cache.given() && !disabled && (detailed || !cache.mode.is_absent())
}
