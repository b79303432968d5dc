//! Agents at work: sessions, each with subagents. Each turn says the whole history again, which is in the provider's
//! cache if the conversation was there a short while ago.

use std::time::Duration;

use super::{Arrival, BYTES_A_TOKEN, Kind, PATIENCE, Shared, Workload};
use crate::dice::Dice;

/// How conversations go on by themselves: after an answer comes a pause, then the next turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Agents {
    /// How many conversations there are at once.
    pub count: u64,
    /// Turns of each.
    pub turns: u32,
    /// Tokens that each turn adds to the prompt.
    pub grows: u64,
    /// From an answer to the next turn, on average.
    pub pause: Duration,
    /// What follows the last turn.
    pub then: Then,
}

/// What follows the last turn of a conversation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Then {
    /// Nothing.
    Ends,
    /// A new conversation, which begins as the old one did.
    Anew,
}

/// What agents of one make are like.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its name.
    pub name: &'static str,
    /// Subagents that work beside each session.
    pub subagents: u64,
    /// The first turn of a session.
    pub turn: Kind,
    /// The first turn of a subagent.
    pub subturn: Kind,
    /// Tools and system prompt of a session, in tokens.
    pub prefix: u64,
    /// The same of a subagent.
    pub subprefix: u64,
    /// `max_tokens` of its calls.
    pub max_tokens: u64,
    /// How conversations go on.
    pub agents: Agents,
}

/// Claude Code 2.1, as it was watched in November 2026: tools and system prompt are 39 KB of a first body of 49 KB,
/// subagents have eight of its twelve tools, three of them run at once beside the session that started them, and
/// `max_tokens` is 128,000. How far a session has come when one looks at it, how much a turn adds and how long it
/// takes differs from task to task: here a first prompt has 20,000 tokens, a turn adds 1,500 and takes 300 tokens of
/// output at 60 a second, with its head after two seconds and a pause of eight, and a conversation has sixty turns.
pub const CLAUDE_CODE: Profile = Profile {
    name: "claude-code",
    subagents: 3,
    turn: Kind { name: "turn", ..TURN },
    subturn: Kind { name: "subagent's turn", ..TURN },
    prefix: 10_000,
    subprefix: 7_000,
    max_tokens: 128_000,
    agents: Agents { count: 0, turns: 60, grows: 1_500, pause: Duration::from_secs(8), then: Then::Anew },
};

const TURN: Kind = Kind {
    name: "turn",
    share: 1,
    input: 20_000,
    output: 300,
    pace: Some(60),
    latency: Duration::from_secs(2),
};

/// Sessions and their subagents begin within this time: nobody starts all at once.
const BEGIN_WITHIN: Duration = Duration::from_mins(5);

impl Agents {
    /// Conversations of one kind, whose first turns are spread over that time.
    pub fn workload(&self, kind: &Kind, over: Duration, mut dice: Dice) -> Workload {
        let nanos = u64::try_from(over.as_nanos()).unwrap_or(u64::MAX);
        let first = |conversation| {
            let after = Duration::from_nanos(dice.below(nanos));
            Arrival { conversation: Some(conversation), fresh: 0, ..kind.arrival(0, after) }
        };
        Workload {
            name: several(self.count, "conversation"),
            models: vec![super::ANY_MODEL.to_owned()],
            kinds: vec![kind.name.to_owned()],
            arrivals: (0..self.count).map(first).collect(),
            agents: Some(*self),
            lasts: Duration::MAX,
            patience: PATIENCE,
        }
    }

    /// The turn after that one, and the pause before it.
    pub(crate) fn next(&self, turn: &Arrival, seed: u64) -> Option<(Duration, Arrival)> {
        let conversation = turn.conversation?;
        // Chance that does not depend on what became of others: so that two runs differ by what is changed alone.
        let chance = Dice::seeded(seed ^ conversation.wrapping_mul(0xff51_afd7_ed55_8ccd)).skip(turn.turn);
        let pause = chance.clone().pause(self.pause);
        let said = self.grows * u64::from(turn.turn);
        let longer = |prompt: u64| Arrival { prompt, bytes: prompt * BYTES_A_TOKEN, ..*turn };
        let next = match self.then {
            _ if turn.turn + 1 < self.turns => {
                Arrival { turn: turn.turn + 1, ..longer(turn.prompt + self.grows) }
            }
            Then::Ends => return None,
            Then::Anew => {
                let conversation = Some(conversation + self.count);
                Arrival { turn: 0, conversation, ..longer(turn.prompt - said) }
            }
        };
        Some((pause, next))
    }
}

impl Profile {
    /// So many sessions with their subagents, at work for so long with that model.
    pub fn workload(&self, sessions: u64, model: &str, lasts: Duration, mut dice: Dice) -> Workload {
        let each = self.subagents + 1;
        let agents = Agents { count: sessions * each, ..self.agents };
        let within = u64::try_from(BEGIN_WITHIN.min(lasts / 2).as_nanos()).unwrap_or(u64::MAX);
        let first = |conversation: u64| {
            let after = Duration::from_nanos(dice.below(within));
            let session = conversation.is_multiple_of(each);
            let (kind, of, tokens) =
                if session { (0, &self.turn, self.prefix) } else { (1, &self.subturn, self.subprefix) };
            Arrival {
                conversation: Some(conversation),
                fresh: 0,
                prefix: Some(Shared { number: kind as u64, tokens }),
                background: !session,
                max_tokens: Some(self.max_tokens),
                ..of.arrival(kind, after)
            }
        };
        Workload {
            name: format!(
                "{} of {}, each with {}",
                several(sessions, "session"),
                self.name,
                several(self.subagents, "subagent")
            ),
            models: vec![model.to_owned()],
            kinds: vec![self.turn.name.to_owned(), self.subturn.name.to_owned()],
            arrivals: (0..agents.count).map(first).collect(),
            agents: Some(agents),
            lasts,
            patience: PATIENCE,
        }
    }
}

/// So many of them, in words.
fn several(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_session_is_no_sessions() {
        let name =
            |sessions| CLAUDE_CODE.workload(sessions, "m", Duration::from_hours(1), Dice::seeded(1)).name;
        assert_eq!(name(1), "1 session of claude-code, each with 3 subagents");
        assert_eq!(name(2), "2 sessions of claude-code, each with 3 subagents");
    }

    #[test]
    fn a_conversation_grows_turn_by_turn_and_begins_anew() {
        let workload = CLAUDE_CODE.workload(2, "m", Duration::from_hours(1), Dice::seeded(1));
        assert_eq!(workload.arrivals.len(), 8);
        assert_eq!(workload.arrivals.iter().filter(|turn| turn.background).count(), 6);
        let agents = workload.agents.unwrap();
        let mut turn = workload.arrivals[4];
        for number in 1..60 {
            let (pause, next) = agents.next(&turn, 7).unwrap();
            assert_eq!((next.turn, next.prompt, next.conversation), (number, turn.prompt + 1_500, Some(4)));
            assert_eq!(agents.next(&turn, 7), Some((pause, next)), "it is the same each time");
            turn = next;
        }
        let (_, anew) = agents.next(&turn, 7).unwrap();
        assert_eq!((anew.turn, anew.prompt, anew.conversation), (0, 20_000, Some(12)));
        assert_eq!(anew.bytes, 80_000);
        let ends = Agents { then: Then::Ends, ..agents };
        assert_eq!(ends.next(&turn, 7), None);
    }
}
