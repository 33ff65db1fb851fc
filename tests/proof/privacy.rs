//! Who bought stays out of a proof unless that was asked for: by name, and by a digest on which
//! names could be tried.

use doorbuster::proof::Ask;

use crate::house::{SECRET, against, alone, lines, log, log_of, product, proof, sale};

#[test]
fn names_are_left_out() {
    let storage = log(7, 2);
    for ask in [product("hat"), sale("xmas")] {
        let (_, bytes) = proof(&storage, &ask).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains(SECRET), "{text}");
        // The principal of every record of this log.
        assert!(!text.contains("shop"), "{text}");
        for line in text.lines().filter(|line| line.contains(r#""line":"entry""#)) {
            for field in ["sha256", "buyer", "reference", "principal", "key", "offset", "digest"] {
                assert!(!line.contains(field), "{line}");
            }
        }
    }
}

/// Logs that differ in nothing but names have the same proofs, but for the digests of whole
/// segments: those are over the segments' salts too, 64 random bits that are in no proof.
#[test]
fn no_line_of_a_proof_depends_on_a_name_but_the_digests_of_segments() {
    let told = |who: &str| {
        let (_, bytes) = proof(&log_of(7, 2, who), &sale("xmas")).unwrap();
        let mut lines = lines(&bytes);
        lines.retain(|line| !line.contains("\"sha256\""));
        lines
    };
    let (ann, other) = (told("ann"), told("somebody-with-a-much-longer-name"));
    assert!(ann.len() > 20 && ann == other);
}

#[test]
fn names_are_there_when_asked_for_and_are_checked_too() {
    let storage = log(7, 2);
    let ask = Ask { with_buyers: true, ..product("hat") };
    let (_, bytes) = proof(&storage, &ask).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    for name in ["secret-buyer-1", "secret-buyer-7", "secret-ref-of-buyer", "shop"] {
        assert!(text.contains(name), "{name}");
    }
    // Somebody's words about an adjustment are nobody's business.
    assert!(!text.contains("secret-words"));
    assert_eq!((alone(&bytes).wrong, against(&storage, &bytes)), (None, None));
    let other = crate::house::sealed(text.replace("secret-buyer-7", "secret-buyer-8").as_bytes());
    assert_eq!(alone(&other).wrong, None, "a name adds up to nothing");
    let found = against(&storage, &other).expect("the log knows who bought");
    assert!(found.what.contains("secret-buyer-8"), "{found:?}");
}
