//! What a call needs of all that is counted, and what several need together.

use crate::flow::{Flow, Flows};
use crate::limits::{Counted, N_COUNTED};

/// What one call needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Needs {
    flows: [Flow; N_COUNTED],
    reserved: Reserved,
}

/// How an answer counts against a limit that is of all tokens together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Reserved {
    /// So much more than one does each of its tokens count.
    extra: u64,
    /// So much is held back in any case, for it may be as long; less what has been produced.
    most: u64,
    /// What is read from a cache is held back until that is known.
    cached: u64,
}

/// What several calls need together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Backlog {
    /// So many calls. Most often there are none, and then there is no need to look at what they need.
    pub(super) n_calls: u32,
    pub(super) flows: [Flows; N_COUNTED],
}

impl Needs {
    /// One request, and tokens.
    pub(crate) const fn of(input: u64, output: Flow) -> Self {
        let tokens = Flow::at_once(input.saturating_add(output.units));
        let flows = [Flow::at_once(1), Flow::at_once(input), output, tokens];
        Self { flows, reserved: Reserved { extra: 0, most: 0, cached: 0 } }
    }

    /// The same, of somebody who counts each token of an answer `weight` times against a limit of all tokens together, and
    /// until it has ended as if it were as long as it may be; and of a prompt of `prompt` tokens, until he has read it,
    /// also what is cached of it.
    pub(crate) fn reserving(mut self, weight: u64, most: u64, prompt: u64) -> Self {
        let cached = prompt.saturating_sub(self.get(Counted::Input).units);
        self.reserved = Reserved { extra: weight.saturating_sub(1), most, cached };
        self.set(Counted::Output, self.get(Counted::Output));
        self
    }

    /// What so many units of something count against a limit of all tokens together.
    pub(crate) const fn weighed(&self, counted: Counted, units: u64) -> u64 {
        match counted {
            Counted::Requests => 0,
            Counted::Input | Counted::Tokens => units,
            Counted::Output => units.saturating_add(units.saturating_mul(self.reserved.extra)),
        }
    }

    /// So much of what is reserved has been taken, in units of a limit of all tokens together.
    pub(crate) const fn reserve_less(&mut self, counted: Counted, weighed: u64) {
        match counted {
            Counted::Input => self.reserved.cached = 0,
            Counted::Output => self.reserved.most = self.reserved.most.saturating_sub(weighed),
            Counted::Requests | Counted::Tokens => {}
        }
    }

    /// The same, with so much input.
    pub(crate) fn with_input(mut self, input: u64) -> Self {
        self.set(Counted::Input, Flow::at_once(input));
        self
    }

    /// Is nothing counted?
    pub(crate) fn is_nothing(&self) -> bool {
        self.flows.iter().all(|flow| flow.units == 0)
    }

    pub(crate) const fn get(&self, counted: Counted) -> Flow {
        self.flows[counted as usize]
    }

    /// Of input and output together.
    pub(crate) const fn tokens(&self) -> u64 {
        self.get(Counted::Tokens).units
    }

    /// Of one kind of tokens: those of both kinds follow.
    pub(crate) const fn set(&mut self, counted: Counted, flow: Flow) {
        self.flows[counted as usize] = flow;
        let input = self.get(Counted::Input).units.saturating_add(self.reserved.cached);
        // An answer is held back whole: where one limit is for both, too much is better than too little.
        let output = self.weighed(Counted::Output, self.get(Counted::Output).units);
        let output = if output < self.reserved.most { self.reserved.most } else { output };
        self.flows[Counted::Tokens as usize] = Flow::at_once(input.saturating_add(output));
    }
}

impl Backlog {
    pub(crate) const NONE: Self = Self { n_calls: 0, flows: [Flows::NONE; N_COUNTED] };

    /// What one needs.
    pub(crate) fn one(needs: &Needs) -> Self {
        Self { n_calls: 1, flows: needs.flows.map(Flows::of) }
    }

    /// Is it of nobody?
    pub(crate) const fn is_empty(&self) -> bool {
        self.n_calls == 0
    }

    pub(crate) const fn of(&self, counted: Counted) -> &Flows {
        if self.is_empty() { &Flows::NONE } else { &self.flows[counted as usize] }
    }

    pub(crate) fn add(&mut self, needs: &Needs) {
        self.n_calls += 1;
        self.flows.iter_mut().zip(needs.flows).for_each(|(flows, flow)| flows.add(flow));
    }

    pub(crate) fn remove(&mut self, needs: &Needs) {
        self.n_calls = self.n_calls.saturating_sub(1);
        self.flows.iter_mut().zip(needs.flows).for_each(|(flows, flow)| flows.remove(flow));
    }

    pub(crate) fn join(&mut self, others: &Self) {
        self.n_calls += others.n_calls;
        self.flows.iter_mut().zip(&others.flows).for_each(|(flows, others)| flows.join(others));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_wait_for_together_is_of_both_until_both_have_gone() {
        let needs = |input| Needs::of(input, Flow::at_once(1));
        let (mut ours, mut theirs) = (Backlog::NONE, Backlog::NONE);
        ours.add(&needs(10));
        theirs.add(&needs(200));
        theirs.add(&needs(3_000));
        ours.join(&theirs);
        assert_eq!(ours.of(Counted::Input).units(), 3_210);
        for (gone, left) in [(10, 3_200), (200, 3_000)] {
            ours.remove(&needs(gone));
            assert_eq!((ours.is_empty(), ours.of(Counted::Input).units()), (false, left));
        }
        ours.remove(&needs(3_000));
        assert!(ours.is_empty());
        assert_eq!(ours, Backlog::NONE);
    }
}
