//! What a relay does that takes keys in turn: it sends each call at once to the next one, and to the one behind it if
//! that refuses. It keeps no books, and does not know where anything is cached: the measure for what that is worth.

use relay_core::{Exhausted, KeyId};

use super::World;
use crate::upstream::Refused;

impl World<'_> {
    pub(super) fn take_turn(&mut self, number: usize) {
        let Some(call) = self.calls.get(&number) else { return };
        let model = &self.setting.workload.models[call.asked.model];
        let fleet = &self.setting.estate.fleet;
        let owner = fleet.ownership.owner(model);
        let owners = fleet.providers.iter().filter(|provider| owner.is_none_or(|owner| owner == provider.id));
        let keys: Vec<KeyId> = owners.flat_map(|provider| &provider.keys).map(|key| key.id).collect();
        let first = self.turns;
        self.turns += 1;
        let mut soonest = None;
        for place in first..first + keys.len() {
            match self.request(number, keys[place % keys.len()]) {
                Ok(()) => return,
                Err(Refused { wait, .. }) => {
                    soonest = Some(soonest.map_or(wait, |soonest| wait.min(soonest)));
                }
            }
        }
        if let Some(call) = self.calls.get_mut(&number) {
            call.said = soonest;
        }
        self.refuse(number, Exhausted::Words);
    }
}
