//! An honest story of a few requests, and the same with a lie in it.

use std::collections::BTreeMap;

use super::*;
use crate::made::{self, About, Bytes};

/// Files in a test's hands: what it puts there is durable.
#[derive(Default)]
struct Disk(BTreeMap<String, Vec<u8>>);

impl Files for Disk {
    fn bytes(&self, name: &str, from: usize) -> Option<Vec<u8>> {
        Some(self.0.get(name)?.get(from..).unwrap_or_default().to_vec())
    }
}

impl Disk {
    fn new() -> Self {
        Self([(name(1), made::header(1, 1, [0; 32]))].into())
    }

    fn push(&mut self, sequence: u64, payload: &[u8]) {
        let header = self.0.get(&name(1)).expect("a segment").clone();
        let frame = made::frame(&header, sequence, sequence - 1, payload);
        self.0.entry(name(1)).or_default().extend(frame);
    }

    fn files(&self) -> Vec<(String, Vec<u8>)> {
        self.0.clone().into_iter().collect()
    }
}

fn name(segment: u64) -> String {
    format!("segment-{segment:010}.wal")
}

fn about<'a>(sequence: u64, reference: &'a str, changes: &'a [(u32, u64)]) -> About<'a> {
    let key = u8::try_from(sequence).ok();
    About { at_ms: 100 + sequence, reference: Some(reference), key, changes }
}

fn order(buyer: u16, quantity: u64) -> Wish {
    let lines = vec![WishLine { product: 0, quantity, price: None }];
    Wish::Order { buyer, lines }
}

/// Ten units of product 0, of which b1 has bought two; every client has heard of it.
struct Story {
    witness: Witness,
    disk: Disk,
}

const TERMS: TermsWish = TermsWish {
    price: None,
    opens_at_ms: None,
    closes_at_ms: None,
    oversell_limit: None,
    safety_stock: None,
    per_buyer_limit: None,
    paused: None,
    returns_free_limit: None,
    in_sale: None,
};

impl Story {
    fn new() -> Self {
        let (mut witness, mut disk) = (Witness::default(), Disk::new());
        witness.set_latest_ms(1_000);
        let create = witness.notes.add(Wish::Create { product: 0, stock: 10, terms: TERMS }, true);
        let bought = witness.notes.add(order(1, 2), true);
        let attempts = [witness.ask(create, false, 101), witness.ask(bought, false, 102)];
        let created = Bytes::created(about(2, "c0", &[(0, 1)]), "p0", 10, (0, 0));
        let ordered = Bytes::ordered(about(3, "c1", &[(0, 2)]), "b1", 2);
        disk.push(1, &Bytes::started(1));
        disk.push(2, &created);
        disk.push(3, &ordered);
        let mut story = Self { witness, disk };
        for ((sequence, payload), attempt) in [(2, created), (3, ordered)].into_iter().zip(attempts)
        {
            story.hear(attempt, &done(sequence, &payload, false));
        }
        story
    }

    fn ask(&mut self, wish: Wish) -> u64 {
        let call = self.witness.notes.add(wish, true);
        self.witness.ask(call, false, 110)
    }

    fn hear(&mut self, attempt: u64, heard: &Heard) {
        self.witness.hear(attempt, heard, 120, &self.disk);
    }

    fn see(&mut self, sold: u64, version: u64) {
        let available = 10 - sold;
        let seen = SeenProduct { version, stock: 10, held: 0, sold, available, terms_version: 1 };
        self.witness.see_product(0, Some(seen));
    }
}

fn done(sequence: u64, payload: &[u8], replayed: bool) -> Heard {
    Heard::Done { sequence, replayed, checksum: crc32c::crc32c(payload) }
}

fn sold_out(available: u64, requested: u64) -> Heard {
    Heard::Refused(Said::SoldOut { available, requested })
}

/// What is told in a story is found as what it is; `None`: it is no lie.
fn check(expected: Option<(FaultKind, &str)>, tell: impl FnOnce(&mut Story)) {
    let mut story = Story::new();
    assert!(story.witness.faults.is_empty(), "{}", story.witness.faults);
    tell(&mut story);
    let faults = &story.witness.faults;
    match expected {
        None => assert!(faults.is_empty(), "{faults}"),
        Some((kind, part)) => {
            let told = faults.first().iter().any(|f| f.kind == kind && f.detail.contains(part));
            assert!(told, "{kind:?} {part:?} expected: {faults}");
        }
    }
}

