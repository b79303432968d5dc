//! A recording becomes a workload: every call comes again with what it took, a turn of a conversation as long after
//! the end of the one before as it did.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Arrival, BYTES_A_TOKEN, PATIENCE, Shared, Workload};
use crate::recording::{Recorded, Recording};

/// A recording that can be played again.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Replay {
    /// What comes.
    pub workload: Workload,
    /// What does not.
    pub left: Left,
}

/// Recorded calls that are not played again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Left {
    /// They failed, and not for want of room.
    pub failed: u64,
    /// They were refused for want of room, and tried again by their client: that counts as one call.
    pub retried: u64,
}

/// Who a call is of: a session with an agent of it.
type Speaker = (u64, Option<u64>);

/// Calls that were answered and said what they used, by model and length of body: what is not known of others is what
/// those were that are most like them.
#[derive(Default)]
struct Answered<'a>(BTreeMap<&'a str, Vec<&'a Recorded>>);

/// Of so many that are much alike, each is taken in turn: they differ in their answers.
const ALIKE: usize = 16;

impl<'a> Answered<'a> {
    fn of(demands: &[Demand<'a>]) -> Self {
        let mut answered = Self::default();
        for Demand { call, .. } in demands.iter().filter(|it| is_served(it.call) && prompt(it.call) > 0) {
            answered.0.entry(&call.model).or_default().push(call);
        }
        for calls in answered.0.values_mut() {
            calls.sort_by_key(|call| call.bytes);
        }
        answered
    }

    /// One that is like that call: the `nth` that is asked for.
    fn like(&self, call: &Recorded, nth: usize) -> Option<&'a Recorded> {
        let calls = self.0.get(call.model.as_str())?;
        let place = calls.partition_point(|known| known.bytes < call.bytes);
        let first = place.saturating_sub(ALIKE / 2).min(calls.len().saturating_sub(ALIKE));
        let near = &calls[first..calls.len().min(first + ALIKE)];
        // Those that differ in length by a quarter are not alike, if there are others.
        let is_alike = |known: &&&Recorded| known.bytes.abs_diff(call.bytes) <= call.bytes / 4;
        let alike = near.iter().filter(is_alike).count();
        if alike == 0 {
            return near.iter().min_by_key(|known| known.bytes.abs_diff(call.bytes)).copied();
        }
        near.iter().filter(is_alike).nth(nth % alike).copied()
    }
}

/// A call that will be played.
struct Demand<'a> {
    call: &'a Recorded,
    came: u64,
}

impl Replay {
    /// Plays a recording again.
    pub fn of(recording: &Recording, name: &str) -> Self {
        let mut left = Left::default();
        let demands = demands(recording, &mut left);
        let mut replay = Self { left, ..Self::default() };
        let impatient = left.retried == 0 && demands.iter().any(|demand| is_refused(demand.call));
        let answered = Answered::of(&demands);
        let prefixes = prefixes(demands.iter().map(|demand| demand.call).filter(|call| is_served(call)));
        let begin = demands.first().map_or(0, |demand| demand.came);
        let mut last: BTreeMap<Speaker, (usize, u64, u32)> = BTreeMap::new();
        let mut long: BTreeMap<Speaker, bool> = BTreeMap::new();
        let mut models: Vec<String> = Vec::new();
        let mut arrivals: Vec<Arrival> = Vec::new();
        for Demand { call, came } in demands {
            let model = models.iter().position(|known| *known == call.model).unwrap_or_else(|| {
                models.push(call.model.clone());
                models.len() - 1
            });
            let mut arrival = arrival(call, model, &prefixes);
            if prompt(call) == 0 {
                guess(&mut arrival, call, answered.like(call, arrivals.len()));
            }
            settle(&mut arrival, call);
            arrival.after = Duration::from_micros(came - begin);
            if let Some(speaker) = speaker(call) {
                // Who wrote nothing says nothing of it: what he read lives as long as before.
                let lives = long.entry(speaker).or_default();
                *lives = if call.cache_write > 0 { arrival.long } else { *lives };
                arrival.long = *lives;
                let before = last.get(&speaker).copied();
                if let Some((place, ended, turn)) = before {
                    arrival.turn = turn + 1;
                    if let Some(pause) = came.checked_sub(ended) {
                        (arrival.behind, arrival.after) = (Some(place), Duration::from_micros(pause));
                    }
                }
                last.insert(speaker, (arrivals.len(), call.at + call.duration, arrival.turn));
            }
            arrivals.push(arrival);
            replay.workload.lasts = Duration::from_micros(came - begin);
        }
        // Where nobody was refused, clients are taken to be like most.
        let patience = if impatient { Duration::ZERO } else { PATIENCE };
        let kinds = vec!["call".to_owned(), "subagent's call".to_owned()];
        let name = name.to_owned();
        replay.workload = Workload { name, models, kinds, arrivals, patience, ..replay.workload };
        replay
    }
}

