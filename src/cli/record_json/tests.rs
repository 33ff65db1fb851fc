//! Every kind as it is dumped, to the letter, and as the operators' page says.

use std::collections::BTreeSet;

use super::*;
use crate::domain::{
    AdjustReason, BuyerId, Change, Currency, Handle, HoldConfirmed, HoldExtended, HoldPlaced, Name,
    OrderCancelled, OrderPlaced, Principal, ProductCreated, ProductId, Quantity, Reference,
    RefusalReason, RefusalRow, RefusalsCounted, SaleId, SellingPaused, StockAdjusted, TermsChanged,
    Text, Version,
};
use crate::journal::{Envelope, JournalIdentity, KeyStamp, Kind, Places, Position, Started};

const GUIDE: &str = include_str!("../../../docs/operations/README.md");

/// What stands before the body in each dump below, and in none of the bodies.
const ENVELOPE: [&str; 8] =
    ["sequence", "position", "kind", "at", "principal", "reference", "key_hash", "changes"];

fn line(product: u32, units: u64, cents: Option<u64>) -> OrderLine {
    let euro = |cents| Money::new(cents, Currency::new("EUR").unwrap()).unwrap();
    let (product, quantity) = (Handle::new(product), Quantity::new(units).unwrap());
    OrderLine { product, quantity, unit_price: cents.map(euro) }
}

fn buyer() -> BuyerId {
    BuyerId::new("anna").unwrap()
}

fn order(lines: &[OrderLine]) -> OrderPlaced {
    OrderPlaced { buyer_id: buyer(), lines: lines.iter().copied().collect() }
}

fn ended(hold: u64) -> HoldEnded {
    let lines = [line(0, 1, None)].into_iter().collect();
    HoldEnded { hold: Sequence::new(hold), buyer_id: buyer(), lines }
}

fn record(decision: Decision, handles: &[u32]) -> Payload {
    let change = |handle: &u32| Change { handle: Handle::new(*handle), version: Version::new(7) };
    let envelope = Envelope {
        decided_at_ms: 1_000,
        principal: Principal::new("shop").unwrap(),
        reference: Some(Reference::new("r1").unwrap()),
        key: Some(KeyStamp { hash: [0xab; 16], fingerprint: [0; 8] }),
        changes: handles.iter().map(change).collect(),
    };
    Payload::Record(Record { envelope, decision })
}

fn first_kinds() -> Vec<(Payload, &'static str)> {
    let terms = Terms::open(Name::new("Hat").unwrap());
    let product_id = ProductId::new("hat").unwrap();
    let created = ProductCreated { product_id, terms, stock: 9 };
    let patch =
        TermsPatch { paused: Patch::Set(true), price: Patch::Set(None), ..TermsPatch::default() };
    let sale_id = Some(SaleId::new("s1").unwrap());
    let changed = TermsChanged { sale_id, patch, counting_starts: false };
    let reason = AdjustReason::Other(Text::new("found").unwrap());
    let adjusted =
        StockAdjusted { product: Handle::new(0), delta: -1, reason, stock: 8, unsold: -2 };
    let row = RefusalRow { product: Handle::new(9), reason: RefusalReason::SoldOut, count: 3 };
    let counted = RefusalsCounted { minute_ms: 60_000, rows: vec![row] };
    vec![
        (
            Payload::Started(Started { started_at_ms: 0, binary: "0.1.0".into() }),
            r#"{"binary":"0.1.0"}"#,
        ),
        (Payload::Watermark, "{}"),
        (
            record(Decision::ProductCreated(Box::new(created)), &[0]),
            r#"{"product_id":"hat","stock":9,"terms":{"name":"Hat","price":null,"sale_id":null,"opens_at":null,"closes_at":null,"oversell_limit":0,"safety_stock":0,"per_buyer_limit":null,"low_stock_threshold":null,"paused":false,"returns_free_limit":true}}"#,
        ),
        (
            record(Decision::TermsChanged(Box::new(changed)), &[0, 1]),
            r#"{"sale_id":"s1","patch":{"paused":true,"price":null},"counting_starts":false}"#,
        ),
        (
            record(Decision::StockAdjusted(Box::new(adjusted)), &[0]),
            r#"{"delta":-1,"reason":"other","text":"found","stock":8,"unsold":-2}"#,
        ),
        (
            record(Decision::OrderPlaced(order(&[line(1, 2, Some(250))])), &[1]),
            r#"{"order_id":"ORDER","buyer_id":"anna","lines":[{"line_no":1,"product_id":"cap","quantity":2,"unit_price":{"amount_minor":250,"currency":"EUR"}}]}"#,
        ),
        (
            record(Decision::RefusalsCounted(counted), &[]),
            r#"{"minute":"1970-01-01T00:01:00.000Z","rows":[{"product_id":"(handle 9)","reason":"sold_out","count":3}]}"#,
        ),
    ]
}

