//! The partition: decides one command after another, on one thread, in memory.
//!
//! A plain struct with [`Partition::turn`]; the actors are shells around it and a simulator steps
//! it directly. A turn never waits: it decides, applies, appends and returns.
//!
//! Invariants: record times never go back; a record's views are captured as it is applied; after
//! `append` there is no way out but durable or the end of the process.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use super::answer::{Action, Answer};
use super::clock::PartitionClock;
use super::command::{Command, Undecided};
use super::completion::{DecidedEffect, Effect, RefusedEffect};
use super::directory::{Directory, ViewChange};
use super::refusal_counts::{RefusalCounts, RefusalShard};
use crate::domain::{
    Change, Changes, Decided, Decision, Handle, HoldRules, Inventory, OrderLine, Principal,
    RecordAt, Refusal, RefusalRow, RefusalsCounted, Sequence, Targets, apply, decide_adjustment,
    decide_cancel, decide_confirm, decide_create, decide_expiry, decide_extend, decide_hold,
    decide_order, decide_release, decide_selling, decide_terms,
};
use crate::journal::{Envelope, Journal, Planted, Record, Room, encode_record, planted};

/// Rows of refusals in one record: keeps it under 64 KiB.
const REFUSAL_ROWS_MAX: usize = 4_000;
/// Refusals are counted by the minute.
pub const MINUTE_MS: u64 = 60_000;

/// Decides for the products of one journal.
pub struct Partition<J> {
    inventory: Inventory,
    directory: Arc<Directory>,
    pub(super) journal: J,
    clock: Arc<PartitionClock>,
    room: Room,
    refusals: Arc<RefusalCounts>,
    refused: Arc<RefusalShard>,
    hold_rules: HoldRules,
    /// Name under which the engine itself writes records.
    itself: Principal,
    /// Time of the last record.
    last_ms: u64,
    payload: Vec<u8>,
}

/// What a partition needs.
pub struct PartitionParts<J> {
    pub(super) inventory: Inventory,
    pub(super) directory: Arc<Directory>,
    pub(super) journal: J,
    pub(super) clock: Arc<PartitionClock>,
    pub(super) room: Room,
    pub(super) refusals: Arc<RefusalCounts>,
    pub(super) hold_rules: HoldRules,
    pub(super) last_ms: u64,
}

/// What expiring holds came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// Nothing is due any more.
    All,
    /// As many as asked for; there are more.
    Some,
    /// There is no room for the next record: nothing may be decided.
    WithoutRoom,
}

impl<J: Journal<Effect>> Partition<J> {
    /// A partition that goes on where recovery ended.
    #[must_use]
    pub fn new(parts: PartitionParts<J>) -> Self {
        let PartitionParts { inventory, directory, journal, clock, room, .. } = parts;
        let PartitionParts { refusals, hold_rules, last_ms, .. } = parts;
        let refused = refusals.shard();
        let itself = Principal::new("doorbuster").expect("a constant that is a name");
        let payload = Vec::new();
        Self {
            inventory,
            directory,
            journal,
            clock,
            room,
            refusals,
            refused,
            hold_rules,
            itself,
            last_ms,
            payload,
        }
    }

    /// The state decisions are made on.
    #[must_use]
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// Time of the last record.
    #[must_use]
    pub fn last_ms(&self) -> u64 {
        self.last_ms
    }

    /// Decides one command at `now_ms`, or at the last record's time when that is later.
    pub fn turn(&mut self, command: Command, now_ms: u64) {
        if command.is_late(now_ms) {
            return command.turn_away(Answer::NotDecided);
        }
        let now_ms = now_ms.max(self.last_ms);
        if self.expire(now_ms, usize::MAX) == Expired::WithoutRoom {
            let detail = "the journal has no room for the end of a hold that is over".to_owned();
            return command.turn_away(Answer::DiskLow { detail });
        }
        let Undecided { principal, reference, key, action, record, mut stake, .. } = command.take();
        let about = products_of(&action);
        match self.decide(action, now_ms) {
            Ok(Decided { decision, changes }) => {
                let envelope =
                    Envelope { decided_at_ms: now_ms, principal, reference, key, changes };
                let views = self.apply(&envelope, &decision);
                let record = Box::write(record, Record { envelope, decision });
                self.encode(&record);
                stake.spend(&self.payload);
                let effect = DecidedEffect { record, views, stake: Some(stake) };
                self.journal.append(&self.payload, Effect::Decided(effect));
            }
            Err(refusal) => {
                self.count(&about, &refusal);
                let effect = RefusedEffect { refusal, stake };
                // Nothing it rests on is pending: it is told at once.
                if let Some(Effect::Refused(RefusedEffect { refusal, stake })) =
                    self.journal.barrier(Effect::Refused(effect))
                {
                    stake.answer(Answer::Refused(refusal));
                }
            }
        }
    }

