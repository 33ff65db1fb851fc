//! Fuzz targets: what is decoded from a disk, given bytes that may be anything.
//!
//! Each target is a function of bytes that panics where a promise is broken: decoding never panics,
//! what decodes encodes to the same bytes again, and where there is a checksum no flipped bit passes.
//! Checksums are put right before decoding, and the bytes are tried as they are too: else nothing
//! random would ever come behind one. What encodes here is written by schema/journal-format.md.
//! `main` runs them under libFuzzer; a test here over the golden files and what random changes make
//! of them.

mod frame;
mod header;
mod log;
mod proof;
mod record;
mod snapshot;

/// A target by its name.
pub type Target = fn(&[u8]);

/// All of them.
pub const TARGETS: [(&str, Target); 5] = [
    ("record", record::fuzz),
    ("frame", frame::fuzz),
    ("header", header::fuzz),
    ("snapshot", snapshot::fuzz),
    ("proof", proof::fuzz),
];

/// Somewhere in `bytes`, by what they hold: so that one input always tries the same bit.
fn some_bit(bytes: &[u8]) -> usize {
    crc32c::crc32c(bytes) as usize % (bytes.len() * 8)
}

/// `bytes` with one bit flipped.
fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(byte) = bytes.get_mut(bit / 8) {
        *byte ^= 1 << (bit % 8);
    }
    bytes
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "reads the golden files")]
mod tests {
    use super::*;

    /// A small generator: the same inputs every time.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % bound as u64) as usize
        }
    }

    fn golden() -> Vec<Vec<u8>> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden");
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|bin| bin == "bin"));
        files.sort();
        assert!(files.len() > 20, "{files:?}");
        files.iter().map(|path| std::fs::read(path).unwrap()).collect()
    }

    #[test]
    fn every_target_keeps_its_promises_on_golden_files_and_what_becomes_of_them() {
        let (mut random, golden) = (Random(0x1234_5678_9abc_def1), golden());
        for (_, target) in TARGETS {
            target(&[]);
            for bytes in &golden {
                target(bytes);
                for _ in 0..20 {
                    let mut changed = bytes.clone();
                    for _ in 0..=random.below(4) {
                        let at = random.below(changed.len());
                        changed[at] = [0, 1, 255, random.below(256) as u8][random.below(4)];
                    }
                    changed.truncate(random.below(changed.len() * 2).max(1));
                    target(&changed);
                }
            }
        }
    }
}
