//! Bugs to be found: mistakes that a campaign turns on, one at a time, to show that it would see them.
//!
//! ```text
//! simulate --planted ─► Planted::plant ─► while the guard lives, on this thread: planted(bug) is true
//! ```
//!
//! Each is a place of a line or two in code that ships, `if planted(Planted::X) { .. }`, and the sentence
//! at its variant says what that breaks. Without the cargo feature `planted`, which no build of the product
//! turns on, [`planted`] is a constant `false`: the compiler leaves nothing of it, and nothing can turn one
//! on. One bug per thread, so that campaigns run on all cores beside each other; what a bug touches must
//! therefore run on the thread that planted it.

/// A mistake that can be turned on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Planted {
    /// Answers, views and keys go out before the batch is written and synced.
    AcknowledgeBeforeSync,
    /// A refusal is told at once, though decisions it rests on are not durable.
    RefuseBeforeBarrier,
    /// A view shows a decision as soon as it is made.
    PublishBeforeDurable,
    /// An answer goes out before the view shows what it says.
    AnswerBeforeView,
    /// A segment is taken into use without syncing the directory that names it.
    SkipDirectorySync,
    /// A start that finds a torn tail cuts the sound frame before it, too.
    CutOneFrameTooMany,
    /// A start leaves the sound frames behind a tear in the fresh segment, under the old salt.
    ResurrectStaleFrames,
    /// The fresh segment gets its name before the records written again into it are synced.
    RenameBeforeSync,
    /// The key is looked up before the view is read, so a retry may miss its order and be told "sold out".
    KeyMissRacesView,
    /// A start takes records that a failed sync left in the page cache for durable.
    TrustPageCache,
    /// A start writes the last record that is not proven again twice, and so it is applied twice.
    ApplyTwice,
    /// A caller that stops waiting frees its key, though its command goes on.
    FreeSlotOnTimeout,
    /// A sync that fails is taken for one that succeeded.
    IgnoreSyncError,
    /// A start record takes the sequence of the last record before it.
    ReuseSequence,
    /// A start forgets the keys of the records it replays.
    DropKeyOnReplay,
    /// Holds end by the wall clock, whatever the partition's clock says.
    ExpireByWallClock,
    /// The projector commits rows, and progress stays where it was.
    RowsWithoutProgress,
    /// A hold that is over gives its units back, and no record says so.
    ExpireWithoutRecord,
    /// A refusal keeps its permit for ever.
    LeakPermitOnRefusal,
    /// A refusal keeps its key taken for ever.
    KeepKeyOnRefusal,
    /// A frame claims that it is durable itself, before it is synced.
    ClaimUnsynced,
    /// A sync that failed is tried again, and believed.
    RetrySync,
    /// A key answers with its record whatever the body says.
    AnswerAnotherBody,
    /// A segment gets its name before its header is synced.
    RenameBeforeHeaderSync,
    /// A view says "sold out", though a hold is over whose units are free again.
    RefuseBeforeExpiry,
    /// A start follows the wall clock back behind the last record.
    TimeGoesBack,
    /// A hold that is confirmed in part gives back what was confirmed, too, in what the view shows.
    ReleaseTwice,
    /// A record goes into quarantine because the database was away.
    QuarantineOnOutage,
    /// A segment is removed before its archived copy is durable.
    RemoveBeforeArchived,
    /// A snapshot forgets how holds have ended.
    SnapshotWithoutEnds,
}

