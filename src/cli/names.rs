//! What a log calls its places and its products, as the world outside knows them.
//!
//! Records name products by handle; the id stands in the record that created the product. Whoever
//! begins in the middle has the ids from the newest snapshot, and those of products created since by
//! a look at the kind of each record in between.

use super::bar;
use super::log::Log;
use crate::domain::{Decision, Handle, Sequence};
use crate::journal::{
    JournalRecords, Kind, Payload, Places, Position, SnapshotReader, SnapshotRow, decode, peek,
    undecoded,
};

/// Names of a log's places and products, as far as they are known.
pub(super) struct Names {
    places: Places,
    /// By handle.
    products: Vec<Option<String>>,
}

impl Names {
    /// Of a journal nothing is read of yet.
    pub(super) fn of_journal(places: Places) -> Self {
        Self { places, products: Vec::new() }
    }

    /// The places.
    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    /// The log has grown, and may have had another owner since.
    pub(super) fn set_places(&mut self, places: Places) {
        self.places = places;
    }

    /// The position of a record.
    pub(super) fn position(&self, sequence: u64) -> Position {
        self.places.position(Sequence::new(sequence))
    }

    /// Learns the name of a product that a record creates.
    pub(super) fn learn(&mut self, payload: &Payload) {
        if let Payload::Record(record) = payload
            && let Decision::ProductCreated(created) = &record.decision
            && let Some(change) = record.envelope.changes.first()
        {
            self.enter(change.handle, created.product_id.as_str());
        }
    }

    /// Learns the name of a product.
    pub(super) fn enter(&mut self, handle: Handle, product_id: &str) {
        // A snapshot's and a creation's handle are both the log's own: without gaps.
        if handle.index() >= self.products.len() {
            self.products.resize(handle.index() + 1, None);
        }
        if let Some(name) = self.products.get_mut(handle.index()) {
            *name = Some(product_id.to_owned());
        }
    }

    /// The name of a product.
    pub(super) fn of(&self, handle: Handle) -> String {
        let name = self.products.get(handle.index()).cloned().flatten();
        name.unwrap_or_else(|| format!("(handle {handle})"))
    }

    /// The handle of a product.
    pub(super) fn handle(&self, product_id: &str) -> Option<Handle> {
        let found = self.products.iter().position(|name| name.as_deref() == Some(product_id))?;
        u32::try_from(found).ok().map(Handle::new)
    }

    /// Learns every product that was created before `sequence`. Says on standard error what it has
    /// to read for that, and what cannot be known any more.
    ///
    /// # Errors
    /// The log cannot be read up to there.
    pub(super) fn learn_before(&mut self, log: &Log, sequence: Sequence) -> anyhow::Result<()> {
        let first = log.journal().segments().first_sequence();
        if sequence.get() <= 1 {
            return Ok(());
        }
        let known = self.learn_from_snapshot(log);
        let from = known.map_or(1, |known| known.get() + 1).max(first);
        if known.is_none() && first > 1 {
            eprintln!(
                "records before {first} were pruned and no snapshot can be read: products created \
                 there are shown by their handle"
            );
        }
        if from >= sequence.get() {
            return Ok(());
        }
        let mut records = log.records_from(Sequence::new(from))?;
        self.learn_creations(&mut records, sequence)
    }

    /// Reads the ids of products from the newest snapshot that can be read; gives its place.
    fn learn_from_snapshot(&mut self, log: &Log) -> Option<Sequence> {
        let snapshots = log.journal().snapshots();
        for sequence in snapshots.list().ok()? {
            let Ok(reader) = snapshots.open(sequence) else { continue };
            let checkpoint = reader.head().checkpoint;
            if log.journal().segments().check_continues(&checkpoint).is_err() {
                continue;
            }
            if let Some(products) = products_of(reader) {
                products.iter().for_each(|(handle, id)| self.enter(*handle, id));
                return Some(sequence);
            }
        }
        None
    }

    /// Looks at the kind of each record before `sequence`, and decodes creations alone.
    fn learn_creations(
        &mut self,
        records: &mut JournalRecords,
        sequence: Sequence,
    ) -> anyhow::Result<()> {
        let first = records.first_sequence().get();
        let bar = bar::over_records(sequence.get() - first, "reading which products there are");
        while let Some(entry) = records.next_entry()? {
            if entry.sequence >= sequence.get() {
                break;
            }
            let undecoded = |error| undecoded(&entry, &error);
            if peek(entry.payload).map_err(undecoded)?.kind == Kind::ProductCreated {
                self.learn(&decode(entry.payload).map_err(undecoded)?);
            }
            if entry.sequence.is_multiple_of(4096) {
                bar.set_position(entry.sequence - first);
            }
        }
        bar.finish_and_clear();
        Ok(())
    }
}

/// The products of a snapshot; `None`: it is damaged where they stand.
fn products_of(mut reader: SnapshotReader) -> Option<Vec<(Handle, String)>> {
    let mut products = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(SnapshotRow::Selling(_))) => {}
            Ok(Some(SnapshotRow::Product(product))) => {
                products.push((product.handle, product.product_id.to_string()));
            }
            // What comes after them is of no interest.
            Ok(_) => return Some(products),
            Err(_) => return None,
        }
    }
}