/// Who a call is of, if its client says so.
fn speaker(call: &Recorded) -> Option<Speaker> {
    call.session.map(|session| (session, call.agent))
}

/// Was it answered?
fn is_served(call: &Recorded) -> bool {
    (200..300).contains(&call.status) && (call.end == "whole" || prompt(call) > 0)
}

/// Was it refused because there was no room? Who had waited for long was told so in the first event of a stream.
fn is_refused(call: &Recorded) -> bool {
    let late = call.status == 200 && call.end == "error" && prompt(call) == 0;
    late || matches!(call.status, 429 | 503 | 529)
}

/// What was wanted, in the order in which it was: what was refused and tried again counts once, from when it came
/// first.
fn demands<'a>(recording: &'a Recording, left: &mut Left) -> Vec<Demand<'a>> {
    let mut refused: BTreeMap<(Speaker, u64), u64> = BTreeMap::new();
    let mut open: BTreeMap<(Speaker, u64), &Recorded> = BTreeMap::new();
    let mut demands = Vec::new();
    for call in &recording.calls {
        let again = speaker(call).map(|speaker| (speaker, call.bytes));
        if is_refused(call) {
            let Some(again) = again else {
                demands.push(Demand { call, came: call.at });
                continue;
            };
            if open.insert(again, call).is_some() {
                left.retried += 1;
            }
            refused.entry(again).or_insert(call.at);
        } else if is_served(call) {
            let came = again.and_then(|again| refused.remove(&again));
            if let Some(again) = again
                && open.remove(&again).is_some()
            {
                left.retried += 1;
            }
            demands.push(Demand { call, came: came.unwrap_or(call.at) });
        } else {
            left.failed += 1;
        }
    }
    // Nobody tried these again, or nobody answered when they did.
    demands.extend(open.iter().map(|(again, call)| Demand { call, came: refused[again] }));
    demands.sort_by_key(|demand| demand.came);
    demands
}

/// How many tokens each beginning has: what the first turns of conversations could read of it.
fn prefixes<'a>(served: impl Iterator<Item = &'a Recorded>) -> BTreeMap<u64, u64> {
    let mut prefixes = BTreeMap::new();
    let mut spoken = std::collections::BTreeSet::new();
    for call in served {
        let first = speaker(call).is_none_or(|speaker| spoken.insert(speaker));
        if let Some(prefix) = call.prefix.filter(|_| first) {
            let tokens = prefixes.entry(prefix).or_default();
            *tokens = call.cache_read.max(*tokens);
        }
    }
    prefixes
}

fn prompt(call: &Recorded) -> u64 {
    call.input.saturating_add(call.cache_write).saturating_add(call.cache_read)
}

/// From its arrival to when its answer began.
fn answered(call: &Recorded) -> u64 {
    call.answered.or(call.first_byte).unwrap_or(call.duration)
}

/// From when it was sent to when its answer began.
fn latency(call: &Recorded) -> Duration {
    Duration::from_micros(answered(call).saturating_sub(call.sent.unwrap_or(call.waited)))
}

fn arrival(call: &Recorded, model: usize, prefixes: &BTreeMap<u64, u64>) -> Arrival {
    let prefix =
        call.prefix.map(|number| Shared { number, tokens: prefixes.get(&number).copied().unwrap_or(0) });
    Arrival {
        after: Duration::ZERO,
        behind: None,
        kind: usize::from(call.background),
        model,
        conversation: conversation(call, model),
        turn: 0,
        prefix,
        background: call.background,
        max_tokens: call.max_tokens,
        bytes: call.bytes,
        prompt: prompt(call),
        fresh: call.input,
        long: is_long(call),
        output: call.output,
        pace: pace(call),
        latency: latency(call),
    }
}

/// Is most of what it wrote cached for an hour?
const fn is_long(call: &Recorded) -> bool {
    call.cache_write_long > call.cache_write / 2
}

/// Nobody knows what a call took, or would have taken: as much as one that is like it.
fn guess(arrival: &mut Arrival, call: &Recorded, like: Option<&Recorded>) {
    (arrival.prompt, arrival.fresh) = (call.bytes / BYTES_A_TOKEN, 0);
    if let Some(like) = like {
        arrival.prompt = scale(call.bytes, prompt(like), like.bytes);
        arrival.output = arrival.output.max(like.output);
        if !is_served(call) {
            (arrival.latency, arrival.pace) = (latency(like), pace(like).filter(|_| call.stream));
        }
    }
}

