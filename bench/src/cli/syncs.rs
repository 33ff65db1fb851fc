//! `syncs`: ways to make a write durable.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::costs::shown;
use super::{limits, progress, write_json};
use crate::syncs::{self, SyncsPlan};

/// `syncs`
#[derive(Debug, clap::Args)]
pub(super) struct SyncsArgs {
    /// Turns of each way.
    #[arg(long, default_value_t = 3, value_parser = limits::rounds())]
    rounds: usize,
    /// Seconds of a turn.
    #[arg(long, default_value_t = 2, value_parser = limits::seconds_upto(syncs::SECONDS_MAX))]
    seconds: u64,
    /// Threads that keep their processors busy meanwhile, as a sale does.
    #[arg(long, default_value_t = 0)]
    busy: usize,
    /// Where the file is made [default: the system's place for temporary files].
    #[arg(long, value_name = "DIR")]
    data_root: Option<PathBuf>,
    /// Writes the whole result into a file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl SyncsArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let plan = SyncsPlan {
            data_root: self.data_root.unwrap_or_else(std::env::temp_dir),
            rounds: self.rounds,
            measured: Duration::from_secs(self.seconds),
            busy: self.busy,
        };
        let bar = progress(0);
        let report = syncs::run(&plan, |way| bar.set_message(way.name()))?;
        bar.finish_and_clear();
        println!("{:<32} {:>26} {:>22} {:>22}", "2 KiB", "a second", "p50 µs", "processor µs");
        for way in &report.ways {
            let name = way.way.name();
            match &way.missing {
                Some(why) => println!("{name:<32} {why}"),
                None => println!(
                    "{name:<32} {:>26} {:>22} {:>22}",
                    shown(way.per_second, 0),
                    shown(way.p50_us, 0),
                    shown(way.cpu_us, 1)
                ),
            }
        }
        write_json(self.json.as_deref(), &report)?;
        Ok(ExitCode::SUCCESS)
    }
}
