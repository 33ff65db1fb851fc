//! What a log holds, as `wal inspect` and `wal verify` show it.

use doorbuster_wal::{Replayed, RoomAhead, SegmentReport};
use serde::Serialize;

use super::snapshots::SnapshotJson;
use crate::cli::hex;
use crate::cli::log::Log;
use crate::cli::play::number::counted;
use crate::engine::Recovered;
use crate::journal::JournalError;

/// How often a torn tail is looked at again: beside a running engine it is a batch being written.
const LOOKS: usize = 5;

/// What a log holds.
#[derive(Serialize)]
pub(super) struct LogJson {
    journal_id: String,
    partition: u16,
    epoch: u32,
    epochs: Vec<EpochJson>,
    /// 1, or more in a log that was pruned.
    pub(super) first_sequence: u64,
    last_sequence: u64,
    pub(super) durable_watermark: u64,
    /// What is published: `proof check --digest` takes it.
    digest: DigestJson,
    torn_tail: Option<String>,
    room: RoomJson,
    segments: Vec<SegmentJson>,
    pub(super) snapshots: Vec<SnapshotJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<StateJson>,
}

#[derive(Serialize)]
struct EpochJson {
    epoch: u32,
    first_sequence: u64,
}

#[derive(Serialize)]
struct DigestJson {
    sequence: u64,
    sha256: String,
}

#[derive(Serialize)]
struct RoomJson {
    last_segment_bytes: u64,
    spare_segments: u64,
    spare_bytes: u64,
}

#[derive(Serialize)]
struct SegmentJson {
    file: String,
    segment: u64,
    archived: bool,
    epoch: u32,
    first_sequence: u64,
    last_sequence: u64,
    records: u64,
    used_bytes: u64,
    file_bytes: u64,
    stored_bytes: u64,
    chain_before: String,
    sha256: String,
}

/// What the records make, when they were applied too.
#[derive(Serialize)]
pub(super) struct StateJson {
    products: usize,
    stock: u64,
    held: u64,
    sold: u64,
    live_holds: usize,
    idempotency_keys: u64,
    state_hash: String,
    /// Record from which on it was checked that each can follow; 1 but in a pruned log.
    pub(super) followed_from: u64,
}

impl StateJson {
    pub(super) fn new(recovered: &Recovered, followed_from: u64) -> Self {
        let figures = || recovered.inventory.products().map(|(_, product)| product.figures);
        Self {
            products: recovered.inventory.len(),
            stock: figures().map(|figures| figures.stock).sum(),
            held: figures().map(|figures| figures.held).sum(),
            sold: figures().map(|figures| figures.sold).sum(),
            live_holds: recovered.inventory.holds().len(),
            idempotency_keys: recovered.keys(),
            state_hash: hex(&recovered.state_hash()),
            followed_from,
        }
    }
}

/// The outline of a log. A batch that is being written beside it is waited for, so that only one
/// that nobody finishes is told as torn.
///
/// # Errors
/// The last segment is damaged, or the log cannot be read.
pub(super) fn settled_outline(log: &Log) -> Result<Replayed, JournalError> {
    let mut outline = log.journal().segments().outline()?;
    for _ in 0..LOOKS {
        if outline.torn.is_none() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
        outline = log.journal().segments().outline()?;
    }
    Ok(outline)
}

/// The report of a log, without its state.
///
/// # Errors
/// The log cannot be read.
pub(super) fn report(
    log: &Log,
    outline: &Replayed,
    snapshots: Vec<SnapshotJson>,
) -> Result<LogJson, JournalError> {
    let (identity, scan) = (log.identity(), log.journal().segments());
    let last = outline.segments.last();
    let room = last.map(|last| scan.room_ahead(last)).transpose()?;
    let RoomAhead { last_segment_bytes, spare_segments, spare_bytes } =
        room.unwrap_or(RoomAhead { last_segment_bytes: 0, spare_segments: 0, spare_bytes: 0 });
    let proven = outline.proven_sequence;
    // Before the first record there is nothing to be proven.
    let digest = match proven >= scan.first_sequence() {
        true => hex(&scan.digest_upto(proven)?),
        false => last.map_or(String::new(), |last| hex(&last.header.chain)),
    };
    Ok(LogJson {
        journal_id: hex(&identity.journal_id),
        partition: identity.partition,
        epoch: identity.epoch,
        epochs: epochs(&outline.segments),
        first_sequence: scan.first_sequence(),
        last_sequence: outline.last_sequence,
        durable_watermark: proven,
        digest: DigestJson { sequence: proven, sha256: digest },
        torn_tail: outline.torn.as_ref().map(ToString::to_string),
        room: RoomJson { last_segment_bytes, spare_segments, spare_bytes },
        segments: outline.segments.iter().map(segment).collect(),
        snapshots,
        state: None,
    })
}