    fn decide(&self, action: Action, now_ms: u64) -> Result<Decided, Refusal> {
        match action {
            Action::Create(create) => {
                let taken = self.directory.entry(create.product_id.as_str()).is_some();
                decide_create(&self.inventory, *create, taken)
            }
            Action::ChangeTerms(change) => decide_terms(&self.inventory, *change),
            Action::Adjust(adjust) => decide_adjustment(&self.inventory, adjust),
            Action::Order(order) => decide_order(&self.inventory, order, now_ms),
            Action::PlaceHold(hold) => {
                decide_hold(&self.inventory, *hold, &self.hold_rules, now_ms)
            }
            Action::ExtendHold(extend) => {
                decide_extend(&self.inventory, extend, &self.hold_rules, now_ms)
            }
            Action::ConfirmHold { confirm, lines } => {
                self.has_room_to_end(confirm.hold, lines)?;
                decide_confirm(&self.inventory, confirm, now_ms)
            }
            Action::ReleaseHold { release, lines } => {
                self.has_room_to_end(release.hold, lines)?;
                decide_release(&self.inventory, release, now_ms)
            }
            Action::Cancel(cancel) => decide_cancel(&self.inventory, *cancel),
            Action::PauseSelling(paused) => Ok(decide_selling(paused)),
        }
    }

    /// Room was reserved for the lines that the board showed. A hold with more is not durable yet:
    /// nobody has heard of it, and whoever names it has guessed.
    fn has_room_to_end(&self, hold: Sequence, lines: u16) -> Result<(), Refusal> {
        let live = self.inventory.holds().live(hold);
        match live.is_some_and(|live| live.lines.len() > usize::from(lines)) {
            true => Err(Refusal::UnknownHold),
            false => Ok(()),
        }
    }

