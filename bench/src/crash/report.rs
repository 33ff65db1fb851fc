//! What a campaign is told, and what it tells.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::faults::Faults;
use crate::moment::KINDS;
use crate::rows::Compared;
use crate::shop::Counts;
use crate::under_way::Act;

/// A campaign.
#[derive(Debug, Clone)]
pub struct CrashPlan {
    /// The engine's binary.
    pub engine: PathBuf,
    /// Where the data directory is made.
    pub data_root: PathBuf,
    /// How many processes are killed under load, with
    /// [`IN_FLIGHT_MIN`](super::IN_FLIGHT_MIN) requests in flight; those killed at other moments
    /// come on top.
    pub rounds: u64,
    /// What everything random comes from.
    pub seed: u64,
    /// Connections, each with one request in flight.
    pub in_flight: usize,
    /// Where the projection goes, life by life in turn.
    pub stores: Vec<StoreChoice>,
    /// Size of a segment: small ones change often.
    pub segment_bytes: u64,
    /// Further settings of the engine: `journal_segment_bytes` and its value.
    pub settings: Vec<(String, String)>,
    /// How often the database is compared before the end.
    pub database_checks: u64,
}

/// Where a projection goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreChoice {
    /// The embedded SQLite.
    Sqlite,
    /// The PostgreSQL of a URL, whose schema is not there yet.
    Postgres(String),
}

impl StoreChoice {
    /// Its URL, where it has one.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres(url) => Some(url),
        }
    }

    /// Its name in a report.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}

/// What a campaign found, in one log or in several.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CrashReport {
    /// Its seed: the first log's, as the next log has the next; or that of the log that is kept.
    pub seed: u64,
    /// Logs begun.
    pub logs: u64,
    /// Processes killed.
    pub killed: u64,
    /// The same, by moment.
    pub moments: [u64; KINDS.len()],
    /// Kills at an act whose event did not come in time, so that they fell anywhere.
    pub missed: u64,
    /// Kills after which an act showed to have been under way, by its name; whatever the moment was.
    pub under_way: BTreeMap<String, u64>,
    /// Acts that were to be hit, because this engine does them.
    pub wanted: Vec<String>,
    /// Kills of a stopped process that clients had given up.
    pub given_up: u64,
    /// Requests that were given up, at all kills.
    pub timed_out: u64,
    /// Processes killed with at least [`IN_FLIGHT_MIN`](super::IN_FLIGHT_MIN) requests in flight:
    /// the rounds.
    pub rounds: u64,
    /// Requests in flight at all kills.
    pub in_flight: u64,
    /// Fewest in flight at a kill of a process that was ready.
    pub in_flight_least: Option<usize>,
    /// What the clients heard.
    pub counts: Counts,
    /// Records in the logs.
    pub records: u64,
    /// Of these, by kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Segments of the logs.
    pub segments: usize,
    /// Of these: archived.
    pub archived: usize,
    /// Kills that left a torn write.
    pub torn: u64,
    /// Products whose figures were the log's after a start.
    pub views: u64,
    /// Slowest start, in milliseconds.
    pub start_ms_max: u64,
    /// Comparisons with the database, each with no difference.
    pub database_checks: u64,
    /// What the last one of each log found, by store.
    pub databases: BTreeMap<&'static str, Compared>,
    /// What was wrong.
    pub faults: Faults,
    /// Where the data is, when something was wrong.
    pub kept: Option<PathBuf>,
}

impl CrashReport {
    /// Acts this engine does that no kill fell into.
    #[must_use]
    pub fn never_hit(&self) -> Vec<&str> {
        let hit = |name: &&String| self.under_way.get(*name).is_none_or(|count| *count == 0);
        let acts = self.wanted.iter().filter(hit).map(String::as_str);
        let paused = (self.given_up == 0).then_some("a pause while clients time out");
        acts.chain(paused).collect()
    }

    /// Adds what was found in another log.
    pub fn add(&mut self, other: Self) {
        if other.kept.is_some() {
            self.seed = other.seed;
        }
        self.logs += other.logs;
        self.killed += other.killed;
        for (count, others) in self.moments.iter_mut().zip(other.moments) {
            *count += others;
        }
        self.missed += other.missed;
        for (name, count) in other.under_way {
            *self.under_way.entry(name).or_default() += count;
        }
        let new = |name: &String| !self.wanted.contains(name);
        let new: Vec<_> = other.wanted.into_iter().filter(new).collect();
        self.wanted.extend(new);
        self.given_up += other.given_up;
        self.timed_out += other.timed_out;
        self.rounds += other.rounds;
        self.in_flight += other.in_flight;
        let least = [self.in_flight_least, other.in_flight_least];
        self.in_flight_least = least.into_iter().flatten().min();
        self.counts += other.counts;
        self.records += other.records;
        for (kind, count) in other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
        self.segments += other.segments;
        self.archived += other.archived;
        self.torn += other.torn;
        self.views += other.views;
        self.start_ms_max = self.start_ms_max.max(other.start_ms_max);
        self.database_checks += other.database_checks;
        for (store, compared) in other.databases {
            *self.databases.entry(store).or_default() += compared;
        }
        self.faults.add_all(&other.faults);
        self.kept = self.kept.take().or(other.kept);
    }
}

/// The name of an act in a report: the projection's names its store.
pub(super) fn name_of(act: Act, store: &StoreChoice) -> String {
    match act {
        Act::Projection => format!("{} into {}", act.name(), store.name()),
        _ => act.name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_that_no_kill_fell_into_are_named() {
        let into = |store: &StoreChoice| name_of(Act::Projection, store);
        let postgres = StoreChoice::Postgres("postgres://somewhere".to_owned());
        let wanted = vec![into(&StoreChoice::Sqlite), into(&postgres), "recovery".to_owned()];
        let mut report = CrashReport { wanted, given_up: 1, ..CrashReport::default() };
        report.under_way.insert(into(&StoreChoice::Sqlite), 2);
        assert_eq!(report.never_hit(), ["projection into postgres", "recovery"]);
        report.under_way.insert(into(&postgres), 1);
        report.under_way.insert("recovery".to_owned(), 1);
        assert!(report.never_hit().is_empty());
        report.given_up = 0;
        assert_eq!(report.never_hit(), ["a pause while clients time out"]);
    }

    #[test]
    fn logs_add_up() {
        let log = |rounds, least, wanted: &str| CrashReport {
            logs: 1,
            rounds,
            in_flight_least: least,
            wanted: vec![wanted.to_owned()],
            under_way: BTreeMap::from([(wanted.to_owned(), rounds)]),
            databases: BTreeMap::from([(
                "sqlite",
                Compared { orders: rounds, ..Compared::default() },
            )]),
            start_ms_max: rounds,
            ..CrashReport::default()
        };
        let mut total = CrashReport { seed: 7, ..CrashReport::default() };
        for one in [log(3, Some(40), "a"), log(2, None, "b"), log(4, Some(33), "a")] {
            total.add(one);
        }
        assert_eq!((total.seed, total.logs, total.rounds), (7, 3, 9));
        assert_eq!((total.in_flight_least, total.start_ms_max), (Some(33), 4));
        assert_eq!(
            (&*total.wanted, total.under_way["a"]),
            (&["a".to_owned(), "b".to_owned()][..], 7)
        );
        assert_eq!(total.databases["sqlite"].orders, 9);
    }
}
