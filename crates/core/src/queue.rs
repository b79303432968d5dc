//! Who waits for a key, and until when.

use std::collections::BTreeMap;

use crate::time::Time;

/// A place in the queue. Made only by [`crate::State::ask`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(u64);

/// Whose turn has come, and when to look again.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Woken {
    /// These may ask again, in this order.
    pub tickets: Vec<Ticket>,
    /// When the next one's moment comes.
    pub next: Option<Time>,
}

/// Everyone who waits, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    waiting: BTreeMap<Ticket, Time>,
    issued: u64,
}

impl Queue {
    /// A place in the queue until that moment.
    pub(crate) fn join(&mut self, until: Time) -> Ticket {
        self.issued += 1;
        let ticket = Ticket(self.issued);
        self.waiting.insert(ticket, until);
        ticket
    }

    /// Gives a place up.
    pub(crate) fn leave(&mut self, ticket: Ticket) {
        self.waiting.remove(&ticket);
    }

    /// Something became ready earlier than was foretold: all who wait may look again.
    pub(crate) fn stir(&mut self) {
        self.waiting.values_mut().for_each(|until| *until = Time::EPOCH);
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Those whose moment has come leave the queue.
    pub(crate) fn wake(&mut self, now: Time) -> Woken {
        let mut tickets = Vec::new();
        self.waiting.retain(|ticket, until| {
            let due = *until <= now;
            if due {
                tickets.push(*ticket);
            }
            !due
        });
        Woken { tickets, next: self.waiting.values().min().copied() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_due_are_woken_in_the_order_in_which_they_came() {
        let at = |seconds| Time::from_epoch(Duration::from_secs(seconds));
        let mut queue = Queue::default();
        let late = queue.join(at(9));
        let first = queue.join(at(5));
        let second = queue.join(at(3));
        assert_eq!(queue.wake(at(2)), Woken { tickets: vec![], next: Some(at(3)) });
        assert_eq!(queue.wake(at(5)), Woken { tickets: vec![first, second], next: Some(at(9)) });
        queue.stir();
        assert_eq!(queue.wake(at(5)), Woken { tickets: vec![late], next: None });
        queue.stir();
        let gone = queue.join(at(6));
        assert_eq!(queue.wake(at(5)), Woken { tickets: vec![], next: Some(at(6)) }, "it came after the stir");
        queue.leave(gone);
        assert_eq!(queue.wake(at(7)), Woken::default());
        assert_eq!(queue.len(), 0);
    }
}
