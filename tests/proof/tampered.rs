//! Whatever is changed in a proof is found: by itself, or by the log. Counted, which of the two.

use doorbuster::proof::{Ask, Shown};

use crate::house::{against, alone, lines, log, product, proof, sale, sealed, wrong};

/// Another digit, of base 16 where it stands among such.
fn other(digit: u8) -> u8 {
    match digit {
        b'9' => b'0',
        b'f' => b'a',
        digit => digit + 1,
    }
}

/// Digits, and the letters of digests.
fn is_digit(text: &[u8], at: usize) -> bool {
    let among =
        |at: usize| text.get(at).is_some_and(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(c));
    let run = (at.saturating_sub(15)..=at).all(among) || (at..at + 16).all(among);
    text[at].is_ascii_digit() || (among(at) && run)
}

/// Changes every digit of a proof, alone and with the digest at the end put right, and says how
/// many were changed, and how many of those with the digest put right only the log tells.
fn every_digit(ask: &Ask) -> (usize, usize) {
    let storage = log(7, 2);
    let (_, bytes) = proof(&storage, ask).unwrap();
    let (mut changed, mut only_by_log) = (0, 0);
    for at in (0..bytes.len()).filter(|at| is_digit(&bytes, *at)) {
        let mut tampered = bytes.clone();
        tampered[at] = other(bytes[at]);
        changed += 1;
        assert!(wrong(&tampered).is_some(), "digit {at}: not found by the proof itself");
        // Whoever changes a digit can compute the digest again.
        let tampered = sealed(&tampered);
        if tampered == bytes {
            // It was a digit of that digest.
            continue;
        }
        let by_itself = wrong(&tampered).is_some();
        let by_log = against(&storage, &tampered).is_some();
        assert!(by_log, "digit {at}: not found by the log");
        only_by_log += usize::from(!by_itself);
        assert_eq!(alone(&tampered).shown_by(&alone(&bytes).sha256.unwrap()), Shown::Nothing);
    }
    (changed, only_by_log)
}

#[test]
fn every_changed_digit_is_found() {
    for (ask, what) in [
        (product("hat"), "a product"),
        (Ask { with_buyers: true, ..product("hat") }, "a product with buyers"),
        (sale("xmas"), "a sale"),
    ] {
        let (changed, only_by_log) = every_digit(&ask);
        println!(
            "{what}: {changed} digits, each found by the proof itself; with the digest computed \
             again {only_by_log} only by the log"
        );
        assert!(changed > 500 && only_by_log > 0 && only_by_log < changed);
    }
}

#[test]
fn every_figure_of_an_entry_is_held_by_the_arithmetic() {
    let storage = log(7, 2);
    let (_, bytes) = proof(&storage, &product("hat")).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    // From the deltas to the end of the line: not one digit that does not have to add up.
    let mut figures = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if let Some(from) = line.find(r#""delta""#) {
            for place in (at + from..at + line.len()).filter(|at| is_digit(text.as_bytes(), *at)) {
                let mut tampered = text.clone().into_bytes();
                tampered[place] = other(tampered[place]);
                let tampered = sealed(&tampered);
                assert!(wrong(&tampered).is_some(), "{line}");
                figures += 1;
            }
        }
        at += line.len();
    }
    assert!(figures > 80, "{figures}");
}

#[test]
fn every_line_removed_doubled_or_swapped_is_found_by_the_proof_itself_or_the_log() {
    let storage = log(7, 2);
    let (_, bytes) = proof(&storage, &sale("xmas")).unwrap();
    let lines = lines(&bytes);
    let check = |lines: Vec<String>, what: &str| {
        let plain = lines.concat().into_bytes();
        assert!(wrong(&plain).is_some(), "{what}");
        let (counted, again) = (counted(&plain), sealed(&plain));
        assert!(wrong(&again).is_some() && wrong(&counted).is_some(), "{what}");
        assert!(against(&storage, &again).is_some(), "{what}");
    };
    for at in 0..lines.len() {
        let mut removed = lines.clone();
        removed.remove(at);
        check(removed, &format!("line {at} removed"));
        let mut doubled = lines.clone();
        doubled.insert(at, lines[at].clone());
        check(doubled, &format!("line {at} doubled"));
    }
    for at in 1..lines.len() {
        let mut swapped = lines.clone();
        swapped.swap(at - 1, at);
        let again = sealed(swapped.concat().as_bytes());
        assert!(wrong(swapped.concat().as_bytes()).is_some(), "lines {at} swapped");
        assert!(against(&storage, &again).is_some(), "lines {at} swapped");
    }
}

