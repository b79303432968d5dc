//! In which order the clients of one line take turns: by the tokens that each is given, not by how often it asks.
//!
//! Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996), of each line by itself: a turn begins where the last one
//! of its client ends, or where the line is by now, if that is later. So whoever comes to a line that another has filled is
//! next, and of two who always wait each is given as many tokens as the other. Who waits nowhere saves nothing up.

use std::collections::BTreeMap;

use crate::fleet::ClientId;

/// So many clients are remembered for sure; of more, those who have had no more than their due.
const MOST: usize = 1_000;

/// How far the clients of one line are, in tokens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns {
    /// Where the line is: where the last turn began that has come.
    now: u64,
    clients: BTreeMap<ClientId, Share>,
}

/// What one client has had.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    /// Where its last turn ends.
    end: u64,
    /// What its turns were longer than what they were used for. It makes later ones shorter, for the earlier ones are given
    /// out: among the calls of one client, those that came first come first.
    over: u64,
}

impl Turns {
    /// Where a turn of that client would begin.
    pub(crate) fn next(&self, client: ClientId) -> u64 {
        self.clients.get(&client).map_or(0, |share| share.end).max(self.now)
    }

    /// That client takes a turn for so many tokens. Where it begins.
    pub(crate) fn take(&mut self, client: ClientId, tokens: u64) -> u64 {
        let now = self.now;
        if self.clients.len() >= MOST {
            self.clients.retain(|_, share| share.end > now);
        }
        let share = self.clients.entry(client).or_default();
        if share.end < now {
            *share = Share { end: now, over: 0 };
        }
        let begin = share.end;
        let over = share.over.min(tokens);
        share.over -= over;
        share.end = begin.saturating_add(tokens - over);
        begin
    }

    /// A turn has come that begins there.
    pub(crate) fn reach(&mut self, begin: u64) {
        self.now = self.now.max(begin);
    }

    /// What was taken to be so many tokens turned out to be so many.
    pub(crate) fn settle(&mut self, client: ClientId, taken: u64, used: u64) {
        if let Some(share) = self.clients.get_mut(&client) {
            let over = share.over.saturating_add(taken);
            share.over = over.saturating_sub(used);
            share.end = share.end.saturating_add(used.saturating_sub(over));
        }
    }

    /// Those of another line come to this one.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.now = self.now.max(other.now);
        for (client, theirs) in other.clients {
            let ours = self.clients.entry(client).or_default();
            *ours = Share { end: ours.end.max(theirs.end), over: ours.over.saturating_add(theirs.over) };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: ClientId = ClientId::from_bits(1);
    const B: ClientId = ClientId::from_bits(2);

    #[test]
    fn whoever_comes_to_a_line_that_another_has_filled_is_next() {
        let mut turns = Turns::default();
        assert_eq!([turns.take(A, 10), turns.take(A, 10), turns.take(A, 10)], [0, 10, 20]);
        turns.reach(10);
        assert_eq!(turns.next(B), 10, "what is past is not made up for");
        assert_eq!([turns.take(B, 100), turns.take(B, 1)], [10, 110]);
        assert_eq!(turns.next(A), 30);
    }

    #[test]
    fn what_was_not_used_makes_later_turns_shorter_and_what_was_used_beyond_puts_them_off() {
        let mut turns = Turns::default();
        assert_eq!([turns.take(A, 10), turns.take(A, 10)], [0, 10]);
        turns.settle(A, 10, 4);
        assert_eq!([turns.take(A, 10), turns.next(A)], [20, 24], "six of its ten were paid for already");
        turns.settle(A, 10, 15);
        assert_eq!(turns.next(A), 29);
        turns.settle(A, 10, 0);
        turns.settle(A, 10, 30);
        assert_eq!(turns.next(A), 39);
        turns.settle(B, 10, 30);
        assert_eq!(turns.next(B), 0, "nobody knows him here");
    }

    #[test]
    fn who_waits_nowhere_saves_nothing_up() {
        let mut turns = Turns::default();
        turns.take(A, 10);
        turns.settle(A, 10, 0);
        turns.take(B, 50);
        turns.reach(turns.next(B));
        assert_eq!(turns.take(A, 10), 50);
        assert_eq!(turns.next(A), 60, "what it had over is forgotten");
    }

    #[test]
    fn many_clients_take_no_more_memory_than_some() {
        let mut turns = Turns::default();
        for client in 0..10_000 {
            let begin = turns.take(ClientId::from_bits(client), 1);
            turns.reach(begin + 1);
        }
        assert!(turns.clients.len() <= MOST);
    }

    #[test]
    fn of_many_clients_those_are_remembered_who_have_had_more_than_their_due() {
        let mut turns = Turns::default();
        for client in 0..1_500 {
            assert_eq!(turns.take(ClientId::from_bits(client), 1), 0);
        }
        assert_eq!(turns.clients.len(), 1_500, "nobody's turn has come");
        turns.reach(1);
        turns.take(A, 1);
        assert_eq!(turns.clients.len(), 1, "all have had one token, as the line has");
    }

    #[test]
    fn who_comes_in_time_keeps_what_he_has_over() {
        let mut turns = Turns::default();
        turns.take(A, 10);
        turns.settle(A, 10, 4);
        turns.reach(10);
        assert_eq!((turns.take(A, 10), turns.next(A)), (10, 14));
    }

    proptest! {
        /// Of two who always wait each is given as much as the other, but for the largest call of each.
        #[test]
        fn who_always_waits_is_given_as_many_tokens_as_anybody(
            sizes in proptest::collection::vec((1_u64..1_000, 1_u64..1_000), 1..200),
        ) {
            let mut turns = Turns::default();
            let (mut of, mut waiting) = ([sizes.iter().map(|(a, _)| *a).collect::<Vec<_>>(), sizes.iter().map(|(_, b)| *b).collect()], Vec::new());
            for (client, sizes) in of.iter_mut().enumerate() {
                for tokens in sizes.drain(..) {
                    waiting.push((turns.take(ClientId::from_bits(client as u64), tokens), client, tokens));
                }
            }
            waiting.sort_by_key(|(begin, ..)| *begin);
            let mut given = [0_u64; 2];
            let mut left = [sizes.len(), sizes.len()];
            for (begin, client, tokens) in waiting {
                turns.reach(begin);
                given[client] += tokens;
                left[client] -= 1;
                if left.iter().all(|left| *left > 0) {
                    prop_assert!(given[0].abs_diff(given[1]) < 2_000, "{given:?}");
                }
            }
        }
    }
}
