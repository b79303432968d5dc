//! Lines by hand: who stands where, who is called, and when a line is looked at.

use std::time::Duration;

use super::*;
use crate::account::Classes;
use crate::fleet::Class;
use crate::flow::Flow;
use crate::limits::Counted;

const T: Time = Time::from_epoch(Duration::from_secs(1_000));

const ALICE: ClientId = ClientId::from_bits(1);
const BOB: ClientId = ClientId::from_bits(2);

fn at(seconds: u64) -> Time {
    T + Duration::from_secs(seconds)
}

/// The class called that, at an account.
fn domain(account: usize, class: &str) -> DomainId {
    let mut classes = Classes::default();
    classes.id(&Class::of("m"));
    DomainId { account, class: classes.id(&Class::of(class)) }
}

fn waiter(client: ClientId, input: u64) -> Waiter {
    let needs = Needs::of(input, Flow::at_once(0));
    Waiter { provider: ProviderId::of("p"), key: 0, room: domain(0, "m"), needs, client }
}

fn rank(queue: &Queue, ticket: Ticket) -> Rank {
    match queue.spot(ticket) {
        Some(Spot::Line(_, rank)) => rank,
        other => unreachable!("{other:?}"),
    }
}

fn input(backlog: &Backlog) -> u64 {
    backlog.of(Counted::Input).units()
}

#[test]
fn what_those_need_who_come_before_somebody_is_all_of_theirs_and_not_his_own() {
    let (mut queue, line) = (Queue::default(), domain(0, "m"));
    let tickets = [10, 200, 3_000].map(|tokens| queue.join(line, false, waiter(ALICE, tokens), at(1)));
    let before = tickets.map(|ticket| input(&queue.before(line, rank(&queue, ticket))));
    assert_eq!(before, [0, 10, 210]);
    // Somebody for whom nobody waits comes behind all of them, and is before none of them.
    let last = queue.join(line, true, waiter(BOB, 40_000), at(1));
    assert_eq!(input(&queue.before(line, rank(&queue, last))), 3_210);
    assert_eq!(input(&queue.before(line, rank(&queue, tickets[2]))), 210);
    assert!(queue.before(domain(1, "m"), rank(&queue, last)).is_empty());
}

#[test]
fn a_line_is_looked_at_when_the_first_of_it_may_go() {
    let (mut queue, line) = (Queue::default(), domain(0, "m"));
    assert_eq!((queue.next(), queue.due(at(9))), (None, None));
    queue.join(line, false, waiter(ALICE, 10), at(5));
    // A line that begins is looked at once.
    assert_eq!(queue.due(T), Some(line));
    queue.expect(line, at(5));
    assert_eq!((queue.next(), queue.due(at(4)), queue.due(at(5))), (Some(at(5)), None, Some(line)));
    // Who comes behind all others may go sooner, for he may need less.
    queue.join(line, false, waiter(ALICE, 10), at(3));
    assert_eq!((queue.next(), queue.due(at(2)), queue.due(at(3))), (Some(at(3)), None, Some(line)));
    queue.join(line, false, waiter(ALICE, 10), at(9));
    assert_eq!(queue.next(), Some(at(3)));
    // Whoever comes before others moves all of them.
    queue.join(line, false, waiter(BOB, 10), at(9));
    assert_eq!(queue.due(T), Some(line));
    queue.expect(line, at(7));
    queue.touch(1);
    assert_eq!(queue.next(), Some(at(7)), "another account is nothing to it");
    queue.touch(0);
    assert_eq!(queue.due(T), Some(line));
}

#[test]
fn where_somebody_would_stand_is_told_only_if_it_is_before_others() {
    let (mut queue, line) = (Queue::default(), domain(0, "m"));
    assert_eq!(queue.between(line, false, BOB), None, "there is no line");
    queue.join(line, false, waiter(ALICE, 10), at(5));
    let last = queue.join(line, false, waiter(ALICE, 10), at(5));
    let between = queue.between(line, false, BOB).unwrap();
    assert!(between < rank(&queue, last));
    assert_eq!(queue.between(line, false, ALICE), None, "she has her turns already");
    assert_eq!(queue.between(line, true, BOB), None, "nobody looks on");
}

#[test]
fn who_leaves_is_not_there_any_more_and_takes_his_body_with_him() {
    let (mut queue, line) = (Queue::default(), domain(0, "m"));
    assert!(queue.is_empty());
    let (first, pause) = (queue.join(line, false, waiter(ALICE, 10), at(5)), queue.pause(at(7)));
    queue.carry(first, 100);
    queue.carry(pause, 20);
    assert_eq!((queue.len(), queue.is_empty(), queue.carried(first)), (2, false, 100));
    assert!(queue.has_room(0, Some(3), Some(120)));
    assert!(!queue.has_room(0, Some(2), None));
    assert!(!queue.has_room(1, None, Some(120)));
    // Of one who says another size, the last one counts.
    queue.carry(first, 101);
    assert!(queue.has_room(9, None, Some(130)) && !queue.has_room(10, None, Some(130)));
    assert_eq!(queue.tickets(), [first]);
    assert!(matches!(queue.leave(first), Some((Spot::Line(from, _), _)) if from == line));
    assert_eq!((queue.len(), queue.is_empty(), queue.next()), (1, false, Some(at(7))));
    assert!(queue.leave(pause).is_none(), "who waits for a moment stands in no line");
    assert!(queue.leave(first).is_none(), "nobody leaves twice");
    assert!(queue.is_empty() && queue.has_room(120, Some(1), Some(120)));
}