impl Planted {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::AcknowledgeBeforeSync,
        Self::RefuseBeforeBarrier,
        Self::PublishBeforeDurable,
        Self::AnswerBeforeView,
        Self::SkipDirectorySync,
        Self::CutOneFrameTooMany,
        Self::ResurrectStaleFrames,
        Self::RenameBeforeSync,
        Self::KeyMissRacesView,
        Self::TrustPageCache,
        Self::ApplyTwice,
        Self::FreeSlotOnTimeout,
        Self::IgnoreSyncError,
        Self::ReuseSequence,
        Self::DropKeyOnReplay,
        Self::ExpireByWallClock,
        Self::RowsWithoutProgress,
        Self::ExpireWithoutRecord,
        Self::LeakPermitOnRefusal,
        Self::KeepKeyOnRefusal,
        Self::ClaimUnsynced,
        Self::RetrySync,
        Self::AnswerAnotherBody,
        Self::RenameBeforeHeaderSync,
        Self::RefuseBeforeExpiry,
        Self::TimeGoesBack,
        Self::ReleaseTwice,
        Self::QuarantineOnOutage,
        Self::RemoveBeforeArchived,
        Self::SnapshotWithoutEnds,
    ];

    /// Its name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AcknowledgeBeforeSync => "acknowledge-before-sync",
            Self::RefuseBeforeBarrier => "refuse-before-barrier",
            Self::PublishBeforeDurable => "publish-before-durable",
            Self::AnswerBeforeView => "answer-before-view",
            Self::SkipDirectorySync => "skip-directory-sync",
            Self::CutOneFrameTooMany => "cut-one-frame-too-many",
            Self::ResurrectStaleFrames => "resurrect-stale-frames",
            Self::RenameBeforeSync => "rename-before-sync",
            Self::KeyMissRacesView => "key-miss-races-view",
            Self::TrustPageCache => "trust-page-cache",
            Self::ApplyTwice => "apply-twice",
            Self::FreeSlotOnTimeout => "free-slot-on-timeout",
            Self::IgnoreSyncError => "ignore-sync-error",
            Self::ReuseSequence => "reuse-sequence",
            Self::DropKeyOnReplay => "drop-key-on-replay",
            Self::ExpireByWallClock => "expire-by-wall-clock",
            Self::RowsWithoutProgress => "rows-without-progress",
            Self::ExpireWithoutRecord => "expire-without-record",
            Self::LeakPermitOnRefusal => "leak-permit-on-refusal",
            Self::KeepKeyOnRefusal => "keep-key-on-refusal",
            Self::ClaimUnsynced => "claim-unsynced",
            Self::RetrySync => "retry-sync",
            Self::AnswerAnotherBody => "answer-another-body",
            Self::RenameBeforeHeaderSync => "rename-before-header-sync",
            Self::RefuseBeforeExpiry => "refuse-before-expiry",
            Self::TimeGoesBack => "time-goes-back",
            Self::ReleaseTwice => "release-twice",
            Self::QuarantineOnOutage => "quarantine-on-outage",
            Self::RemoveBeforeArchived => "remove-before-archived",
            Self::SnapshotWithoutEnds => "snapshot-without-ends",
        }
    }

    /// What it breaks, in a sentence.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::AcknowledgeBeforeSync => "answers go out before the batch is synced",
            Self::RefuseBeforeBarrier => "a refusal is told before what it rests on is durable",
            Self::PublishBeforeDurable => "a view shows a decision before it is durable",
            Self::AnswerBeforeView => "an answer goes out before the view shows what it says",
            Self::SkipDirectorySync => "a segment is used though the directory was not synced",
            Self::CutOneFrameTooMany => "a start cuts the sound frame before a torn tail, too",
            Self::ResurrectStaleFrames => "frames behind a tear come back after they were cut",
            Self::RenameBeforeSync => "the fresh segment is renamed before it is synced",
            Self::KeyMissRacesView => "a key is looked up before the view, and misses its order",
            Self::TrustPageCache => "a start trusts what a failed sync left in the page cache",
            Self::ApplyTwice => "a start writes its last record twice, to be applied twice",
            Self::FreeSlotOnTimeout => "a caller that times out frees its key",
            Self::IgnoreSyncError => "a failed sync is taken for a good one",
            Self::ReuseSequence => "a start record takes the last record's sequence",
            Self::DropKeyOnReplay => "a start forgets the keys of what it replays",
            Self::ExpireByWallClock => "holds end by the wall clock",
            Self::RowsWithoutProgress => "the projector commits rows without progress",
            Self::ExpireWithoutRecord => "a hold ends and no record says so",
            Self::LeakPermitOnRefusal => "a refusal keeps its permit for ever",
            Self::KeepKeyOnRefusal => "a refusal keeps its key taken for ever",
            Self::ClaimUnsynced => "a frame claims to be durable before it is synced",
            Self::RetrySync => "a failed sync is tried again, and believed",
            Self::AnswerAnotherBody => "a key answers a request with another body",
            Self::RenameBeforeHeaderSync => "a segment is renamed before its header is synced",
            Self::RefuseBeforeExpiry => "a view refuses though a hold is over",
            Self::TimeGoesBack => "a start follows the wall clock back behind the last record",
            Self::ReleaseTwice => "a view gives back what a confirmation kept, too",
            Self::QuarantineOnOutage => "a record is quarantined because the database was away",
            Self::RemoveBeforeArchived => "a segment is removed before its copy is durable",
            Self::SnapshotWithoutEnds => "a snapshot forgets how holds have ended",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|bug| bug.name() == name)
    }
}

impl std::fmt::Display for Planted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a mistake is to be made here and now: never, without the cargo feature `planted`.
#[cfg(not(feature = "planted"))]
#[must_use]
#[inline(always)]
pub const fn planted(_: Planted) -> bool {
    false
}

#[cfg(feature = "planted")]
pub use turned_on::{Plant, planted};

#[cfg(feature = "planted")]
mod turned_on {
    use std::cell::Cell;
    use std::marker::PhantomData;

    use super::Planted;

    thread_local! {
        static ON: Cell<Option<Planted>> = const { Cell::new(None) };
    }

    /// A bug that is on, on the thread that planted it, until this is dropped.
    #[derive(Debug)]
    #[must_use = "the bug is on only while this lives"]
    pub struct Plant {
        before: Option<Planted>,
        /// It belongs to its thread.
        not_send: PhantomData<*const ()>,
    }

    impl Planted {
        /// Turns it on for this thread, in place of another that was.
        pub fn plant(self) -> Plant {
            Plant { before: ON.replace(Some(self)), not_send: PhantomData }
        }
    }

    impl Drop for Plant {
        fn drop(&mut self) {
            ON.set(self.before);
        }
    }

    /// Whether a mistake is to be made here and now.
    #[must_use]
    pub fn planted(bug: Planted) -> bool {
        ON.get() == Some(bug)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_case_and_each_finds_its_bug() {
        for bug in Planted::ALL {
            let kebab = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(bug.name().chars().all(kebab), "{bug}");
            assert_eq!(Planted::of_name(bug.name()), Some(*bug));
        }
        assert_eq!(Planted::of_name("none"), None);
    }

    #[cfg(not(feature = "planted"))]
    #[test]
    fn without_the_feature_no_bug_can_be_on() {
        const ON: bool = planted(Planted::AcknowledgeBeforeSync);
        const { assert!(!ON) };
    }

    #[cfg(feature = "planted")]
    #[test]
    fn bug_is_on_for_one_thread_while_its_guard_lives() {
        let bug = Planted::IgnoreSyncError;
        assert!(!planted(bug));
        {
            let _plant = bug.plant();
            assert!(planted(bug) && !planted(Planted::RetrySync));
            std::thread::scope(|scope| {
                scope.spawn(|| assert!(!planted(bug)));
            });
        }
        assert!(!planted(bug));
    }
}
