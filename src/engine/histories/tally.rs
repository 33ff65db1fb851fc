//! What happened in histories: that they are not tame.

/// What happened in histories.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) records: u64,
    pub(super) refused: u64,
    pub(super) replayed: u64,
    pub(super) expired: u64,
    pub(super) confirmed: u64,
    pub(super) cancelled: u64,
    pub(super) lives: u64,
    pub(super) lost: u64,
    pub(super) without_room: u64,
    pub(super) failed_syncs: u64,
    pub(super) snapshots: u64,
    pub(super) archived: u64,
    pub(super) failed_upkeeps: u64,
    /// States made in another way than by the whole log, and compared.
    pub(super) routes: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.refused += other.refused;
        self.replayed += other.replayed;
        self.expired += other.expired;
        self.confirmed += other.confirmed;
        self.cancelled += other.cancelled;
        self.lives += other.lives;
        self.lost += other.lost;
        self.without_room += other.without_room;
        self.failed_syncs += other.failed_syncs;
        self.snapshots += other.snapshots;
        self.archived += other.archived;
        self.failed_upkeeps += other.failed_upkeeps;
        self.routes += other.routes;
    }

    /// Histories in which everything happens.
    pub(super) fn assert_not_tame(&self) {
        let each = [self.refused, self.replayed, self.expired, self.confirmed, self.cancelled];
        let all = [self.records, self.lives, self.lost, self.without_room, self.failed_syncs];
        let behind = [self.snapshots, self.archived, self.failed_upkeeps, self.routes];
        assert!(
            each.iter().chain(&all).chain(&behind).all(|count| *count > 0),
            "too tame: {self:?}"
        );
    }
}