/// Calls that name no session and begin alike are one conversation, of which no more than the beginning is cached.
fn settle(arrival: &mut Arrival, call: &Recorded) {
    if call.session.is_none() {
        let shared = arrival.prefix.map_or(0, |prefix| prefix.tokens);
        arrival.fresh = arrival.fresh.max(arrival.prompt.saturating_sub(shared));
    }
}

/// `value` times `part` of `whole`.
fn scale(value: u64, part: u64, whole: u64) -> u64 {
    let scaled = u128::from(value) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// As the relay tells conversations apart: by session, agent and model, and without a session by how they begin.
fn conversation(call: &Recorded, model: usize) -> Option<u64> {
    let mixed = |one: u64, other: u64| one.rotate_left(17) ^ other.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let of = match call.session {
        Some(session) => mixed(session, call.agent.map_or(0, |agent| agent | 1)),
        None => mixed(call.prefix?, 2),
    };
    Some(mixed(of, model as u64))
}

/// Output tokens a second, if they did not come at once.
fn pace(call: &Recorded) -> Option<u64> {
    // Faster than this is at once.
    const AT_ONCE: u64 = 1_000_000;
    let flowed = call.duration.saturating_sub(answered(call));
    let flows = call.stream && flowed > 0 && call.output > 0;
    let pace = flows.then(|| scale(1_000_000, call.output, flowed).max(1));
    pace.filter(|pace| *pace < AT_ONCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn call(at: u64, session: u64, status: u16) -> Recorded {
        Recorded {
            at: at * SECOND,
            session: Some(session),
            model: "m".to_owned(),
            bytes: 400 + at,
            stream: true,
            end: "whole".to_owned(),
            status,
            input: 10,
            cache_write: 20,
            cache_read: 70,
            output: 60,
            waited: SECOND / 2,
            sent: Some(SECOND / 2),
            answered: Some(SECOND),
            first_byte: Some(SECOND / 4),
            duration: 3 * SECOND,
            ..Recorded::default()
        }
    }

    fn replay(calls: Vec<Recorded>) -> Replay {
        Replay::of(&Recording { calls, ..Recording::default() }, "it")
    }

    #[test]
    fn a_turn_comes_as_long_after_the_one_before_as_it_did() {
        let Replay { workload, left } =
            replay(vec![call(5, 1, 200), call(6, 2, 200), call(7, 1, 200), call(12, 1, 200)]);
        assert_eq!(left, Left::default());
        let came: Vec<_> =
            workload.arrivals.iter().map(|it| (it.behind, it.after.as_secs(), it.turn)).collect();
        // The third came while the first was being answered.
        assert_eq!(came, [(None, 0, 0), (None, 1, 0), (None, 2, 1), (Some(2), 2, 2)]);
        let Arrival { prompt, fresh, output, pace, latency, .. } = workload.arrivals[0];
        assert_eq!((prompt, fresh, output, pace), (100, 10, 60, Some(30)));
        assert_eq!(latency, Duration::from_millis(500), "what it waited for its turn is not the provider's");
        assert_eq!(workload.lasts, Duration::from_secs(7));
    }

    #[test]
    fn what_was_cached_for_an_hour_is_so_when_it_is_played_again() {
        let written = |at, session, cache_write, cache_write_long| Recorded {
            cache_write,
            cache_write_long,
            ..call(at, session, 200)
        };
        let calls = vec![
            written(1, 1, 20, 20),
            written(2, 2, 20, 0),
            // Only reads, and goes on as before.
            written(5, 1, 0, 0),
            written(6, 2, 0, 0),
            written(9, 1, 20, 9),
            written(10, 2, 20, 11),
        ];
        let Replay { workload, .. } = replay(calls);
        let long: Vec<_> = workload.arrivals.iter().map(|it| it.long).collect();
        assert_eq!(long, [true, false, true, false, false, true]);
    }

    #[test]
    fn what_was_refused_and_tried_again_counts_once_and_what_failed_not_at_all() {
        let mut refused = call(2, 1, 429);
        (refused.input, refused.cache_write, refused.cache_read, refused.output) = (0, 0, 0, 0);
        let tried = Recorded { at: 3 * SECOND, ..refused.clone() };
        let served = Recorded { at: 9 * SECOND, bytes: refused.bytes, ..call(9, 1, 200) };
        let never = Recorded { session: Some(2), bytes: 818, ..refused.clone() };
        let Replay { workload, left } = replay(vec![refused, tried, never, call(4, 3, 400), served]);
        assert_eq!(left, Left { failed: 1, retried: 2 });
        let came: Vec<_> = workload.arrivals.iter().map(|it| (it.after.as_secs(), it.prompt)).collect();
        // Nobody knows how large the other one was: as its bytes are to those of the one that was answered.
        assert_eq!(came, [(0, 100), (0, 818 * 100 / 402)]);
    }

    /// One of a session that is refused, and how many tokens it is.
    fn refused(call: Recorded) -> Recorded {
        Recorded { status: 429, input: 0, cache_write: 0, cache_read: 0, output: 0, ..call }
    }

    /// The same after the head was sent.
    fn refused_late(call: Recorded) -> Recorded {
        Recorded { status: 200, end: "error".to_owned(), ..refused(call) }
    }

    #[test]
    fn who_was_never_seen_to_come_back_will_not_come_back() {
        let again = Recorded { at: 9 * SECOND, bytes: 402, ..call(9, 1, 200) };
        let table = [
            (vec![call(1, 1, 200)], PATIENCE),
            (vec![call(1, 1, 200), refused(call(2, 1, 0))], Duration::ZERO),
            (vec![call(1, 1, 200), refused_late(call(2, 1, 0))], Duration::ZERO),
            (vec![call(1, 1, 200), refused(call(2, 1, 0)), again], PATIENCE),
        ];
        for (calls, expect) in table {
            assert_eq!(replay(calls.clone()).workload.patience, expect, "{calls:#?}");
        }
    }

    #[test]
    fn what_was_refused_would_have_come_and_flowed_as_others_did() {
        let arrivals = replay(vec![call(1, 1, 200), refused_late(call(2, 2, 0))]).workload.arrivals;
        let of = |arrival: &Arrival| (arrival.output, arrival.pace, arrival.latency);
        assert_eq!(of(&arrivals[1]), of(&arrivals[0]));
        let alone = replay(vec![refused_late(call(2, 2, 0))]).workload.arrivals;
        assert_eq!((alone[0].output, alone[0].pace), (0, None));
    }

    #[test]
    fn what_is_not_known_of_a_call_is_what_calls_of_its_length_were() {
        let of = |at: u64, bytes: u64, output: u64| Recorded { bytes, output, ..call(at, at, 200) };
        let mut calls: Vec<Recorded> = (0..40).map(|at| of(at, 1_000 + at, 10 + at % 2)).collect();
        calls.extend((40..50).map(|at| of(at, 50_000, 900)));
        let unknown = |at: u64, bytes: u64| Recorded { bytes, ..refused(call(at, at, 0)) };
        calls.extend([unknown(60, 1_020), unknown(61, 1_020), unknown(62, 52_000), unknown(63, 9_000_000)]);
        let arrivals = replay(calls).workload.arrivals;
        let guessed: Vec<_> = arrivals[50..].iter().map(|it| it.output).collect();
        assert_eq!(guessed[..2].iter().sum::<u64>(), 21, "one of each: {guessed:?}");
        assert_eq!(guessed[2..], [900, 900], "the longest is most like those that are nearly as long");
    }

    #[test]
    fn an_answer_that_did_not_say_what_it_used_counts_as_much_as_others() {
        let silent = Recorded { input: 0, cache_write: 0, cache_read: 0, output: 0, ..call(2, 2, 200) };
        let Replay { workload, left } = replay(vec![call(1, 1, 200), silent.clone()]);
        assert_eq!(
            (left, workload.arrivals[1].prompt, workload.arrivals[1].output),
            (Left::default(), 100, 60)
        );
        // Where nothing is known at all, four bytes are a token.
        assert_eq!(replay(vec![silent]).workload.arrivals[0].prompt, 100);
    }

    #[test]
    fn the_beginning_of_a_prompt_has_what_a_first_turn_could_read() {
        let with = |call: Recorded| Recorded { prefix: Some(9), ..call };
        let warm = Recorded { cache_read: 50, ..call(2, 2, 200) };
        let calls =
            vec![with(Recorded { cache_read: 0, ..call(1, 1, 200) }), with(warm), with(call(3, 2, 200))];
        let prefixes: Vec<_> = replay(calls).workload.arrivals.iter().map(|it| it.prefix).collect();
        assert_eq!(prefixes, [Some(Shared { number: 9, tokens: 50 }); 3]);
    }

    #[test]
    fn who_says_no_session_shares_no_more_than_a_beginning() {
        let alone =
            Recorded { session: None, prefix: Some(9), cache_read: 40, cache_write: 50, ..call(1, 1, 200) };
        let replay = replay(vec![alone.clone(), alone]);
        let [one, other] = replay.workload.arrivals[..] else { unreachable!("there are two") };
        assert_eq!((one.conversation, one.behind, other.behind), (other.conversation, None, None));
        assert_eq!((one.prompt, one.fresh), (100, 60));
    }
}