#[test]
fn answer_before_its_record_is_durable_is_found() {
    let ordered = Bytes::ordered(about(4, "c2", &[(0, 3)]), "b2", 1);
    check(Some((FaultKind::Early, "3 records are durable")), |story| {
        let attempt = story.ask(order(2, 1));
        story.hear(attempt, &done(4, &ordered, false));
    });
    check(None, |story| {
        let attempt = story.ask(order(2, 1));
        story.disk.push(4, &ordered);
        story.hear(attempt, &done(4, &ordered, false));
        story.witness.recovered(story.disk.files());
    });
}

#[test]
fn refusal_rests_on_a_durable_state() {
    check(None, |story| {
        let attempt = story.ask(order(2, 9));
        story.hear(attempt, &sold_out(8, 9));
    });
    check(Some((FaultKind::Contradicted, "so many are available")), |story| {
        let attempt = story.ask(order(2, 9));
        story.hear(attempt, &sold_out(7, 9));
    });
    // A state from before what the client had heard.
    check(Some((FaultKind::Contradicted, "so many are available")), |story| {
        let attempt = story.ask(order(2, 11));
        story.hear(attempt, &sold_out(10, 11));
    });
    check(Some((FaultKind::Contradicted, "were asked for")), |story| {
        let attempt = story.ask(order(2, 3));
        story.hear(attempt, &sold_out(8, 3));
    });
    check(Some((FaultKind::Contradicted, "it is paused")), |story| {
        let attempt = story.ask(order(2, 3));
        story.hear(attempt, &Heard::Refused(Said::Paused));
    });
}

#[test]
fn key_tells_what_it_made() {
    let ordered = Bytes::ordered(about(3, "c1", &[(0, 2)]), "b1", 2);
    check(None, |story| {
        let again = story.witness.ask(1, false, 130);
        story.hear(again, &done(3, &ordered, true));
    });
    check(Some((FaultKind::Contradicted, "its key made")), |story| {
        let again = story.witness.ask(1, false, 130);
        story.hear(again, &sold_out(8, 2));
    });
    check(Some((FaultKind::Contradicted, "another request's")), |story| {
        let again = story.witness.ask(1, true, 130);
        story.hear(again, &done(3, &ordered, true));
    });
    check(Some((FaultKind::Contradicted, "nothing is under way")), |story| {
        let attempt = story.ask(order(2, 1));
        story.hear(attempt, &Heard::KeyInFlight);
    });
}

#[test]
fn what_is_shown_is_neither_ahead_nor_behind() {
    check(None, |story| story.see(2, 2));
    check(Some((FaultKind::Early, "product 0")), |story| story.see(0, 1));
    check(Some((FaultKind::Early, "product 0")), |story| story.see(3, 3));
    check(Some((FaultKind::Early, "product 0")), |story| story.witness.see_product(0, None));
    check(Some((FaultKind::Early, "hold 9")), |story| {
        story.witness.see_hold(9, Some(SeenHold::Live { expires_at_ms: 500 }), 120);
    });
    check(Some((FaultKind::Early, "order 3")), |story| story.witness.see_order(3, None));
}

#[test]
fn restart_keeps_what_was_durable_and_adds_what_was_asked() {
    check(None, |story| story.witness.recovered(story.disk.files()));
    check(Some((FaultKind::Lost, "the log ends at 1")), |story| {
        let mut shorter = Disk::new();
        shorter.push(1, &Bytes::started(1));
        story.witness.recovered(shorter.files());
    });
    check(Some((FaultKind::Lost, "durable record 1 is another")), |story| {
        let mut other = Disk::new();
        other.push(1, &Bytes::started(2));
        story.witness.recovered(other.files());
    });
    check(Some((FaultKind::Invented, "nobody asked")), |story| {
        story.disk.push(4, &Bytes::ordered(about(4, "c7", &[(0, 3)]), "b2", 1));
        story.witness.recovered(story.disk.files());
    });
    // It was refused, and nobody went unheard.
    check(Some((FaultKind::Invented, "can have come there unheard")), |story| {
        let attempt = story.ask(order(2, 9));
        story.hear(attempt, &sold_out(8, 9));
        story.disk.push(4, &Bytes::ordered(about(4, "c2", &[(0, 3)]), "b2", 9));
        story.witness.recovered(story.disk.files());
    });
    check(Some((FaultKind::Doubled, "request 1 is in the log at 3 and at 4")), |story| {
        let mut twin = about(4, "c1", &[(0, 3)]);
        twin.key = Some(3);
        story.disk.push(4, &Bytes::ordered(twin, "b1", 2));
        story.witness.recovered(story.disk.files());
    });
    check(Some((FaultKind::Broken, "at most")), |story| {
        let late = About { at_ms: 2_000, ..about(4, "c2", &[(0, 3)]) };
        let _ = story.ask(order(2, 1));
        story.disk.push(4, &Bytes::ordered(late, "b2", 1));
        story.witness.recovered(story.disk.files());
    });
}