fn later_kinds() -> Vec<(Payload, &'static str)> {
    let (hold, expires_at_ms) = (Sequence::new(5), 61_000);
    let lines = [line(0, 1, None)].into_iter().collect();
    let placed = HoldPlaced { buyer_id: buyer(), lines, expires_at_ms };
    let confirmed = HoldConfirmed {
        hold,
        order: order(&[line(0, 1, Some(5))]),
        released: [line(1, 2, None)].into_iter().collect(),
    };
    let OrderLine { product, quantity, unit_price } = line(1, 2, Some(5));
    let back = CancelledLine { place: 2, product, quantity, unit_price, frees_limit: true };
    let cancelled = OrderCancelled {
        order: Sequence::new(6),
        buyer_id: buyer(),
        lines: vec![back],
        reason: Text::new("too big").unwrap(),
        restocked: false,
        whole: true,
    };
    vec![
        (
            record(Decision::HoldPlaced(placed), &[0]),
            r#"{"hold_id":"HOLD","buyer_id":"anna","lines":[{"line_no":1,"product_id":"hat","quantity":1,"unit_price":null}],"expires_at":"1970-01-01T00:01:01.000Z"}"#,
        ),
        (
            record(Decision::HoldExtended(HoldExtended { hold, expires_at_ms }), &[]),
            r#"{"hold_id":"FIVE","expires_at":"1970-01-01T00:01:01.000Z"}"#,
        ),
        (
            record(Decision::HoldConfirmed(Box::new(confirmed)), &[0, 1]),
            r#"{"hold_id":"FIVE","order_id":"ORDER","buyer_id":"anna","lines":[{"line_no":1,"product_id":"hat","quantity":1,"unit_price":{"amount_minor":5,"currency":"EUR"}}],"released":[{"line_no":1,"product_id":"cap","quantity":2,"unit_price":null}]}"#,
        ),
        (
            record(Decision::HoldReleased(ended(5)), &[0]),
            r#"{"hold_id":"FIVE","buyer_id":"anna","lines":[{"line_no":1,"product_id":"hat","quantity":1,"unit_price":null}]}"#,
        ),
        (
            record(Decision::HoldExpired(ended(5)), &[0]),
            r#"{"hold_id":"FIVE","buyer_id":"anna","lines":[{"line_no":1,"product_id":"hat","quantity":1,"unit_price":null}]}"#,
        ),
        (
            record(Decision::OrderCancelled(Box::new(cancelled)), &[1]),
            r#"{"order_id":"SIX","buyer_id":"anna","lines":[{"line_no":3,"product_id":"cap","quantity":2,"unit_price":{"amount_minor":5,"currency":"EUR"},"frees_limit":true}],"reason":"too big","restocked":false,"whole":true}"#,
        ),
        (
            record(Decision::SellingPaused(SellingPaused { paused: true }), &[]),
            r#"{"paused":true}"#,
        ),
    ]
}