#[test]
fn who_is_called_stands_in_no_line_until_he_comes() {
    let (mut queue, line) = (Queue::default(), domain(0, "m"));
    let [first, second] = [10, 20].map(|tokens| queue.join(line, false, waiter(ALICE, tokens), at(5)));
    queue.expect(line, at(5));
    queue.call(line, rank(&queue, first));
    assert!(
        matches!(queue.spot(first), Some(Spot::Called(from, who)) if from == line && who.needs.tokens() == 10)
    );
    assert_eq!((queue.len(), queue.due(T)), (1, Some(line)), "the next one is looked at");
    assert!(queue.before(line, rank(&queue, second)).is_empty());
    assert!(matches!(queue.leave(first), Some((Spot::Called(..), _))));
    queue.leave(second);
    assert!(queue.line(line).is_none(), "a line without anybody is none");
}

#[test]
fn those_who_wait_for_an_account_that_is_another_wait_there() {
    let (mut queue, old, new) = (Queue::default(), domain(0, "m"), domain(1, "m"));
    let here = queue.join(new, false, waiter(BOB, 10), at(5));
    queue.expect(new, at(5));
    let moved = queue.join(old, false, waiter(ALICE, 10), at(9));
    queue.move_all(0, 1);
    assert!(matches!(queue.spot(moved), Some(Spot::Line(to, _)) if to == new));
    assert_eq!((queue.due(T), queue.len()), (Some(new), 2));
    assert_eq!(queue.lines_of(1).count(), 1);
    assert_eq!(queue.lines_of(0).count(), 0);
    assert_eq!(input(&queue.before(new, rank(&queue, moved))), 10, "{here:?} came first");
}

#[test]
fn what_clients_had_in_either_line_counts_in_the_one_that_they_become() {
    let (mut queue, old, new) = (Queue::default(), domain(0, "m"), domain(1, "m"));
    queue.join(new, false, waiter(BOB, 10), at(5));
    queue.join(new, false, waiter(ALICE, 500), at(5));
    queue.join(old, false, waiter(BOB, 2_000), at(5));
    queue.move_all(0, 1);
    let next = [ALICE, BOB].map(|client| queue.join(new, false, waiter(client, 1), at(5)));
    assert!(rank(&queue, next[0]) < rank(&queue, next[1]), "she had 500, and he 2,000");
    assert_eq!(rank(&queue, next[1]).turn, 2_000);
}

#[test]
fn of_those_who_wait_elsewhere_the_second_of_the_line_that_waits_longest_is_told() {
    let mut queue = Queue::default();
    let (here, soon, late, other) = (domain(0, "m"), domain(1, "m"), domain(2, "m"), domain(3, "n"));
    assert_eq!(queue.elsewhere(here), None);
    let only = queue.join(soon, false, waiter(ALICE, 1), at(5));
    queue.expect(soon, at(5));
    assert_eq!(queue.elsewhere(here), Some(only), "there is no second");
    assert_eq!(queue.elsewhere(soon), None, "not of the own line");
    queue.join(late, false, waiter(ALICE, 1), at(8));
    let second = queue.join(late, false, waiter(ALICE, 1), at(8));
    queue.expect(late, at(8));
    queue.join(other, false, waiter(ALICE, 1), at(9));
    queue.expect(other, at(9));
    assert_eq!(queue.elsewhere(here), Some(second), "nor of another class");
}

#[test]
fn whoever_waits_for_a_moment_goes_when_it_has_come_or_is_said_to_have() {
    let mut queue = Queue::default();
    let [early, late, called] = [at(3), at(8), at(9)].map(|moment| queue.pause(moment));
    let resume = |queue: &mut Queue, now| {
        let mut woken = Vec::new();
        queue.resume(now, &mut woken);
        woken
    };
    assert_eq!(resume(&mut queue, at(2)), []);
    assert_eq!(resume(&mut queue, at(3)), [early]);
    queue.hasten(called);
    assert_eq!(resume(&mut queue, at(4)), [called]);
    let line = domain(0, "m");
    queue.join(line, false, waiter(ALICE, 1), at(8));
    queue.expect(line, at(8));
    queue.stir();
    assert_eq!((resume(&mut queue, T), queue.due(T)), (vec![late], Some(line)));
    queue.wait_on(late);
    assert_eq!(resume(&mut queue, T), [late]);
}
