//! A log of as many purchases as asked for, as a sale would leave it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow, ensure};
use doorbuster::domain::{
    BuyerId, CreateProduct, Handle, LineWish, Name, PlaceOrder, ProductId, Quantity, Terms,
    decide_create, decide_order,
};
use doorbuster::journal::PAYLOAD_BYTES_MAX;
use doorbuster_wal::{DirStorage, Options, Scan};

use super::maker::Maker;
use crate::figures::ROUNDS_MAX;
use crate::seeded::Seeded;

/// Records in one write and sync: what a busy sale has.
const BATCH_RECORDS: u64 = 256;
/// Records decided in the same millisecond.
const RECORDS_PER_MS: u64 = 40;
/// Most products, and numbers of products, of one run.
const PRODUCTS_MAX: u32 = 10_000_000;
const SIZES_MAX: usize = 20;
const BEGUN_AT_MS: u64 = 1_790_000_000_000;

/// What log to make.
#[derive(Debug, Clone, Copy)]
pub struct Making {
    /// Purchases in it.
    pub purchases: u64,
    /// Products they are of, evenly.
    pub products: u32,
    /// Buyers, evenly; each product counts them under a limit where `limited`.
    pub buyers: u64,
    /// Whether each product has a limit per buyer.
    pub limited: bool,
    /// The id of a numbered product.
    pub id: fn(u32) -> String,
    /// The keys under which products were put in are forgotten, as after 24 hours.
    pub forgotten: bool,
}

impl Default for Making {
    fn default() -> Self {
        let id = |number| format!("product-{number}");
        let (limited, forgotten) = (false, false);
        Self { purchases: 0, products: 1, buyers: 1_000_000, limited, id, forgotten }
    }
}

/// Whether logs of so many products can be made, and each measured so often.
///
/// # Errors
/// The bound that is passed.
pub fn check_sizes(sizes: &[u32], rounds: usize) -> anyhow::Result<()> {
    ensure!((1..=ROUNDS_MAX).contains(&rounds), "1 to {ROUNDS_MAX} rounds");
    ensure!((1..=SIZES_MAX).contains(&sizes.len()), "1 to {SIZES_MAX} numbers of products");
    let fits = |products: &u32| (1..=PRODUCTS_MAX).contains(products);
    ensure!(sizes.iter().all(fits), "1 to {PRODUCTS_MAX} products");
    Ok(())
}

/// Writes a log into `directory`, which is made; `progress` hears how many purchases it has.
///
/// # Errors
/// The file system's; a directory that has one.
pub fn make(directory: &Path, making: Making, progress: &mut dyn FnMut(u64)) -> anyhow::Result<()> {
    let storage = Arc::new(DirStorage::open(directory).context("cannot make the directory")?);
    let has_one = Scan::open(Arc::clone(&storage) as _)?.identity().is_some();
    ensure!(!has_one, "{} has a log already", directory.display());
    let payload_bytes_max = u32::try_from(PAYLOAD_BYTES_MAX)?;
    let options = Options { payload_bytes_max, spare_segments: 1, ..Options::default() };
    let mut maker = Maker::begin(storage, options, BEGUN_AT_MS)?;
    maker.has_keys = !making.forgotten;
    for number in 0..making.products {
        let mut terms = Terms::open(Name::new(&format!("Product {number}"))?);
        terms.per_buyer_limit = if making.limited { u32::MAX } else { 0 };
        let product_id = ProductId::new(&(making.id)(number))?;
        let create = CreateProduct { product_id, terms, stock: 1 << 40 };
        let decided = decide_create(&maker.inventory, create, false);
        maker.push(decided.map_err(|refusal| anyhow!("{refusal:?}"))?, None)?;
        commit_in_time(&mut maker)?;
    }
    maker.has_keys = true;
    let mut draws = Seeded::new(1);
    for number in 0..making.purchases {
        let product = u32::try_from(draws.below(u64::from(making.products)))?;
        let quantity = Quantity::new(1)?;
        let line = LineWish { product: Handle::new(product), quantity, unit_price: None };
        let buyer_id = BuyerId::new(&format!("buyer-{}", draws.below(making.buyers)))?;
        let order = PlaceOrder { buyer_id, lines: std::iter::once(line).collect() };
        maker.now_ms += u64::from(number % RECORDS_PER_MS == 0);
        let decided = decide_order(&maker.inventory, order, maker.now_ms);
        let decided = decided.map_err(|refusal| anyhow!("{refusal:?}"))?;
        maker.push(decided, Some(&format!("web-{number}")))?;
        commit_in_time(&mut maker)?;
        if number.is_multiple_of(100_000) {
            progress(number);
        }
    }
    maker.commit()
}

fn commit_in_time(maker: &mut Maker) -> anyhow::Result<()> {
    match maker.next_sequence().is_multiple_of(BATCH_RECORDS) {
        true => maker.commit(),
        false => Ok(()),
    }
}

/// Copies a directory that nobody writes, a log or what stands around it, with all that is in it, on to
/// the disk: what is still to be written there is written while somebody measures.
///
/// # Errors
/// The file system's.
pub fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, to) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &to)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), &to)?;
            std::fs::OpenOptions::new().write(true).open(to)?.sync_all()?;
        }
    }
    Ok(())
}

/// Bytes that a log's frames take, about: zeroed segments count for nothing.
///
/// # Errors
/// The log cannot be read.
pub fn bytes(directory: &Path) -> anyhow::Result<u64> {
    let scan = Scan::open(Arc::new(DirStorage::open_existing(directory)?))?;
    let replayed = scan.replay(&mut |_| Ok(()), &mut |_| {})?;
    Ok(replayed.segments.iter().map(|segment| segment.used_bytes).sum())
}
