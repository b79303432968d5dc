//! What `cc-relay plan` foresees from what the relay itself has recorded of a scene, beside what the clients saw. Refuses
//! to know how anything is foreseen.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use relay_core::Caps;
use relay_plan::{Estate, Recording, Replay, Setting, World, float};
use relay_sim::{Limit, Organization, Settings};

use crate::failure::Failure;
use crate::soak::pool::crowd::{Fate, Seen};
use crate::soak::pool::keys::{self, Limits, Wishes};

/// Where a relay records what it is asked.
pub(super) const RECORDING: &str = "calls.jsonl";

/// Calls that were served of the same that came.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Foresight {
    pub(super) foreseen: f64,
    pub(super) seen: f64,
}

impl Foresight {
    /// Plays a recording again, with the limits that the provider has.
    pub(super) fn of(recording: &Path, wishes: Wishes, seen: &[Seen]) -> Result<Self, Failure> {
        let file = File::open(recording).map_err(Failure::file("open", recording))?;
        let read = Recording::read(BufReader::new(file)).map_err(|error| Failure::Malformed {
            path: recording.display().to_string(),
            problem: error.to_string(),
        })?;
        let provider = Settings { organizations: keys::organizations(), ..Settings::default() };
        let mut estate =
            Estate::before(&provider, &|place| caps(&provider.organizations[place], wishes.limits));
        estate.fleet.max_wait = wishes.max_wait;
        let replay = Replay::of(&read, "what was recorded");
        let outcome = World::new(Setting::new(&estate, &replay.workload, 0)).play();
        let answered = |seen: &&Seen| matches!(seen.fate, Fate::Answered { .. });
        let answered = seen.iter().filter(answered).count();
        Ok(Self { foreseen: float(outcome.all().answered), seen: float(answered as u64) })
    }

    /// By how much it is off, as a part of what was seen.
    pub(super) fn error(self) -> f64 {
        (self.foreseen / self.seen - 1.0).abs()
    }
}

/// What the relay is told of the limits of a key.
fn caps(organization: &Organization, limits: Limits) -> Caps {
    let Limit { requests, input, output, .. } = organization.limit;
    match limits {
        Limits::Configured => Caps { requests, input, output, ..Caps::default() },
        Limits::Learned => Caps::default(),
    }
}