/// With the counts of the last line put right, and its digest.
fn counted(bytes: &[u8]) -> Vec<u8> {
    let mut lines = lines(bytes);
    let entries = lines.iter().filter(|line| line.contains(r#""line":"entry""#)).count();
    let end =
        format!(r#"{{"line":"end","lines":{},"entries":{entries},"sha256":""}}"#, lines.len() - 1);
    lines.pop();
    lines.push(end + "\n");
    sealed(lines.concat().as_bytes())
}

#[test]
fn every_cut_is_found_by_the_proof_itself() {
    let storage = log(7, 2);
    let (_, bytes) = proof(&storage, &product("hat")).unwrap();
    for cut in 0..bytes.len() {
        assert!(wrong(&bytes[..cut]).is_some(), "cut at {cut}");
    }
    let end = against(&storage, &bytes[..bytes.len() - 1]).expect("the log has more");
    assert_eq!(end.line as usize, lines(&bytes).len());
    let longer = [&bytes[..], b"\n"].concat();
    assert!(wrong(&longer).is_some() && against(&storage, &longer).is_some());
}

#[test]
fn proof_that_adds_up_and_is_made_up_is_found_by_the_log_and_by_a_published_digest() {
    let storage = log(7, 2);
    let (written, bytes) = proof(&storage, &product("hat")).unwrap();
    // Whoever makes one up has doorbuster too, and says that he is the same journal.
    let (_, made_up) = proof(&log(7, 1), &product("hat")).unwrap();
    assert_eq!(wrong(&made_up), None, "it adds up");
    let found = against(&storage, &made_up).expect("the log says otherwise");
    assert!(found.line < lines(&bytes).len() as u64, "{found:?}");
    assert_eq!(alone(&made_up).shown_by(&written.sha256), Shown::Nothing);
    assert_eq!(alone(&bytes).shown_by(&written.sha256), Shown::Proof);
}

#[test]
fn proof_that_ends_early_is_found_by_the_log() {
    let storage = log(7, 2);
    let (whole, _) = proof(&storage, &product("hat")).unwrap();
    let early = Ask { last_sequence: Some(whole.head.last_sequence - 2), ..product("hat") };
    let (shorter, bytes) = proof(&storage, &early).unwrap();
    assert!(shorter.entries < whole.entries);
    assert_eq!(against(&storage, &bytes), None, "it says where it ends");
    let (said, told) = (shorter.head.last_sequence, whole.head.last_sequence);
    let text = String::from_utf8(bytes).unwrap();
    let longer =
        text.replace(&format!("\"last_sequence\":{said}"), &format!("\"last_sequence\":{told}"));
    let longer = sealed(longer.as_bytes());
    assert_eq!(wrong(&longer), None, "by itself it adds up");
    assert!(against(&storage, &longer).is_some(), "an order is missing");
}

#[test]
fn proof_of_another_journal_is_found_by_the_log() {
    let (_, bytes) = proof(&log(8, 2), &product("hat")).unwrap();
    assert_eq!(wrong(&bytes), None);
    let found = against(&log(7, 2), &bytes).expect("another journal");
    assert_eq!(found.line, 1);
    assert!(found.what.starts_with("it is of journal 0808"), "{found:?}");
}

#[test]
fn digest_of_a_segment_names_the_log_and_shows_no_entries() {
    let (_, bytes) = proof(&log(7, 2), &product("hat")).unwrap();
    let text = lines(&bytes).into_iter().find(|line| line.contains(r#""segment":2,"epoch""#));
    let line: serde_json::Value = serde_json::from_str(&text.unwrap()).unwrap();
    let digest = line["sha256"].as_str().unwrap();
    assert_eq!(alone(&bytes).shown_by(digest), Shown::Segment(2));
    assert_eq!(alone(&bytes).shown_by(&"0".repeat(64)), Shown::Nothing);
}
