//! What a provider announces of limits when it is asked for them, apart from any call.

use crate::fleet::{Class, KeyId};
use crate::limits::Counted;
use crate::quota::Gauge;
use crate::time::Time;

use super::{Holder, State};

impl State {
    /// The provider says how many a minute the organization of a key has of something, or its workspace there; none
    /// where it says no more what it said before. Levels stay what they are known to be, and whoever waits looks again.
    /// False if there is no such key, and nothing was taken over.
    pub fn announce(
        &mut self,
        key: KeyId,
        holder: Holder,
        limits: &[(Class, Counted, Option<u64>)],
        now: Time,
    ) -> bool {
        let Some(place) = self.keys.place_of(key) else { return false };
        let (account, workspace) = (self.keys.at(place).account, self.keys.at(place).workspace);
        for (class, counted, per_minute) in limits {
            let class = self.classes.id(class);
            let held = match holder {
                Holder::Organization => self.accounts.get_mut(account),
                Holder::Workspace => self.workspaces.get_mut(workspace),
            };
            let limits = &mut held.domain_mut(class).limits;
            match per_minute {
                Some(_) => {
                    let gauge = Gauge { limit: *per_minute, ..Gauge::default() };
                    limits.learn(*counted, &gauge, None, (now, now));
                }
                None => limits.lift(*counted),
            }
        }
        self.queue.touch(self.accounts.now(account));
        true
    }
}
