//! What is held against keys is forgotten.

use crate::fleet::KeyId;
use crate::time::Time;

use super::State;

impl State {
    /// Everything held against a key is forgotten, and against the organization that it is known to be of: it was
    /// renewed, or an operator says so.
    pub fn pardon(&mut self, key: KeyId) {
        let Some(standing) = self.keys.get_mut(key) else { return };
        let (held, account) = (standing.pardon(), standing.account);
        let spent = self.accounts.get_mut(account).rests.clear();
        if held || spent {
            self.announce_back(key);
        }
    }

    /// An operator knows better than what answers and counts said: as [`State::pardon`], and what is owed to the limits of
    /// the key, of its organization and of its workspace is forgiven too. What they have left stays what it is.
    pub fn reset(&mut self, key: KeyId, now: Time) {
        self.pardon(key);
        let Some(standing) = self.keys.get_mut(key) else { return };
        standing.caps.forgive(now);
        let (account, workspace) = (standing.account, standing.workspace);
        self.accounts.get_mut(account).forgive(now);
        self.workspaces.get_mut(workspace).forgive(now);
        self.queue.touch(self.accounts.now(account));
    }
}
