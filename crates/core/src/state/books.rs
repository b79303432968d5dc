//! What leases are promised of limits, what they take, and what is learned from that.

use crate::account::{ClassId, DomainId};
use crate::estimate::{self, Estimates};
use crate::fleet::{Class, KeyId};
use crate::flow::{Flow, Flows};
use crate::limits::{Backlog, COUNTED, Counted, Limits, Needs};
use crate::plan::{Book, Foretold, Lease, Plan, Size, Terms};
use crate::quota::{Gauge, Quota, Unified};
use crate::time::Time;
use crate::usage::Usage;
use crate::verdict::Spends;

use super::State;
use super::survey::Choice;

impl State {
    /// What a call will need, as far as can be told.
    pub(super) fn needs(&mut self, plan: &Plan) -> Needs {
        let Some(size) = &plan.size else { return Needs::default() };
        if let Some(Foretold { input, output, pace }) = size.foretold {
            return Needs::of(input, Flow { units: output, pace });
        }
        let class = self.class(plan);
        self.estimates.get(&class).map_or_else(|| estimate::unknown(size), |known| known.needs(size))
    }

    /// How many tokens so many bytes of a prompt have.
    pub(super) fn tokens(&self, class: ClassId, bytes: u64) -> u64 {
        self.estimates
            .get(&class)
            .map_or_else(|| estimate::unknown_tokens(bytes), |known| known.tokens(bytes))
    }

    /// A domain by what its account has turned out to be.
    pub(super) fn resolve(&self, domain: DomainId) -> DomainId {
        DomainId { account: self.accounts.now(domain.account), ..domain }
    }

    /// Promises somebody what he needs, with that key.
    pub(super) fn promise(
        &mut self,
        (key, domain, room): (usize, DomainId, DomainId),
        needs: &Needs,
        now: Time,
    ) {
        // The same for all of them, so it is reckoned once.
        let needs = Backlog::one(needs);
        let held = self.accounts.get_mut(domain.account).domain_mut(domain.class);
        held.limits.promise(&needs, now);
        held.begin(now);
        self.workspaces.get_mut(room.account).domain_mut(room.class).limits.promise(&needs, now);
        self.keys.at_mut(key).caps.promise(&needs, now);
    }

    /// Whoever is asked for the first time since the configuration was read says how many calls may be under way at once.
    /// What the operator says of a key he knows better.
    pub(super) fn tell(&mut self, key: usize, choice: &Choice, class: &Class) {
        let is_capped = self.keys.at(key).caps.calls().most().is_some();
        let held = self.accounts.get_mut(choice.domain.account).domain_mut(choice.domain.class);
        if !held.is_told {
            held.is_told = true;
            let provider = self.fleet.provider(choice.provider).filter(|_| !is_capped);
            held.limits.tell(provider.and_then(|provider| provider.accounting.at_once(class)));
            if is_capped {
                held.limits.forget_calls();
            }
        }
        let caps = &mut self.keys.at_mut(key).caps;
        for limits in [&mut held.limits, caps] {
            if limits.calls().has_no_pace()
                && let Some(span) = self.estimates.get(&choice.domain.class).and_then(Estimates::span)
            {
                limits.note(span);
            }
        }
    }

    /// Takes a promise back.
    pub(super) fn release(&mut self, (key, domain, room): (usize, DomainId, DomainId), needs: &Needs) {
        let needs = Backlog::one(needs);
        let held = self.accounts.get_mut(domain.account).domain_mut(domain.class);
        held.limits.release(&needs);
        self.workspaces.get_mut(room.account).domain_mut(room.class).limits.release(&needs);
        self.keys.at_mut(key).caps.release(&needs);
        self.freed(self.resolve(domain));
    }

