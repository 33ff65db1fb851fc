//! What a proof holds: every decision of its products, in a form that never changes once it is proven.

use serde_json::Value;

use crate::house::{
    against, alone, archive, go_on, lines, log, product, proof, prune, sale, wrong,
};

fn parsed(bytes: &[u8]) -> Vec<Value> {
    lines(bytes).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["line"] == kind).collect()
}

#[test]
fn every_decision_about_a_product_stands_in_its_proof() {
    let storage = log(7, 2);
    let (written, bytes) = proof(&storage, &product("hat")).unwrap();
    let lines = parsed(&bytes);
    let told: Vec<String> = of(&lines, "entry")
        .iter()
        .map(|entry| {
            let (kind, delta) = (entry["kind"].as_str().unwrap(), &entry["delta"]);
            format!("{kind} {delta} {} of {}", entry["held_and_sold"], entry["at_most"])
        })
        .collect();
    let expected = [
        r#"product_created {"stock":10} 0 of 10"#,
        r#"order_placed {"sold":2} 2 of 10"#,
        r#"order_placed {"sold":1} 3 of 10"#,
        r#"hold_placed {"held":4} 7 of 10"#,
        r#"hold_confirmed {"held":-4,"sold":3} 6 of 10"#,
        r#"hold_placed {"held":1} 7 of 10"#,
        r#"hold_expired {"held":-1} 6 of 10"#,
        r#"stock_adjusted {"stock":3} 6 of 13"#,
        r#"terms_changed {"oversell_limit":1} 6 of 14"#,
        r#"order_cancelled {"sold":-1,"stock":-1} 5 of 13"#,
        r#"hold_placed {"held":1} 6 of 13"#,
        r#"order_placed {"sold":2} 8 of 13"#,
    ];
    assert_eq!(told, expected);
    let closing = &written.closings[0];
    assert_eq!((closing.opening_stock, closing.stock, closing.held, closing.sold), (10, 12, 1, 7));
    assert_eq!(closing.totals.stock_added - closing.totals.stock_removed, closing.stock);
    assert_eq!(of(&lines, "segment").len(), 2, "it draws on both");
    let found = alone(&bytes);
    assert_eq!((found.wrong, found.closings, found.entries), (None, written.closings, 12));
    assert_eq!(found.sha256.as_deref(), Some(&*written.sha256));
    assert_eq!(against(&storage, &bytes), None);
}

#[test]
fn a_sale_has_every_product_that_ever_belonged_to_it_in_one_file() {
    let storage = log(7, 2);
    let (written, bytes) = proof(&storage, &sale("xmas")).unwrap();
    let names: Vec<&str> = written.closings.iter().map(|closing| &*closing.product_id).collect();
    assert_eq!(names, ["hat", "shoe"], "one from the first, one that joined");
    let lines = parsed(&bytes);
    let shoes = of(&lines, "entry").iter().filter(|entry| entry["product_id"] == "shoe").count();
    assert_eq!(shoes as u64, written.closings[1].version, "also from before it joined");
    assert_eq!((wrong(&bytes), against(&storage, &bytes)), (None, None));
}

#[test]
fn proof_stays_the_same_when_the_log_goes_on_and_its_segment_is_closed() {
    let storage = log(7, 2);
    for (ask, with_buyers) in [(product("hat"), false), (sale("xmas"), true)] {
        let ask = doorbuster::proof::Ask { with_buyers, ..ask };
        let (written, before) = proof(&storage, &ask).unwrap();
        go_on(&storage, 7);
        assert_eq!(against(&storage, &before), None, "it is still the log's");
        let last_sequence = Some(written.head.last_sequence);
        let (again, after) =
            proof(&storage, &doorbuster::proof::Ask { last_sequence, ..ask }).unwrap();
        assert_eq!((again.sha256, after == before), (written.sha256, true));
    }
}

#[test]
fn proof_is_the_same_over_the_archive_and_refused_where_the_beginning_is_pruned() {
    let storage = log(7, 2);
    let (written, before) = proof(&storage, &sale("xmas")).unwrap();
    archive(&storage, 7);
    assert_eq!(against(&storage, &before), None);
    let last_sequence = Some(written.head.last_sequence);
    let ask = doorbuster::proof::Ask { last_sequence, ..sale("xmas") };
    assert!(proof(&storage, &ask).unwrap().1 == before);
    prune(&storage);
    let refused = proof(&storage, &ask).unwrap_err().to_string();
    assert!(refused.contains("what came before it was pruned"), "{refused}");
}

#[test]
fn every_length_of_the_log_has_a_sound_proof() {
    let storage = log(7, 2);
    let whole = proof(&storage, &sale("xmas")).unwrap().0.head.last_sequence;
    let mut proofs = 0;
    for last_sequence in 1..=whole {
        let ask = doorbuster::proof::Ask { last_sequence: Some(last_sequence), ..sale("xmas") };
        let Ok((written, bytes)) = proof(&storage, &ask) else { continue };
        assert_eq!(written.head.last_sequence, last_sequence);
        assert_eq!((wrong(&bytes), against(&storage, &bytes)), (None, None), "{last_sequence}");
        proofs += 1;
    }
    assert_eq!(proofs, whole - 1, "all but before the first product");
    let ask = doorbuster::proof::Ask { last_sequence: Some(whole + 1), ..product("hat") };
    let refused = proof(&storage, &ask).unwrap_err().to_string();
    assert!(refused.contains("not proven"), "{refused}");
}

#[test]
fn what_the_log_does_not_know_has_no_proof() {
    let storage = log(7, 2);
    for (ask, told) in [
        (product("hut"), "product hut is not in the log up to sequence"),
        (sale("easter"), "sale easter is not in the log up to sequence"),
    ] {
        let refused = proof(&storage, &ask).unwrap_err().to_string();
        assert!(refused.starts_with(told), "{refused}");
    }
}
