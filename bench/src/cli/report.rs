//! `report`: the whole suite as a page.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;

use super::{binary, exit_code};
use crate::report::{self, Ending, Event, Form, ReportPlan};

/// `report`
#[derive(Debug, clap::Args)]
pub(super) struct ReportArgs {
    /// Measures for hours instead of minutes.
    #[arg(long, conflicts_with = "from_raw")]
    full: bool,
    /// Measures nothing: makes the page again of the figures that are there.
    #[arg(long)]
    from_raw: bool,
    /// Runs these steps alone; what others found before stays.
    #[arg(long, value_name = "STEP", value_delimiter = ',', conflicts_with = "from_raw")]
    #[arg(value_parser = PossibleValuesParser::new(report::steps()))]
    only: Vec<String>,
    /// Where REPORT.md and report/ go.
    #[arg(long, value_name = "DIR", default_value = "bench")]
    out: PathBuf,
    /// The engine [default: doorbuster beside this program].
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Where data directories are made [default: the system's place for temporary files].
    #[arg(long, value_name = "DIR")]
    data_root: Option<PathBuf>,
}

impl ReportArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let form = if self.full { Form::Full } else { Form::Short };
        let plan = ReportPlan {
            bench: std::env::current_exe()?,
            engine: self.binary.map(|path| binary(Some(&path))).transpose()?,
            data_root: self.data_root.unwrap_or_else(std::env::temp_dir),
            out: self.out,
            form: (!self.from_raw).then_some(form),
            only: self.only,
        };
        let ending = report::run(&plan, show)?;
        let page = plan.out.join("REPORT.md");
        let Ending { failed, missed, not_measured } = ending;
        println!(
            "{}: {missed} targets missed, {not_measured} not measured, {failed} steps could not be done",
            page.display()
        );
        // What was missed was measured all the same.
        Ok(exit_code(failed == 0))
    }
}

fn show(event: Event<'_>) {
    match event {
        Event::Step { number, steps, name } => println!("{number}/{steps} {name}"),
        Event::Ended { seconds, failed: None, .. } => println!("    {seconds:.0} s"),
        Event::Ended { seconds, failed: Some(why), .. } => println!("    {seconds:.0} s, {why}"),
    }
}