    /// The book of a lease that is granted now. Its request and its prompt are taken at once, as the provider does when
    /// it gets them: what they take is refilled while it works. The answer is only promised.
    pub(super) fn open_book(&mut self, key: usize, choice: &Choice, now: Time) -> Book {
        let Choice { domain, needs, .. } = *choice;
        let room = self.room(key, domain.class);
        let (request, input) = (needs.get(Counted::Requests).units, needs.get(Counted::Input).units);
        let given = needs.tokens();
        let mut needs = needs;
        needs.set(Counted::Requests, Flow::default());
        needs.set(Counted::Input, Flow::default());
        // The same for all of them, so it is reckoned once.
        let promised = Backlog::one(&needs);
        let held = self.accounts.get_mut(domain.account).domain_mut(domain.class);
        held.begin(now);
        let narrow = self.workspaces.get_mut(room.account).domain_mut(room.class);
        let holders = [&mut held.limits, &mut narrow.limits, &mut self.keys.at_mut(key).caps];
        // Where answers show it: see `compare`.
        let marks = COUNTED.map(|counted| match counted {
            Counted::Tokens => holders[1].mark(counted, now),
            _ => holders[0].mark(counted, now),
        });
        let full = fills_at(holders.each_ref().map(|limits| &**limits), now);
        for limits in holders {
            limits.promise(&promised, now);
            limits.of_mut(Counted::Requests).send(request, now);
            limits.of_mut(Counted::Input).send(input, now);
            limits.of_mut(Counted::Tokens).send(input, now);
        }
        let (begun, counted, shown) = Default::default();
        let unseen = (request, input);
        Book {
            key,
            domain,
            room,
            needs,
            request,
            input,
            sent: input,
            given,
            full,
            unseen,
            marks,
            begun,
            counted,
            shown,
        }
    }

    /// The provider has shown a sign of it, or never will.
    fn seen(&mut self, book: &mut Book) {
        let (request, input) = std::mem::take(&mut book.unseen);
        if (request, input) == (0, 0) {
            return;
        }
        for limits in self.holders(book) {
            limits.of_mut(Counted::Requests).see(request);
            limits.of_mut(Counted::Input).see(input);
            limits.of_mut(Counted::Tokens).see(input);
        }
    }

    /// Takes units of something out of what was promised; `rest` is what may still be taken.
    fn take(&mut self, book: &mut Book, counted: Counted, units: u64, rest: Flow, now: Time) {
        let (promised, tokens) = (book.needs.get(counted), book.needs.get(Counted::Tokens));
        let weighed = book.needs.weighed(counted, units);
        book.needs.reserve_less(counted, weighed);
        book.needs.set(counted, rest);
        let fewer = book.needs.get(Counted::Tokens);
        if units == 0 && rest == promised && fewer == tokens {
            return;
        }
        let (before, after) = (Flows::of(promised), Flows::of(rest));
        let (tokens_before, tokens_after) = (Flows::of(tokens), Flows::of(fewer));
        for limits in self.holders(book) {
            limits.of_mut(counted).replace(&before, units, &after, now);
            if counted != Counted::Requests {
                limits.of_mut(Counted::Tokens).replace(&tokens_before, weighed, &tokens_after, now);
            }
        }
        let is_less =
            |units: u64, rest: Flow, promised: Flow| units.saturating_add(rest.units) < promised.units;
        if is_less(units, rest, promised) || is_less(weighed, fewer, tokens) {
            self.freed(self.resolve(book.domain));
        }
    }

    /// All limits that a call counts against: of its organization, of its workspace there, and of its key.
    fn holders(&mut self, book: &Book) -> [&mut Limits; 3] {
        let held = self.accounts.get_mut(book.domain.account).domain_mut(book.domain.class);
        let room = self.workspaces.get_mut(book.room.account).domain_mut(book.room.class);
        [&mut held.limits, &mut room.limits, &mut self.keys.at_mut(book.key).caps]
    }

    /// Gives back units that turned out not to have been taken.
    fn give_back(&mut self, book: &Book, counted: Counted, units: u64, now: Time) {
        if units == 0 {
            return;
        }
        let full = match counted {
            Counted::Requests => book.full.0,
            Counted::Input => book.full.1,
            // It was taken a moment ago, at most.
            Counted::Output | Counted::Tokens => now,
        };
        let weighed = book.needs.weighed(counted, units);
        for limits in self.holders(book) {
            limits.give_back(counted, units, (&book.marks, full), now);
            if counted != Counted::Requests {
                limits.give_back(Counted::Tokens, weighed, (&book.marks, full), now);
            }
        }
        self.freed(self.resolve(book.domain));
    }

