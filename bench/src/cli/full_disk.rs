//! `full-disk`: runs itself again where it may mount, and tells what was found there.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::campaigns::{Common, passed};
use super::{limits, progress, write_json};
use crate::full_disk::{self, DISK_BYTES, FullDiskPlan, FullDiskReport};
use crate::mount::{self, FileSystem};

/// Says to the one outside that it could not mount: not what a check or an error says.
const NOT_MOUNTED: u8 = 77;

/// `full-disk`
#[derive(Debug, clap::Args)]
pub(super) struct FullDiskArgs {
    /// Connections, each with one request in flight.
    #[arg(long, default_value_t = 64, value_parser = limits::connections())]
    connections: usize,
    /// What everything random comes from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What is filled [default: the most real that may be mounted here].
    #[arg(long, value_enum)]
    file_system: Option<FileSystem>,
    /// It runs in a mount namespace of its own, and this is its directory.
    #[arg(long, value_name = "DIR", hide = true, requires = "file_system")]
    inside: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

impl FullDiskArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match &self.inside {
            Some(directory) => self.fill(directory),
            None => self.find_place(),
        }
    }

    /// Tries one kind of file system after the other.
    fn find_place(&self) -> anyhow::Result<ExitCode> {
        let engine = std::path::absolute(self.common.engine()?)?;
        let mut missing = Vec::new();
        for kind in FileSystem::ALL {
            if self.file_system.is_some_and(|only| only != kind) {
                continue;
            }
            let directory = tempfile::Builder::new()
                .prefix("doorbuster-full-disk-")
                .tempdir_in(self.common.data_root())
                .context("cannot make a directory")?;
            let code = self.within(kind, directory.path(), &engine);
            match code.with_context(|| format!("{kind:?} needs {}", kind.needs())) {
                Ok(code) if code == NOT_MOUNTED => {
                    missing.push(format!("{kind:?} needs {}: see above", kind.needs()));
                }
                Ok(code) => return Ok(ExitCode::from(code)),
                Err(error) => missing.push(format!("{error:#}")),
            }
        }
        anyhow::bail!("no small file system may be mounted here: {}", missing.join("; "))
    }

    fn within(&self, kind: FileSystem, directory: &Path, engine: &Path) -> anyhow::Result<u8> {
        let kind_name = clap::ValueEnum::to_possible_value(&kind).context("a name")?;
        let json = self.common.json.as_deref().map(std::path::absolute).transpose()?;
        let text = |path: &Path| path.to_str().map(str::to_owned).context("a path of UTF-8");
        let mut arguments = vec!["full-disk".to_owned(), "--inside".to_owned(), text(directory)?];
        for (name, value) in [
            ("--file-system", kind_name.get_name().to_owned()),
            ("--seed", self.seed.to_string()),
            ("--connections", self.connections.to_string()),
            ("--binary", text(engine)?),
        ] {
            arguments.extend([name.to_owned(), value]);
        }
        if let Some(json) = json {
            arguments.extend(["--json".to_owned(), text(&json)?]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let status = mount::within(kind, &arguments)?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        code.with_context(|| format!("it ended with {status}"))
    }

    fn fill(&self, directory: &Path) -> anyhow::Result<ExitCode> {
        let kind = self.file_system.context("a file system")?;
        let place = match mount::mount(kind, DISK_BYTES, directory) {
            Ok(place) => place,
            Err(error) => {
                eprintln!("{kind:?} is not mounted: {error:#}");
                return Ok(ExitCode::from(NOT_MOUNTED));
            }
        };
        println!("{kind:?} of {} MiB, seed {}", DISK_BYTES >> 20, self.seed);
        let plan = FullDiskPlan {
            engine: self.common.engine()?,
            place,
            directory: directory.to_owned(),
            seed: self.seed,
            connections: self.connections,
        };
        let bar = progress(4);
        let report = full_disk::run(&plan, |what| {
            bar.inc(1);
            bar.set_message(what.to_owned());
        })?;
        bar.finish_and_clear();
        show(&report);
        write_json(self.common.json.as_deref(), &report)?;
        Ok(passed(&report.faults))
    }
}

fn show(report: &FullDiskReport) {
    let counts = &report.counts;
    let [first, second, last] = report.acknowledged;
    let [free_first, free_second] = report.free_bytes;
    println!(
        "{first} acknowledged, then disk-low with {free_first} bytes free; others made room, and it \
         sold again by itself after {} ms; {second} acknowledged, then disk-low with {free_second} \
         bytes free; {} heard disk-low",
        report.healed_ms, counts.disk_low
    );
    println!(
        "killed with {} requests in flight; a start with the disk full: {}",
        report.in_flight, report.refused
    );
    println!(
        "with room, started and sold again: {last} acknowledged, {} refused, {} without an answer and \
         resolved; {} records in the log, {} orders and {} movements in the database",
        counts.refused,
        counts.unknown_had_happened + counts.unknown_happened_then + counts.unknown_refused_then,
        report.records,
        report.database.orders,
        report.database.movements
    );
}