    /// When the first hold is over.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<u64> {
        self.inventory.holds().next_due().map(|(expires_at_ms, _)| expires_at_ms)
    }

    /// Journals the end of holds that are over by `now_ms`, up to `count` of them. It needs no
    /// permit, only room.
    pub fn expire(&mut self, now_ms: u64, count: usize) -> Expired {
        let now_ms = now_ms.max(self.last_ms);
        for _ in 0..count {
            let due_ms = match planted(Planted::ExpireByWallClock) {
                true => self.clock.wall_ms(),
                false => now_ms,
            };
            let Some(Decided { decision, changes }) = decide_expiry(&self.inventory, due_ms) else {
                return Expired::All;
            };
            let envelope = self.own_envelope(changes, now_ms);
            let record = Box::new(Record { envelope, decision });
            self.encode(&record);
            if self.room.try_reserve(self.payload.len()).is_none() {
                return Expired::WithoutRoom;
            }
            let views = self.apply(&record.envelope, &record.decision);
            if planted(Planted::ExpireWithoutRecord) {
                continue;
            }
            let effect = DecidedEffect { record, views, stake: None };
            self.journal.append(&self.payload, Effect::Decided(effect));
        }
        Expired::Some
    }

    /// The envelope of what the engine decides by itself.
    fn own_envelope(&self, changes: Changes, decided_at_ms: u64) -> Envelope {
        let principal = self.itself.clone();
        Envelope { decided_at_ms, principal, reference: None, key: None, changes }
    }

    /// Leaves a record's bytes in `payload`.
    fn encode(&mut self, record: &Record) {
        self.payload.clear();
        encode_record(record, &mut self.payload);
    }

    fn apply(
        &mut self,
        envelope: &Envelope,
        decision: &Decision,
    ) -> SmallVec<[(Handle, ViewChange); 1]> {
        let at_ms = envelope.decided_at_ms;
        let at = RecordAt { sequence: self.journal.next_sequence(), at_ms };
        apply(&mut self.inventory, decision, &envelope.changes, at);
        self.last_ms = at_ms;
        self.clock.decided(at_ms);
        if let (Decision::ProductCreated(created), [change]) = (decision, &*envelope.changes) {
            self.directory.enter(created.product_id.clone(), change.handle);
        }
        let capture = if decision.sets_terms() { ViewChange::whole } else { ViewChange::figures };
        let captured = |change: &Change| {
            let product = self.inventory.product(change.handle).expect("it was just changed");
            let next_expiry_ms = self.inventory.holds().next_expiry_ms(change.handle);
            let mut view = capture(product, next_expiry_ms);
            if planted(Planted::ReleaseTwice)
                && let Decision::HoldConfirmed(confirmed) = decision
            {
                let of = |line: &&OrderLine| line.product == change.handle;
                let lines = confirmed.released.iter().filter(of);
                view.release(lines.map(|line| line.quantity.units()).sum());
            }
            (change.handle, view)
        };
        let mut views: SmallVec<_> = envelope.changes.iter().map(captured).collect();
        if planted(Planted::PublishBeforeDurable) {
            self.directory.publish(views.drain(..));
        }
        views
    }

    fn count(&self, products: &[Handle], refusal: &Refusal) {
        match refusal {
            Refusal::Lines(refused) => {
                for line in refused {
                    let product = line.lines.first().and_then(|place| products.get(*place));
                    if let Some(product) = product {
                        self.refused.count(*product, &line.refusal);
                    }
                }
            }
            refusal => {
                if let Some(product) = products.first() {
                    self.refused.count(*product, refusal);
                }
            }
        }
    }

    /// Journals what was refused since the last call, in the minute that begins at `minute_ms`;
    /// nobody waits for it. Without room the counts stay for the next minute.
    pub fn count_refusals(&mut self, minute_ms: u64, now_ms: u64) {
        assert!(minute_ms.is_multiple_of(MINUTE_MS), "{minute_ms} is no minute");
        let now_ms = now_ms.max(self.last_ms);
        let rows = self.refusals.take();
        for rows in rows.chunks(REFUSAL_ROWS_MAX) {
            self.append_refusals(rows, minute_ms, now_ms);
        }
    }

    fn append_refusals(&mut self, rows: &[RefusalRow], minute_ms: u64, now_ms: u64) {
        let counted = RefusalsCounted { minute_ms, rows: rows.to_vec() };
        let envelope = self.own_envelope(Changes::new(), now_ms);
        let decision = Decision::RefusalsCounted(counted);
        self.encode(&Record { envelope, decision });
        if self.room.try_reserve(self.payload.len()).is_none() {
            return self.refusals.give_back(rows);
        }
        self.last_ms = now_ms;
        self.clock.decided(now_ms);
        self.journal.append(&self.payload, Effect::Nothing);
    }
}

/// The products a refusal is counted for.
fn products_of(action: &Action) -> SmallVec<[Handle; 1]> {
    match action {
        Action::Create(_) => SmallVec::new(),
        Action::ChangeTerms(change) => match &change.targets {
            Targets::Product { handle, .. } => smallvec![*handle],
            Targets::Sale(_) => SmallVec::new(),
        },
        Action::Adjust(adjust) => smallvec![adjust.product],
        Action::Order(order) => order.lines.iter().map(|line| line.product).collect(),
        Action::PlaceHold(hold) => hold.lines.iter().map(|line| line.product).collect(),
        Action::Cancel(cancel) => cancel.order.lines.iter().map(|line| line.product).collect(),
        // What it is refused for is the hold's state, no product's.
        Action::ExtendHold(_)
        | Action::ConfirmHold { .. }
        | Action::ReleaseHold { .. }
        | Action::PauseSelling(_) => SmallVec::new(),
    }
}
