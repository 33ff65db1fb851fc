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
    Change, Decided, Decision, Handle, Inventory, Principal, Refusal, RefusalRow, RefusalsCounted,
    Targets, apply, decide_adjustment, decide_create, decide_order, decide_terms,
};
use crate::journal::{Envelope, Journal, Record, Room, encode_record};

/// Rows of refusals in one record: keeps it under 64 KiB.
const REFUSAL_ROWS_MAX: usize = 4_000;
pub(super) const MINUTE_MS: u64 = 60_000;

/// Decides for the products of one journal.
pub struct Partition<J> {
    inventory: Inventory,
    directory: Arc<Directory>,
    journal: J,
    clock: Arc<PartitionClock>,
    room: Room,
    refusals: Arc<RefusalCounts>,
    refused: Arc<RefusalShard>,
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
    pub(super) last_ms: u64,
}

impl<J: Journal<Effect>> Partition<J> {
    /// A partition that goes on where recovery ended.
    #[must_use]
    pub fn new(parts: PartitionParts<J>) -> Self {
        let PartitionParts { inventory, directory, journal, clock, room, refusals, last_ms } =
            parts;
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

    /// Decides one command at `now_ms`, or at the last record's time when that is later.
    pub fn turn(&mut self, command: Command, now_ms: u64) {
        if command.is_late(now_ms) {
            return command.turn_away(Answer::NotDecided);
        }
        let now_ms = now_ms.max(self.last_ms);
        let Undecided { principal, reference, key, action, record, mut stake, .. } = command.take();
        let about = products_of(&action);
        match self.decide(action, now_ms) {
            Ok(Decided { decision, changes }) => {
                let envelope =
                    Envelope { decided_at_ms: now_ms, principal, reference, key, changes };
                let views = self.apply(&envelope, &decision);
                let record = Box::write(record, Record { envelope, decision });
                self.payload.clear();
                encode_record(&record, &mut self.payload);
                stake.spend(&self.payload);
                let effect = DecidedEffect { record, views, stake };
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
        }
    }

    fn apply(
        &mut self,
        envelope: &Envelope,
        decision: &Decision,
    ) -> SmallVec<[(Handle, ViewChange); 1]> {
        let decided_at_ms = envelope.decided_at_ms;
        apply(&mut self.inventory, decision, &envelope.changes, decided_at_ms);
        self.last_ms = decided_at_ms;
        self.clock.decided(decided_at_ms);
        if let (Decision::ProductCreated(created), [change]) = (decision, &*envelope.changes) {
            self.directory.enter(created.product_id.clone(), change.handle);
        }
        let capture = if decision.sets_terms() { ViewChange::whole } else { ViewChange::figures };
        let captured = |change: &Change| {
            let product = self.inventory.product(change.handle).expect("it was just changed");
            (change.handle, capture(product))
        };
        envelope.changes.iter().map(captured).collect()
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
        let envelope = Envelope {
            decided_at_ms: now_ms,
            principal: self.itself.clone(),
            reference: None,
            key: None,
            changes: smallvec![],
        };
        let decision = Decision::RefusalsCounted(counted);
        self.payload.clear();
        encode_record(&Record { envelope, decision }, &mut self.payload);
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
    }
}
