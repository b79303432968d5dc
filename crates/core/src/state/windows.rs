//! What is learned of the windows of subscriptions, and what follows when one is used up.

use crate::fleet::{Class, KeyId};
use crate::plan::Lease;
use crate::quota::{Quota, Unified, UnifiedStatus};
use crate::time::Time;
use crate::window::{Window, WindowName};

use super::State;

impl State {
    /// What an answer tells of the windows of its account. What was said of a key that was renewed meanwhile was said of
    /// another.
    ///
    /// A window that is used up and does not count for the class of this call is heard of here only: the account rests
    /// for the models that it is about, unless what goes beyond is paid for. Of those that count for it, the answer
    /// itself shows what they are worth.
    pub(super) fn note_windows(&mut self, lease: &Lease, quota: &Quota, now: Time) {
        let Some(unified) = quota.unified.as_ref().filter(|unified| !unified.windows.is_empty()) else {
            return;
        };
        let Some(standing) = lease.key.and_then(|key| self.keys.get(key)) else { return };
        if self.is_outdated(lease) {
            return;
        }
        let account = self.accounts.get_mut(standing.account);
        for told in &unified.windows {
            account.windows_mut().learn(told, &lease.class, lease.since, now);
        }
        if unified.has_overage() {
            return;
        }
        let windows = account.windows.iter().flat_map(|windows| windows.current(now));
        for window in windows.filter(|window| window.is_rejected()) {
            let Window { name, about, .. } = window;
            if !about.bears_on(&lease.class) && !account.rests.has_used_up(*name, about, now) {
                account.rests.use_up(*name, about, window.ends(), now);
            }
        }
    }

    /// A key was refused for want of capacity. If its answer said that windows are used up, the account rests for
    /// all that these count, until they are reset. With that which lasts longest.
    pub(super) fn use_up_windows(
        &mut self,
        key: KeyId,
        class: &Class,
        now: Time,
    ) -> Option<(WindowName, Time)> {
        if !self.quotas.get(&key).and_then(|quota| quota.unified.as_ref()).is_some_and(Unified::refuses) {
            return None;
        }
        let account = self.accounts.get_mut(self.keys.get(key)?.account);
        let windows = account.windows.iter().flat_map(|windows| windows.current(now));
        let spent = windows.filter(|window| window.is_rejected());
        let mut longest = None;
        for window in spent.filter(|window| window.about.bears_on(class)) {
            let until = account.rests.use_up(window.name, &window.about, window.ends(), now);
            longest = longest.max(Some((until, window.name)));
        }
        longest.map(|(until, name)| (name, until))
    }
}

impl Unified {
    /// Does it say why it refused?
    pub(crate) fn refuses(&self) -> bool {
        self.is_rejected() && !self.overage_in_use
    }
}

impl Window {
    fn is_rejected(&self) -> bool {
        self.status == Some(UnifiedStatus::Rejected)
    }
}
