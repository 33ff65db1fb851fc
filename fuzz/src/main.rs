//! Runs the target that DOORBUSTER_FUZZ_TARGET names under libFuzzer, which has the command line.
#![no_main]
#![expect(unsafe_code, reason = "libFuzzer calls through C")]

use std::sync::OnceLock;

use doorbuster_fuzz::{TARGETS, Target};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    static TARGET: OnceLock<Target> = OnceLock::new();
    TARGET.get_or_init(named)(bytes);
});

fn named() -> Target {
    let name = std::env::var("DOORBUSTER_FUZZ_TARGET").unwrap_or_default();
    let known = TARGETS.iter().find(|(known, _)| *known == name);
    let names = TARGETS.map(|(name, _)| name).join(", ");
    known.unwrap_or_else(|| panic!("DOORBUSTER_FUZZ_TARGET is one of {names}, not '{name}'")).1
}
