//! `damage`: what a start makes of every damage that can be counted.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{exit_code, progress, write_json};
use crate::damage;

/// `damage`
#[derive(Debug, clap::Args)]
pub(super) struct DamageArgs {
    /// Try every so manyth case of each kind only.
    #[arg(long, default_value_t = 1)]
    every: usize,
    /// Writes the whole result into a file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl DamageArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let bar = progress(1);
        bar.set_message("cases");
        let told = |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        };
        let report = damage::run(self.every.max(1), &told)?;
        bar.finish_and_clear();
        println!(
            "damage                  cases      exact  of them refused later    cut    refused"
        );
        let mut all = damage::Counts::default();
        for (name, counts) in &report.kinds {
            show(name, counts);
            all.add(counts);
        }
        show("all", &all);
        for fault in &report.faults {
            println!("fault: {fault}");
        }
        println!("{} faults", report.faults.len());
        write_json(self.json.as_deref(), &report)?;
        Ok(exit_code(report.faults.is_empty()))
    }
}

fn show(name: &str, counts: &damage::Counts) {
    let damage::Counts { cases, exact, refused_later, cut, refused } = counts;
    println!("{name:<20} {cases:>8} {exact:>10} {refused_later:>22} {cut:>6} {refused:>10}");
}
