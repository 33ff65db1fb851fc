//! The ways to damage a log's files.

use std::fmt;

use super::reference::{Files, Variant, make};

/// What a page is to a disk.
const PAGE_BYTES: usize = 4096;

/// One way to damage files.
pub(super) enum Case {
    /// A bit of a file is another.
    Flip { file: String, bit: usize },
    /// A file ends early.
    Cut { file: String, at: usize },
    /// A page of a file is zeros.
    Zero { file: String, page: usize },
    /// A file is gone.
    Missing { file: String },
    /// Two files have each other's content.
    Swapped { one: String, other: String },
    /// A file is there under another name, too.
    Doubled { file: String, name: String },
    /// A file is there that is not the log's.
    Foreign { name: String, bytes: Vec<u8> },
    /// A file has the content of the same one in another directory.
    Replaced { file: String, bytes: Vec<u8>, of: &'static str },
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flip { file, bit } => write!(f, "bit {bit} of {file}"),
            Self::Cut { file, at } => write!(f, "{file} cut at {at}"),
            Self::Zero { file, page } => write!(f, "page {page} of {file}"),
            Self::Missing { file } => write!(f, "without {file}"),
            Self::Swapped { one, other } => write!(f, "{one} and {other} swapped"),
            Self::Doubled { file, name } => write!(f, "{file} as {name}, too"),
            Self::Foreign { name, bytes } => write!(f, "{name} of {} bytes", bytes.len()),
            Self::Replaced { file, of, .. } => write!(f, "{file} of {of}"),
        }
    }
}

impl Case {
    /// The files with this damage.
    pub(super) fn apply(&self, files: &Files) -> Files {
        let mut files = files.clone();
        match self {
            Self::Flip { file, bit } => {
                if let Some(byte) = files.get_mut(file).and_then(|bytes| bytes.get_mut(bit / 8)) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            Self::Cut { file, at } => {
                files.entry(file.clone()).and_modify(|bytes| bytes.truncate(*at));
            }
            Self::Zero { file, page } => {
                let bytes = files.entry(file.clone()).or_default();
                bytes.iter_mut().skip(page * PAGE_BYTES).take(PAGE_BYTES).for_each(|b| *b = 0);
            }
            Self::Missing { file } => {
                files.remove(file);
            }
            Self::Swapped { one, other } => {
                if let (Some(first), Some(second)) = (files.remove(one), files.remove(other)) {
                    files.insert(one.clone(), second);
                    files.insert(other.clone(), first);
                }
            }
            Self::Doubled { file, name } => {
                let bytes = files.get(file).cloned().unwrap_or_default();
                files.insert(name.clone(), bytes);
            }
            Self::Foreign { name, bytes } | Self::Replaced { file: name, bytes, .. } => {
                files.insert(name.clone(), bytes.clone());
            }
        }
        files
    }
}

/// Every case, by kind.
pub(super) fn all(files: &Files) -> anyhow::Result<Vec<(&'static str, Vec<Case>)>> {
    let each = |case: &dyn Fn(&String, &Vec<u8>) -> Vec<Case>| {
        files.iter().flat_map(|(file, bytes)| case(file, bytes)).collect::<Vec<Case>>()
    };
    let flips = each(&|file, bytes| {
        (0..bytes.len() * 8).map(|bit| Case::Flip { file: file.clone(), bit }).collect()
    });
    let cuts = each(&|file, bytes| {
        (0..bytes.len()).map(|at| Case::Cut { file: file.clone(), at }).collect()
    });
    let zeros = each(&|file, bytes| {
        let pages = 0..bytes.len().div_ceil(PAGE_BYTES);
        pages.map(|page| Case::Zero { file: file.clone(), page }).collect()
    });
    let missing = each(&|file, _| vec![Case::Missing { file: file.clone() }]);
    Ok(vec![
        ("bits flipped", flips),
        ("lengths cut", cuts),
        ("pages zeroed", zeros),
        ("files missing", missing),
        ("files swapped", swapped(files)),
        ("files doubled", doubled(files)),
        ("foreign files", foreign()),
        ("of another journal", replaced(files, Variant::Other, "another journal")?),
        ("of a clone", replaced(files, Variant::Clone, "a clone")?),
    ])
}

fn swapped(files: &Files) -> Vec<Case> {
    let names: Vec<&String> = files.keys().collect();
    let mut cases = Vec::new();
    for (place, one) in names.iter().enumerate() {
        for other in names.iter().skip(place + 1) {
            let (one, other) = ((*one).clone(), (*other).clone());
            cases.push(Case::Swapped { one, other });
        }
    }
    cases
}

/// Each file under the name of every other, of the next one, and of a place it was moved from.
fn doubled(files: &Files) -> Vec<Case> {
    let mut names: Vec<String> = files.keys().cloned().collect();
    for number in 0..10 {
        names.push(format!("segment-{number:010}.wal"));
        names.push(format!("archive/segment-{number:010}.wal.zst"));
    }
    names.push("snapshots/snapshot-00000000000000000003.bin".to_owned());
    names.push("snapshots/snapshot-00000000000000009999.bin".to_owned());
    names.push("pruned-0000000002.bin".to_owned());
    let mut cases = Vec::new();
    for file in files.keys() {
        for name in names.iter().filter(|name| *name != file) {
            cases.push(Case::Doubled { file: file.clone(), name: name.clone() });
        }
    }
    cases
}

fn foreign() -> Vec<Case> {
    let contents: [&[u8]; 4] = [b"", b"notes", &[0; 5000], &[0xff; 70_000]];
    let names = [
        "README",
        "segment-7.wal",
        "segment-0000000099.wal",
        "segment-0000000001.wal.bak",
        "spare-9.tmp",
        "fresh.tmp",
        "pruned.tmp",
        "pruned-0000000001.bin",
        "torn-0000000001-4096.bin",
        "archive/notes",
        "archive/packing.tmp",
        "archive/segment-0000000099.wal.zst",
        "snapshots/notes",
        "snapshots/snapshot.tmp",
        "snapshots/snapshot-00000000000000000007.bin",
        "snapshots/snapshot-7.bin",
    ];
    let mut cases = Vec::new();
    for name in names {
        for bytes in contents {
            cases.push(Case::Foreign { name: name.to_owned(), bytes: bytes.to_vec() });
        }
    }
    cases
}

fn replaced(files: &Files, variant: Variant, of: &'static str) -> anyhow::Result<Vec<Case>> {
    let theirs = make(variant)?;
    let differs = theirs.into_iter().filter(|(file, bytes)| files.get(file) != Some(bytes));
    Ok(differs.map(|(file, bytes)| Case::Replaced { file, bytes, of }).collect())
}
