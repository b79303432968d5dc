//! The windows of all who could serve a call, taken together.

use std::collections::BTreeSet;

use crate::plan::{Plan, Whose};
use crate::rest::Readiness;
use crate::time::Time;
use crate::window::{Share, Window, WindowName};

use super::State;

/// The pool of keys that could serve a call.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Pool {
    /// Some key of it could serve now.
    pub serves: bool,
    /// If none could: when the first can that does not wait for somebody to mend it.
    pub ready: Option<Time>,
    /// The windows that count for the call.
    pub windows: Vec<PoolWindow>,
}

/// A window, over all accounts of a pool that have told of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PoolWindow {
    /// Which one.
    pub name: WindowName,
    /// The mean of what is used of it; of no account more than all. Each account weighs the same, for how large a
    /// window is nobody says. None if no share was told.
    pub used: Option<Share>,
    /// When some of it comes back: where accounts have used theirs up, the first reset of those, or else of all.
    pub reset: Option<Time>,
    /// All of them have used it up.
    pub is_spent: bool,
}

impl State {
    /// The pool that a call could go to: all keys of the providers that may serve it. None for a call that goes with
    /// the client's own credential, which is of no pool.
    pub fn pool(&self, plan: &Plan, now: Time) -> Option<Pool> {
        if plan.whose == Whose::Client {
            return None;
        }
        let mut pool = Pool::default();
        let mut accounts = BTreeSet::new();
        let places = self.fleet.providers.iter().zip(&self.pools);
        let places = places.filter(|(provider, _)| plan.providers.contains(&provider.id));
        for place in places.flat_map(|(_, places)| places) {
            accounts.insert(self.accounts.now(self.keys.at(*place).account));
            match self.readiness(*place, &plan.class, now) {
                Readiness::Ready => pool.serves = true,
                // Whether it can is what a probe is to find out.
                Readiness::Probe => {}
                Readiness::Resting { ready, .. } => {
                    pool.ready = pool.ready.into_iter().chain(ready).min();
                }
            }
        }
        let windows = accounts.iter().flat_map(|account| self.accounts.get(*account).windows().iter());
        let counting: Vec<&Window> = windows.filter(|window| window.about.bears_on(&plan.class)).collect();
        let names: BTreeSet<WindowName> = counting.iter().map(|window| window.name).collect();
        let of = |name: WindowName| counting.iter().copied().filter(move |window| window.name == name);
        pool.windows = names.into_iter().map(|name| PoolWindow::of(name, of(name), now)).collect();
        Some(pool)
    }
}

impl Pool {
    /// What is known of a window.
    pub fn window(&self, name: WindowName) -> Option<&PoolWindow> {
        self.windows.iter().find(|window| window.name == name)
    }
}

impl PoolWindow {
    fn of<'a>(name: WindowName, all: impl Iterator<Item = &'a Window> + Clone, now: Time) -> Self {
        let shares = all.clone().filter_map(|window| window.used(now));
        let (sum, count) = shares
            .fold((0, 0), |(sum, count), share| (sum + u64::from(share.min(Share::WHOLE).0), count + 1));
        let used = u64::checked_div(sum, count).and_then(|mean| u32::try_from(mean).ok()).map(Share);
        let first = |windows: &mut dyn Iterator<Item = &'a Window>| {
            windows.filter(|window| window.is_current(now)).filter_map(Window::reset).min()
        };
        let spent = all.clone().filter(|window| window.is_spent(now));
        let reset = first(&mut spent.clone()).or_else(|| first(&mut all.clone()));
        Self { name, used, reset, is_spent: spent.count() == all.count() }
    }
}