    /// Something came free at a domain: those who wait for it look again. If nobody does, somebody who waits elsewhere
    /// does.
    pub(super) fn freed(&mut self, domain: DomainId) {
        if self.queue.is_empty() {
            return;
        }
        self.queue.touch(domain.account);
        if self.queue.line(domain).is_none()
            && let Some(ticket) = self.queue.elsewhere(domain)
            && !self.woken.contains(&ticket)
        {
            self.woken.push(ticket);
        }
    }

    /// What an answer costs the limits, whatever becomes of it.
    pub(super) fn spend(&mut self, lease: &mut Lease, spends: Spends, now: Time) {
        let Some(book) = lease.book.as_mut().filter(|book| !book.counted) else { return };
        if spends == Spends::Nothing {
            let request = std::mem::take(&mut book.request);
            self.give_back(book, Counted::Requests, request, now);
        }
        if spends != Spends::Prompt {
            let input = std::mem::take(&mut book.input);
            self.give_back(book, Counted::Input, input, now);
        }
        book.counted = true;
    }

    /// Tokens used so far: the prompt, once it is known, and what was produced since it was last said.
    pub(super) fn post(&mut self, lease: &mut Lease, usage: Usage, now: Time) {
        let Terms {
            book: Some(book),
            size: Some(size),
            prefix,
            used,
            since,
            conversation,
            key,
            provider,
            class,
            ..
        } = &mut **lease
        else {
            return;
        };
        let (before, after) = (*used, usage);
        let prompt = |usage: &Usage| (usage.uncached_input(), usage.cache_read);
        if prompt(&before) != prompt(&after) {
            let has = after.uncached_input();
            let more = has.saturating_sub(book.input);
            if book.begun.is_none() {
                let class = self.resolve(book.domain).class;
                self.estimates.entry(class).or_default().note_prompt(size, &after, now);
            }
            self.take(book, Counted::Input, more, Flow::default(), now);
            self.give_back(book, Counted::Input, book.input.saturating_sub(has), now);
            book.input = has;
            if let Some((input, tokens)) = book.shown.take() {
                // As much as was thought when it was sent, and what it has more.
                let own = book.sent.saturating_add(more);
                self.compare(book, Counted::Input, &input, own, (*since, now));
                self.compare(book, Counted::Tokens, &tokens, own, (*since, now));
            }
            if book.begun.is_none() {
                book.begun = Some(now);
                self.mark_begun(*prefix, &after, now);
            }
            if let (Some(conversation), Some(key)) = (*conversation, *key) {
                self.affinity.settle(conversation, (*provider, key, class), (&after, size.bytes), now);
            }
        }
        if before.output != after.output {
            let more = after.output.saturating_sub(before.output);
            let promised = book.needs.get(Counted::Output);
            // An answer that is longer than was thought goes on for as long again, most likely.
            let most = size.max_tokens.unwrap_or(u64::MAX).saturating_sub(after.output);
            let units = if more < promised.units { promised.units - more } else { after.output.min(most) };
            let rest = Flow { units, ..promised };
            self.take(book, Counted::Output, more, rest, now);
            self.give_back(book, Counted::Output, before.output.saturating_sub(after.output), now);
        }
    }

    /// A lease ends. Of a call that was never judged, for its client left, nobody knows how far it came: it is taken
    /// to have been counted.
    pub(super) fn settle(&mut self, lease: &mut Lease, now: Time) {
        self.spend(lease, Spends::Prompt, now);
        let took = now.since(lease.since);
        if let Some(book) = &lease.book {
            self.holders(book).into_iter().for_each(|limits| limits.note(took));
            self.estimates.entry(self.resolve(book.domain).class).or_default().note_span(took);
        }
        if let (Some(Book { begun: Some(begun), domain, .. }), Some(size)) = (&lease.book, &lease.size) {
            let known: &mut Estimates = self.estimates.entry(domain.class).or_default();
            known.note_answer(size, &lease.used, (*begun, now));
        }
    }

