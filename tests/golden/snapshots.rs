//! A golden snapshot: a row of every section, in every form that a field can have.

use std::sync::Arc;

use doorbuster::domain::{
    BuyerId, CountState, EndState, Figures, Handle, LiveHoldState, Name, OrderLine, ProductId,
    ProductState, Quantity, ReturnState, SaleId, Sequence, Terms, Version,
};
use doorbuster::journal::{
    Checkpoint, JournalIdentity, KeyState, SnapshotHead, SnapshotRow, Snapshots,
};
use doorbuster_wal::MemStorage;

use crate::records::{AT_MS, change, key, price};

pub(crate) const FILES: [&str; 1] = ["snapshot_v1.bin"];

fn head() -> SnapshotHead {
    let identity =
        JournalIdentity { journal_id: std::array::from_fn(|n| n as u8), partition: 1, epoch: 2 };
    let checkpoint = Checkpoint { identity, sequence: 40, segment: 3, chain: [0xc4; 32] };
    SnapshotHead { checkpoint, last_ms: Some(AT_MS) }
}

fn product(handle: u32, terms: Terms, counted: Option<u64>, figures: Figures) -> SnapshotRow {
    SnapshotRow::Product(Box::new(ProductState {
        handle: Handle::new(handle),
        product_id: ProductId::new(if handle == 0 { "hat" } else { "cap" }).unwrap(),
        terms,
        terms_version: 3,
        counted_since_ms: counted.map_or(u64::MAX, |_| AT_MS - 5_000),
        counted_since: counted.map(Version::new),
        figures,
        version: Version::new(9),
    }))
}

fn rows() -> Vec<SnapshotRow> {
    let mut limited = Terms::open(Name::new("A hat, größe M").unwrap());
    (limited.price, limited.per_buyer_limit) = (Some(price(1_999, "EUR")), 4);
    (limited.sale_id, limited.paused) = (Some(SaleId::new("friday").unwrap()), true);
    (limited.opens_at_ms, limited.closes_at_ms) = (AT_MS - 9_000, AT_MS + 9_000);
    (limited.oversell_limit, limited.safety_stock) = (2, 1);
    (limited.low_stock_threshold, limited.returns_free_limit) = (Some(3), false);
    let plain = Terms::open(Name::new("A cap").unwrap());
    let anna = || BuyerId::new("anna").unwrap();
    let line = |product, quantity, unit_price| OrderLine {
        product: Handle::new(product),
        quantity: Quantity::new(quantity).unwrap(),
        unit_price,
    };
    vec![
        SnapshotRow::Selling(false),
        product(0, limited, Some(2), Figures { stock: 10, held: 2, sold: 3 }),
        product(1, plain, None, Figures { stock: 7, held: 1, sold: 0 }),
        SnapshotRow::Count(CountState { handle: Handle::new(0), buyer_id: anna(), units: 4 }),
        SnapshotRow::Hold(Box::new(LiveHoldState {
            hold: Sequence::new(31),
            buyer_id: anna(),
            lines: [line(0, 2, Some(price(1_999, "EUR"))), line(1, 1, None)].into_iter().collect(),
            placed_at_ms: AT_MS - 1_000,
            expires_at_ms: AT_MS + 60_000,
            changes: [change(0, 8), change(1, 9)].into_iter().collect(),
        })),
        SnapshotRow::End(EndState {
            hold: Sequence::new(20),
            end: 2,
            by: Sequence::new(25),
            at_ms: AT_MS - 2_000,
        }),
        SnapshotRow::Return(ReturnState {
            order: Sequence::new(12),
            lines: vec![(0, 1), (7, 1_000_000_000)],
        }),
        SnapshotRow::Key(KeyState {
            stamp: key(0x10),
            sequence: Sequence::new(12),
            decided_at_ms: AT_MS - 3_000,
        }),
    ]
}

fn written() -> Vec<u8> {
    let storage = MemStorage::new();
    let snapshots = Snapshots::of_log(Arc::new(storage.clone()));
    snapshots.write(&head(), |writer| rows().iter().try_for_each(|row| writer.row(row))).unwrap();
    storage.bytes("snapshots/snapshot-00000000000000000040.bin").unwrap()
}

/// What reading these bytes gives.
fn read(bytes: Vec<u8>) -> Result<(SnapshotHead, Vec<SnapshotRow>), String> {
    let storage = MemStorage::new();
    storage.set_bytes("snapshots/snapshot-00000000000000000040.bin", bytes);
    let snapshots = Snapshots::of_log(Arc::new(storage));
    let mut reader = snapshots.open(Sequence::new(40)).map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    while let Some(row) = reader.next().map_err(|error| error.to_string())? {
        rows.push(row);
    }
    Ok((*reader.head(), rows))
}

#[test]
fn snapshot_reads_back_and_writes_its_golden_bytes() {
    let bytes = crate::golden(FILES[0], written);
    assert_eq!(read(bytes.clone()), Ok((head(), rows())));
    assert!(written() == bytes, "it is written as it was");
}

#[test]
fn no_changed_bit_and_no_cut_of_a_snapshot_passes_and_none_takes_memory() {
    let bytes = crate::golden(FILES[0], written);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let (found, largest) = crate::allocations::largest(|| read(flipped));
        assert!(found.is_err(), "bit {bit}");
        assert!(largest <= 512 << 10, "bit {bit}: {largest} bytes at once");
    }
    for cut in 0..bytes.len() {
        assert!(read(bytes[..cut].to_vec()).is_err(), "cut at {cut}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(read(longer).unwrap_err().contains("behind its end"));
}

#[test]
fn snapshot_of_the_future_is_named_with_ours() {
    let mut bytes = crate::golden(FILES[0], written);
    bytes[8] = 2;
    let error = read(bytes).unwrap_err();
    assert!(error.contains("has format 2, this binary reads up to 1"), "{error}");
}
