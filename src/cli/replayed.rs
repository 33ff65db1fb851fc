//! The state that the records of a log make, for commands that read it from its files.

use super::exit::{Exit, failure};
use super::log::look_at;
use crate::domain::{Decision, Handle, Inventory, RecordAt, Sequence, apply, check_applicable};
use crate::journal::{JournalFiles, Payload, Record, Tailed};

use std::path::Path;

use indicatif::ProgressBar;

/// The products, holds and returns of the records so far.
#[derive(Default)]
pub(super) struct Replayed {
    /// What they make.
    pub(super) inventory: Inventory,
    /// Ids of products by handle.
    product_ids: Vec<String>,
}

impl Replayed {
    /// Applies the next record.
    ///
    /// # Errors
    /// It cannot be the next: the log is damaged.
    pub(super) fn apply(&mut self, sequence: Sequence, record: &Record) -> anyhow::Result<()> {
        let Record { envelope, decision } = record;
        let at = RecordAt { sequence, at_ms: envelope.decided_at_ms };
        let changes = &envelope.changes;
        check_applicable(&self.inventory, decision, changes, at).map_err(|error| {
            let place = "`doorbuster wal verify` shows the place";
            failure(
                Exit::Damaged,
                format!("the log is damaged: record {sequence}: {error}; {place}"),
            )
        })?;
        apply(&mut self.inventory, decision, changes, at);
        if let Decision::ProductCreated(created) = decision {
            self.product_ids.push(created.product_id.to_string());
        }
        Ok(())
    }

    /// The id of a product.
    pub(super) fn product_id(&self, handle: Handle) -> &str {
        self.product_ids.get(handle.index()).map_or("", String::as_str)
    }

    /// The product of an id.
    pub(super) fn handle(&self, product_id: &str) -> Option<Handle> {
        let place = self.product_ids.iter().position(|known| known == product_id)?;
        u32::try_from(place).ok().map(Handle::new)
    }

    /// Ids of all products, by handle.
    pub(super) fn product_ids(&self) -> impl Iterator<Item = &str> {
        self.product_ids.iter().map(String::as_str)
    }
}

/// The log of a data directory, all of it; `what` is to be done with it.
///
/// # Errors
/// There is none, or its beginning was pruned.
pub(super) fn whole_log(data_dir: &Path, what: &str) -> anyhow::Result<JournalFiles> {
    let log = look_at(data_dir)?;
    check_whole(&log, what)?;
    Ok(log)
}

/// That a log still has its beginning.
///
/// # Errors
/// It was pruned.
pub(super) fn check_whole(log: &JournalFiles, what: &str) -> anyhow::Result<()> {
    match log.first_sequence().get() {
        0 | 1 => Ok(()),
        first => {
            let message = format!(
                "the log begins with record {first}: what lies before was pruned, and without it \
                 nothing can be {what}; use a backup that still has it"
            );
            Err(failure(Exit::Environment, message))
        }
    }
}

/// Visits every decision up to `upto`, in order, behind a progress bar.
///
/// # Errors
/// The log cannot be read, or `visit` fails.
pub(super) fn decisions(
    log: &JournalFiles,
    upto: Sequence,
    bar: &ProgressBar,
    visit: &mut dyn FnMut(Sequence, &Record) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut tail = log.tail(Sequence::new(1))?;
    let mut last = 0;
    while last < upto.get() {
        let Some(Tailed { sequence, payload, .. }) = tail.next()? else {
            anyhow::bail!("the log ends at record {last}, before {upto}");
        };
        last = sequence.get();
        if let Payload::Record(record) = &payload {
            visit(sequence, record)?;
        }
        if last.is_multiple_of(1_024) {
            bar.set_position(last);
        }
    }
    Ok(())
}
