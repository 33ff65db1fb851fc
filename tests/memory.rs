//! What an idle product and a remembered key cost in memory, counted by the allocator.
//!
//! A binary of its own: it counts every allocation of the process, so nothing else may run in it.
//! Rounds each up to 16 bytes, as allocators do, so the figures are not flattered by odd sizes.
#![expect(clippy::unwrap_used, reason = "helpers of a test: a panic is how they fail")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use doorbuster::domain::*;
use doorbuster::engine::{Idempotency, Lookup, Recovered};
use doorbuster::journal::{Envelope, KeyStamp, Payload, Record, encode};

struct Counting;

static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);

fn rounded(bytes: usize) -> usize {
    bytes.next_multiple_of(16)
}

#[expect(unsafe_code, reason = "an allocator can only be an unsafe impl")]
// SAFETY: every call goes to the system's allocator with the arguments it came with; the counter
// is an atomic and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE_BYTES.fetch_add(rounded(layout.size()), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(rounded(layout.size()), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn live() -> usize {
    LIVE_BYTES.load(Ordering::Relaxed)
}

fn created(number: u32, id: &str, name: &str) -> Payload {
    let mut terms = Terms::open(Name::new(name).unwrap());
    terms.price = Some(Money::new(499, Currency::new("GBP").unwrap()).unwrap());
    let product_id = ProductId::new(id).unwrap();
    let created = Box::new(ProductCreated { product_id, terms, stock: 100 });
    let change = Change { handle: Handle::new(number), version: Version::new(1) };
    let envelope = Envelope {
        decided_at_ms: 1,
        principal: Principal::new("shop").unwrap(),
        reference: None,
        key: None,
        changes: smallvec::smallvec![change],
    };
    Payload::Record(Record { envelope, decision: Decision::ProductCreated(created) })
}

/// Bytes of each of so many products, beyond id and name.
fn product_bytes(products: u32) -> usize {
    let mut recovered = Recovered::new(10);
    let mut payload = Vec::with_capacity(1_024);
    let (before, mut texts) = (live(), 0);
    for number in 0..products {
        let (id, name) = (format!("{number:010}"), format!("{number:040}"));
        payload.clear();
        encode(&created(number, &id, &name), &mut payload);
        recovered.replay(Sequence::new(u64::from(number) + 1), &payload).unwrap();
        texts += id.len() + name.len();
    }
    recovered.publish();
    let bytes = (live() - before - texts) / products as usize;
    drop(recovered);
    assert!(live().abs_diff(before) < 100_000, "what was counted is given back");
    bytes
}

/// Bytes of each of so many keys.
fn key_bytes(keys: u64) -> usize {
    let mut table = Idempotency::new(usize::MAX);
    let before = live();
    for number in 0..keys {
        let mut hash = [0; 16];
        let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash[..8].copy_from_slice(&spread.to_le_bytes());
        hash[8..].copy_from_slice(&spread.rotate_left(32).to_le_bytes());
        let stamp = KeyStamp { hash, fingerprint: [1; 8] };
        table.replay(&stamp, Sequence::new(number + 1), 1);
        assert!(matches!(table.look_up(&stamp, 1), Lookup::Found(_)));
    }
    (live() - before) / keys as usize
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn idle_products_and_keys_cost_what_is_promised() {
    // Tables double: the second figure of each pair lies just after a doubling, the worst place.
    for products in [100_000, 120_000] {
        let bytes = product_bytes(products);
        println!("{products} idle products: {bytes} bytes each beyond id and name");
        assert!(bytes <= 300, "{bytes} bytes for each of {products} idle products");
    }
    for keys in [200_000, 240_000] {
        let bytes = key_bytes(keys);
        println!("{keys} keys: {bytes} bytes each");
        assert!(bytes <= 64, "{bytes} bytes for each of {keys} keys");
    }
}
