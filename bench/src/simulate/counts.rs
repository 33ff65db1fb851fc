//! What happened in simulations.

use serde::Serialize;

/// Counts over seeds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Seeds that were run.
    pub seeds: u64,
    /// Steps of any kind.
    pub steps: u64,
    /// Steps taken while another one was under way.
    pub steps_meanwhile: u64,
    /// Processes that started.
    pub lives: u64,
    /// Starts after a crash that recovered.
    pub recoveries: u64,
    /// Starts that ended in a crash of their own, or by a fault.
    pub recoveries_cut_short: u64,
    /// Processes that were killed, the machine going on.
    pub kills: u64,
    /// Losses of power.
    pub power_losses: u64,
    /// Of these, in the middle of an operation.
    pub deaths_in_an_operation: u64,
    /// Syncs that failed.
    pub failed_journals: u64,
    /// Disks that were full.
    pub full_disks: u64,
    /// Wall clocks that jumped.
    pub clock_jumps: u64,
    /// Faults of the projection's store.
    pub store_faults: u64,
    /// Requests.
    pub requests: u64,
    /// Attempts at them.
    pub attempts: u64,
    /// Attempts whose client went away.
    pub given_up: u64,
    /// Answers that said it happened.
    pub decided: u64,
    /// Answers that told of an earlier attempt.
    pub replayed: u64,
    /// Refusals.
    pub refused: u64,
    /// Attempts that were turned away.
    pub turned_away: u64,
    /// Attempts that met their own key in flight.
    pub in_flight: u64,
    /// Outcomes that were unknown.
    pub unknown: u64,
    /// Reads of products, holds and orders.
    pub reads: u64,
    /// Moments of rest at which everything was compared.
    pub rests: u64,
    /// Durable records, in all logs at their end.
    pub records: u64,
    /// Segments, in all logs at their end.
    pub segments: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Segments that went into the archive.
    pub archived: u64,
    /// Commits of the projection.
    pub commits: u64,
    /// Records in quarantine.
    pub quarantined: u64,
}

impl Counts {
    /// All of it by name, for adding and showing.
    fn fields(&mut self) -> [(&'static str, &mut u64); 30] {
        [
            ("seeds", &mut self.seeds),
            ("steps", &mut self.steps),
            ("steps meanwhile", &mut self.steps_meanwhile),
            ("lives", &mut self.lives),
            ("crash recoveries", &mut self.recoveries),
            ("recoveries cut short", &mut self.recoveries_cut_short),
            ("kills", &mut self.kills),
            ("power losses", &mut self.power_losses),
            ("deaths in an operation", &mut self.deaths_in_an_operation),
            ("failed journals", &mut self.failed_journals),
            ("full disks", &mut self.full_disks),
            ("clock jumps", &mut self.clock_jumps),
            ("store faults", &mut self.store_faults),
            ("requests", &mut self.requests),
            ("attempts", &mut self.attempts),
            ("given up", &mut self.given_up),
            ("decided", &mut self.decided),
            ("replayed", &mut self.replayed),
            ("refused", &mut self.refused),
            ("turned away", &mut self.turned_away),
            ("in flight", &mut self.in_flight),
            ("unknown", &mut self.unknown),
            ("reads", &mut self.reads),
            ("rests", &mut self.rests),
            ("records", &mut self.records),
            ("segments", &mut self.segments),
            ("snapshots", &mut self.snapshots),
            ("archived", &mut self.archived),
            ("commits", &mut self.commits),
            ("quarantined", &mut self.quarantined),
        ]
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        let mut other = *other;
        for ((_, sum), (_, more)) in self.fields().into_iter().zip(other.fields()) {
            *sum += *more;
        }
    }

    /// Every count with its name.
    #[must_use]
    pub fn named(&self) -> Vec<(&'static str, u64)> {
        let mut counts = *self;
        counts.fields().into_iter().map(|(name, count)| (name, *count)).collect()
    }
}
