//! A witness of the engine: what clients asked and were told, against the bytes of the log.
//!
//! ```text
//! asks, answers, reads ──► Notes ──┐
//!                                  ├──► Witness ──► faults: P1 to P5
//! stable bytes ──► Follower ──► Model, History ──┘
//! ```
//!
//! Called by: `simulate`, which steps the engine. Knows of the engine only what is said to it in the
//! words of this module, and the log by the bench's own reader of `schema/journal-format.md`; what a
//! loss of power would leave of the files is its only measure of what is durable.
//! Never here: the packages `doorbuster` and `doorbuster-wal`.

mod answers;
mod content;
mod follower;
mod heard;
mod history;
mod justify;
mod notes;
mod seen;
#[cfg(test)]
mod tests;
mod wish;

pub use self::follower::Files;
pub use self::heard::{Heard, RefusedLine, Said};
pub use self::notes::{Attempt, Notes};
pub use self::seen::{SeenHold, SeenProduct};
pub use self::wish::{TermsWish, Wish, WishLine, buyer_name, product_name, reference};

use self::follower::Follower;
use self::history::History;
use crate::faults::{FaultKind, Faults};
use crate::log::Log;
use crate::model::Model;
use crate::payload::{Decision, Payload};

/// What is known of one engine's log and of its clients, over all its lives.
#[derive(Debug, Default)]
pub struct Witness {
    /// What was asked and heard.
    pub notes: Notes,
    /// What is wrong.
    pub faults: Faults,
    model: Model,
    history: History,
    follower: Follower,
    /// Checksums of all payloads that are durable, by sequence from 1.
    checksums: Vec<u32>,
    /// Sequences of decisions: what leaves rows in a database.
    decisions: Vec<u64>,
    /// What clients have heard to be durable.
    floor: u64,
    /// No record may say a later time: the partition's clock, as far as the witness can count it.
    latest_ms: u64,
    refusals_counted: u64,
}

impl Witness {
    /// What the durable log says.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Last sequence that a loss of power would leave.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.checksums.len() as u64
    }

    /// Sequences of the decisions among the durable records, in order.
    #[must_use]
    pub fn decisions(&self) -> &[u64] {
        &self.decisions
    }

    /// Checksum of a durable record's payload.
    #[must_use]
    pub fn checksum(&self, sequence: u64) -> Option<u32> {
        let place = usize::try_from(sequence.checked_sub(1)?).ok()?;
        self.checksums.get(place).copied()
    }

    /// The clock of the partition cannot be past this: no record may say so.
    pub fn set_latest_ms(&mut self, latest_ms: u64) {
        self.latest_ms = latest_ms;
    }

    /// Where the durable log ends: the number of a segment, and the offset in it.
    #[must_use]
    pub fn place(&self) -> (u64, usize) {
        self.follower.place()
    }

    /// Takes in what has become durable since the last call, while a process writes.
    pub fn follow(&mut self, files: &dyn Files) {
        let mut follower = std::mem::take(&mut self.follower);
        follower.advance(files, &mut |sequence, payload| self.record(sequence, payload));
        self.follower = follower;
    }

    /// A process has recovered: the whole log is read again, and holds all that was durable, word
    /// for word.
    pub fn recovered(&mut self, files: Vec<(String, Vec<u8>)>) {
        self.notes.end_life();
        let mut place = Follower::default();
        let read = Log::of_files(files).and_then(|log| {
            log.read_placed(1, |name, offset, frame| {
                place.stand_behind(name, offset, frame);
                self.again(frame.sequence, frame.payload);
            })
        });
        match read {
            Ok(end) if end.next_sequence <= self.durable() => {
                let (durable, last) = (self.durable(), end.next_sequence - 1);
                self.fault(FaultKind::Lost, || {
                    format!("{durable} records were durable, the log ends at {last}")
                });
            }
            Ok(_) => {}
            Err(error) => self.fault(FaultKind::Lost, || error.to_string()),
        }
        self.follower = place;
        self.floor = self.durable();
        self.notes.settle(&mut self.faults);
    }

    fn again(&mut self, sequence: u64, payload: &[u8]) {
        match self.checksum(sequence) {
            None => self.record(sequence, payload),
            Some(checksum) if checksum == crc32c::crc32c(payload) => {}
            Some(_) => self.fault(FaultKind::Lost, || {
                format!("the durable record {sequence} is another one after the restart")
            }),
        }
    }

    /// The next durable record.
    fn record(&mut self, sequence: u64, payload: &[u8]) {
        self.checksums.push(crc32c::crc32c(payload));
        let payload = match Payload::parse(payload) {
            Ok(payload) => payload,
            Err(error) => {
                return self.fault(FaultKind::Broken, || format!("sequence {sequence}: {error}"));
            }
        };
        self.model.apply(sequence, &payload, &mut self.faults);
        if self.durable() != sequence {
            let last = self.durable();
            self.fault(FaultKind::Broken, || format!("sequence {sequence} is the {last}th record"));
        }
        let Payload::Decision(envelope, decision) = &payload else { return };
        self.decisions.push(sequence);
        let (at_ms, latest_ms) = (envelope.at_ms, self.latest_ms);
        if at_ms > latest_ms {
            self.fault(FaultKind::Broken, || {
                format!(
                    "sequence {sequence} was decided at {at_ms} ms, it is {latest_ms} ms at most"
                )
            });
        }
        self.history.record(sequence, envelope, decision, &self.model);
        self.behind(sequence, envelope, decision);
        if let Decision::RefusalsCounted { rows, .. } = decision {
            self.refusals_counted += rows.iter().map(|(_, _, count)| count).sum::<u64>();
            let (counted, most) = (self.refusals_counted, self.notes.refusals_max());
            if counted > most {
                self.fault(FaultKind::Invented, || {
                    format!("{counted} refusals are counted, at most {most} can have happened")
                });
            }
        }
    }

    fn fault(&mut self, kind: FaultKind, detail: impl FnOnce() -> String) {
        self.faults.add(kind, detail);
    }
}