fn epochs(segments: &[SegmentReport]) -> Vec<EpochJson> {
    let mut epochs: Vec<EpochJson> = Vec::new();
    for SegmentReport { header, .. } in segments {
        let epoch = header.identity.epoch;
        if epochs.last().is_none_or(|last| last.epoch != epoch) {
            epochs.push(EpochJson { epoch, first_sequence: header.first_sequence });
        }
    }
    epochs
}

fn segment(report: &SegmentReport) -> SegmentJson {
    SegmentJson {
        file: report.file.clone(),
        segment: report.header.segment,
        archived: report.is_archived,
        epoch: report.header.identity.epoch,
        first_sequence: report.header.first_sequence,
        last_sequence: report.last_sequence,
        records: report.frames,
        used_bytes: report.used_bytes,
        file_bytes: report.file_bytes,
        stored_bytes: report.stored_bytes,
        chain_before: hex(&report.header.chain),
        sha256: hex(&report.digest),
    }
}

impl LogJson {
    /// Records up to the proven watermark.
    pub(super) fn proven_records(&self) -> u64 {
        (self.durable_watermark + 1).saturating_sub(self.first_sequence)
    }

    /// Shows it to a person.
    pub(super) fn show(&self, out: &mut String) {
        let Self { journal_id, partition, epoch, .. } = self;
        out.push_str(&format!("journal {journal_id}, partition {partition}, epoch {epoch}\n"));
        for EpochJson { epoch, first_sequence } in self.epochs.iter().skip(1) {
            out.push_str(&format!("  epoch {epoch} begins with record {first_sequence}\n"));
        }
        self.show_segments(out);
        if self.first_sequence > 1 {
            let before = self.first_sequence - 1;
            out.push_str(&format!("records 1 to {before} were pruned\n"));
        }
        self.show_snapshots(out);
        let (last, watermark) = (self.last_sequence, self.durable_watermark);
        out.push_str(&format!("last sequence {last}, proven durable up to {watermark}\n"));
        let DigestJson { sequence, sha256 } = &self.digest;
        out.push_str(&format!("digest up to {sequence}: {sha256}\n"));
        if let Some(torn) = &self.torn_tail {
            out.push_str(&format!("then {torn}; the next start cuts it and keeps a copy\n"));
        }
        let RoomJson { last_segment_bytes, spare_segments, spare_bytes } = self.room;
        out.push_str(&format!(
            "room ahead: {last_segment_bytes} bytes in the last segment, {spare_bytes} in \
             {spare_segments} zeroed ahead\n"
        ));
        if let Some(state) = &self.state {
            state.show(out);
        }
    }

    fn show_segments(&self, out: &mut String) {
        let mut table = plain_table();
        table.set_header([
            "segment",
            "sequences",
            "records",
            "used bytes",
            "stored bytes",
            "sha256",
        ]);
        for segment in &self.segments {
            table.add_row([
                segment.file.clone(),
                format!("{} to {}", segment.first_sequence, segment.last_sequence),
                segment.records.to_string(),
                segment.used_bytes.to_string(),
                segment.stored_bytes.to_string(),
                segment.sha256.get(..16).unwrap_or_default().to_owned(),
            ]);
        }
        out.push_str(&format!("{table}\n"));
    }

    fn show_snapshots(&self, out: &mut String) {
        if self.snapshots.is_empty() {
            return out.push_str("no snapshots: a start reads the whole log\n");
        }
        let mut table = plain_table();
        table.set_header(["snapshot", "after record", "bytes", "state hash", "it is"]);
        for snapshot in &self.snapshots {
            table.add_row(snapshot.row());
        }
        out.push_str(&format!("{table}\n"));
    }
}

impl StateJson {
    fn show(&self, out: &mut String) {
        let Self { products, stock, held, sold, live_holds, idempotency_keys, state_hash, .. } =
            self;
        out.push_str(&format!(
            "{}: {stock} stock, {held} held, {sold} sold; {}, {}\nstate hash {state_hash}\n",
            counted(*products as u64, "product"),
            counted(*live_holds as u64, "live hold"),
            counted(*idempotency_keys, "idempotency key"),
        ));
    }
}

fn plain_table() -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table
}
