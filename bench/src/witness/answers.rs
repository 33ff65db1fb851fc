//! What was answered, against what is durable at that very moment.

use super::heard::Heard;
use super::notes::{Attempt, Made};
use super::{Files, Witness};
use crate::faults::FaultKind;

impl Witness {
    /// A client asks; gives the number of its attempt.
    pub fn ask(&mut self, call: u64, other_body: bool, now_ms: u64) -> u64 {
        let made = self.notes.made(call, now_ms).filter(|made| made.sequence <= self.floor);
        let floor = self.floor;
        self.notes.begin(Attempt { call, other_body, floor, asked_ms: now_ms, made })
    }

    /// A client hears an answer at `now_ms`. `files` are what is durable right now.
    pub fn hear(&mut self, number: u64, heard: &Heard, now_ms: u64, files: &dyn Files) {
        self.follow(files);
        let Some(attempt) = self.notes.attempt(number).copied() else { return };
        let about = |what: &str| format!("request {} was answered {heard:?}: {what}", attempt.call);
        if let Heard::Done { sequence, replayed, checksum } = *heard {
            self.done(&attempt, (sequence, replayed, checksum), &about);
            self.notes.end(number, true);
            return;
        }
        let made = attempt.made.filter(|made| self.notes.made(attempt.call, now_ms) == Some(*made));
        let reused = |made: &Made| {
            attempt.other_body != made.other_body && matches!(heard, Heard::KeyReused)
        };
        if let Some(made) = made.filter(|made| !reused(made)) {
            self.fault(FaultKind::Contradicted, || about(&format!("its key made {made:?}")));
        }
        match heard {
            Heard::Done { .. } | Heard::TurnedAway => {}
            Heard::Unknown => {
                self.notes.count_refused();
                self.notes.end(number, false);
                return;
            }
            Heard::KeyInFlight if self.notes.may_be_in_flight(attempt.call) => {}
            Heard::KeyInFlight => self.fault(FaultKind::Contradicted, || {
                about("nothing is under way that could have its key")
            }),
            Heard::KeyReused if self.notes.call(attempt.call).is_some_and(|call| call.has_key) => {}
            Heard::KeyReused => {
                self.fault(FaultKind::Contradicted, || about("it came without a key"));
            }
            Heard::Refused(said) => {
                self.notes.count_refused();
                if let Err(reason) = self.justify(&attempt, said, now_ms) {
                    let (floor, durable) = (attempt.floor, self.durable());
                    self.fault(FaultKind::Contradicted, || {
                        about(&format!("{reason} (from {floor} to {durable})"))
                    });
                }
            }
        }
        self.notes.end(number, true);
    }

    fn done(
        &mut self,
        attempt: &Attempt,
        (sequence, replayed, checksum): (u64, bool, u32),
        about: &dyn Fn(&str) -> String,
    ) {
        let durable = self.durable();
        let places = self.notes.call(attempt.call).map(|call| call.places.clone());
        let places = places.unwrap_or_default();
        let its = places.iter().find(|made| made.sequence == sequence);
        if sequence > durable {
            self.fault(FaultKind::Early, || about(&format!("{durable} records are durable")));
        } else if its.is_none_or(|made| made.other_body != attempt.other_body) {
            self.fault(FaultKind::Contradicted, || about("the record there is another request's"));
        } else if self.checksum(sequence) != Some(checksum) {
            self.fault(FaultKind::Contradicted, || about("the record there says something else"));
        }
        if !replayed {
            self.notes.told(attempt.call, sequence);
        }
        if !replayed && attempt.made.is_some_and(|made| made.sequence != sequence) {
            self.fault(FaultKind::Doubled, || about("its key had made another record"));
        }
        // From now on nobody may be shown less.
        self.floor = self.floor.max(sequence);
    }
}