    /// What it was promised and did not take is there for others.
    pub(super) fn close_book(&mut self, lease: &mut Lease) {
        if let Some(mut book) = lease.book.take() {
            self.seen(&mut book);
            let Size { client, .. } = lease.size.unwrap_or_default();
            let used = lease.used.uncached_input().saturating_add(lease.used.output);
            self.queue.settle(self.resolve(book.domain), client, book.given, used);
            self.release((book.key, book.domain, book.room), &book.needs);
        }
    }

    /// Corrects what is known of limits by what the head of an answer says. What it says of input is kept until it is
    /// known how much of that was this call's.
    pub(super) fn correct(&mut self, lease: &mut Lease, quota: &Quota, now: Time) {
        let Terms { book: Some(book), size, since: asked, .. } = &mut **lease else { return };
        if book.begun.is_none() && size.is_some() {
            book.shown = Some((quota.input, quota.narrower()));
        }
        self.compare(book, Counted::Requests, &quota.requests, book.request, (*asked, now));
        self.compare(book, Counted::Output, &quota.output, 0, (*asked, now));
        for (counted, gauge) in [(Counted::Input, quota.input), (Counted::Tokens, quota.narrower())] {
            // That there is a limit is known at once, or others would be sent into it meanwhile.
            if book.shown.is_none() || !self.is_limited(book, counted) {
                self.compare(book, counted, &gauge, book.sent, (*asked, now));
            }
        }
        self.seen(book);
    }

    /// Is a limit of that known, where answers tell of it?
    fn is_limited(&self, book: &Book, counted: Counted) -> bool {
        let held = match counted {
            Counted::Tokens => self.workspaces.get(book.room.account).domain(book.room.class),
            _ => self.accounts.get(book.domain.account).domain(book.domain.class),
        };
        held.is_some_and(|held| held.limits.of(counted).rate().is_some())
    }

    /// Moves a level to where an answer shows it: of its organization; of all tokens together, that of the narrowest
    /// limit there is, which is the workspace's. Of what was taken since the call was granted, so much is its own.
    fn compare(
        &mut self,
        book: &Book,
        counted: Counted,
        gauge: &Gauge,
        own: u64,
        (asked, now): (Time, Time),
    ) {
        if *gauge == Gauge::default() {
            return;
        }
        let (holders, at) = match counted {
            Counted::Tokens => (&mut self.workspaces, book.room),
            _ => (&mut self.accounts, book.domain),
        };
        let merged = holders.now(at.account) != at.account;
        let held = holders.get_mut(at.account).domain_mut(at.class);
        // Of one that turned out to be another, the marks are of other counts.
        let since = Some(held.limits.since(counted, &book.marks, own)).filter(|_| !merged);
        held.limits.learn(counted, gauge, since, (asked, now));
        self.queue.touch(self.resolve(book.domain).account);
    }

    /// It refused for want of capacity what was asked then.
    pub(super) fn disappoint(&mut self, key: KeyId, class: &Class, (asked, now): (Time, Time)) {
        let Some(account) = self.keys.get(key).map(|standing| standing.account) else { return };
        let class = self.classes.id(class);
        let held = self.accounts.get_mut(account).domain_mut(class);
        held.refuse();
        let quota = self.quotas.get(&key);
        if quota.and_then(|quota| quota.unified.as_ref()).is_some_and(Unified::refuses) {
            // That says nothing of what there is a minute.
            return;
        }
        let empty = |counted| quota.is_some_and(|quota| quota.gauge(counted).remaining == Some(0));
        let any = COUNTED.into_iter().any(empty);
        held.limits.disappoint(|counted| !any || empty(counted), (asked, now));
    }
}

/// When the first of the buckets is full, if nothing more is taken: of requests, and of prompts. Where nothing is limited,
/// now.
fn fills_at(holders: [&Limits; 3], now: Time) -> (Time, Time) {
    let first = |counted: &[Counted]| {
        let limited = holders.iter().filter(|limits| limits.is_limited());
        let fills =
            limited.flat_map(|limits| counted.iter().filter_map(|counted| limits.of(*counted).fills_at(now)));
        fills.min().unwrap_or(now)
    };
    (first(&[Counted::Requests]), first(&[Counted::Input, Counted::Tokens]))
}