/// Records at place 8 of a log that knows two products.
fn dumped() -> Vec<(Payload, String, String)> {
    let identity = JournalIdentity { journal_id: [0; 16], partition: 1, epoch: 1 };
    let mut names = Names::of_journal(Places::of_one_owner(identity));
    (0..).zip(["hat", "cap"]).for_each(|(it, id)| names.enter(Handle::new(it), id));
    let at = |sequence| Position { partition: 1, epoch: 1, sequence: Sequence::new(sequence) };
    let mut all = first_kinds();
    all.extend(later_kinds());
    let dump = |(payload, expected): (Payload, &str)| {
        let line = serde_json::to_string(&RecordJson::new(8, &payload, &names)).unwrap();
        let expected = expected
            .replace("ORDER", &OrderId(at(8)).to_string())
            .replace("HOLD", &HoldId(at(8)).to_string())
            .replace("FIVE", &HoldId(at(5)).to_string())
            .replace("SIX", &OrderId(at(6)).to_string());
        (payload, line, expected)
    };
    all.into_iter().map(dump).collect()
}

#[test]
fn every_kind_is_dumped_to_the_letter() {
    let dumped = dumped();
    assert!(dumped.iter().map(|(payload, ..)| payload.kind()).eq(Kind::ALL), "one of each");
    for (payload, line, body) in dumped {
        let kind = payload.kind().as_str();
        let head = r#"{"sequence":8,"position":"#;
        assert!(line.starts_with(head), "{line}");
        let (_, rest) = line.split_once(&format!(r#""kind":"{kind}""#)).expect("the kind");
        let body = body.strip_prefix('{').unwrap();
        assert!(rest.ends_with(body), "{kind}:\n  {line}\n  {body}");
        let envelope = rest.strip_suffix(body).unwrap();
        let changes = match &payload {
            Payload::Record(record) => record.envelope.changes.as_slice(),
            _ => continue,
        };
        let change = |change: &Change| {
            let product_id = ["hat", "cap"][change.handle.index()];
            format!(r#"{{"product_id":"{product_id}","version":7}}"#)
        };
        let changes: Vec<String> = changes.iter().map(change).collect();
        let changes = match changes.is_empty() {
            true => String::new(),
            false => format!(r#""changes":[{}],"#, changes.join(",")),
        };
        let expected = format!(
            r#","at":"1970-01-01T00:00:01.000Z","principal":"shop","reference":"r1","key_hash":"{}",{changes}"#,
            "ab".repeat(16),
        );
        assert_eq!(envelope, expected, "{kind}");
    }
}

#[test]
fn every_kind_is_dumped_as_the_operators_page_says() {
    let (_, table) = GUIDE.split_once("| kind | has |").expect("the page has the table");
    let rows: Vec<(&str, &str)> = table
        .lines()
        .skip(2)
        .map_while(|line| line.strip_prefix("| ")?.strip_suffix('|')?.split_once('|'))
        .collect();
    for (payload, line, _) in dumped() {
        let kind = format!("`{}`", payload.kind().as_str());
        let row = rows.iter().find(|(kinds, _)| kinds.contains(&kind)).expect(&kind);
        // What stands in brackets is inside what stands before them.
        let mut has = String::new();
        let mut depth = 0;
        for char in row.1.chars() {
            depth += i32::from(char == '(') - i32::from(char == ')');
            has.extend((depth == 0 && char != ')').then_some(char));
        }
        let told: BTreeSet<&str> = has.split('`').skip(1).step_by(2).collect();
        let object: serde_json::Map<_, _> = serde_json::from_str(&line).unwrap();
        let found: BTreeSet<&str> = object.keys().map(String::as_str).collect();
        let found = found.into_iter().filter(|key| !ENVELOPE.contains(key));
        assert_eq!(told, found.collect(), "{kind}");
    }
}
