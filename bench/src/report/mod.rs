//! The report: runs the suite, keeps what it finds, and writes a page with tables and pictures.
//!
//! ```text
//! suite ──► runner: a process for each step ──► OUT/report/raw/*.json ──► targets, sections ──► OUT/REPORT.md
//!                                          └──► OUT/report/flame-*.svg    plots ──► OUT/report/*.svg
//! ```
//!
//! What is shown comes from the files alone, so that a page can be made again without measuring. A step
//! that fails is told on the page, and ends nothing.

mod axis;
mod chart;
mod page;
mod plots;
mod raw;
mod runner;
#[cfg(test)]
mod sample;
mod sections;
mod suite;
mod targets;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, ensure};

use self::plots::PLOTS;
use self::raw::{About, Raw};
use self::runner::Place;
use self::suite::SUITE;
use self::targets::Verdict;

pub use self::suite::Form;

/// What to report.
#[derive(Debug, Clone)]
pub struct ReportPlan {
    /// This program, which runs the steps.
    pub bench: PathBuf,
    /// The engine, where it is not beside this program.
    pub engine: Option<PathBuf>,
    /// Where steps make their data directories.
    pub data_root: PathBuf,
    /// Where `REPORT.md` and `report/` go.
    pub out: PathBuf,
    /// How much is measured; `None`: nothing, the page is made of what is there.
    pub form: Option<Form>,
    /// Names of the steps to run; all without one. What others found before is kept.
    pub only: Vec<String>,
}

/// What happens meanwhile.
#[derive(Debug)]
pub enum Event<'a> {
    /// A step begins.
    Step {
        /// From 1.
        number: usize,
        /// Of so many.
        steps: usize,
        /// Its name.
        name: &'a str,
    },
    /// It is over.
    Ended {
        /// Its name.
        name: &'a str,
        /// Seconds it took.
        seconds: f64,
        /// Why it failed.
        failed: Option<&'a str>,
    },
}

/// How a report ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// Steps that could not be done.
    pub failed: usize,
    /// Targets that were missed.
    pub missed: usize,
    /// Targets whose steps were not run, or could not be done.
    pub not_measured: usize,
}

/// Names of the steps, in their order.
pub fn steps() -> impl Iterator<Item = &'static str> {
    SUITE.iter().map(|step| step.name)
}

/// Runs the suite and writes the page.
///
/// # Errors
/// Files cannot be written or read, a step is named that there is none of, or there are no figures to
/// make a page of.
pub fn run(plan: &ReportPlan, mut watch: impl FnMut(Event<'_>)) -> anyhow::Result<Ending> {
    let pictures = plan.out.join("report");
    let place = Place {
        bench: plan.bench.clone(),
        engine: plan.engine.clone(),
        data_root: plan.data_root.clone(),
        raw: pictures.join("raw"),
        pictures: pictures.clone(),
        commit: runner::commit(&plan.out),
    };
    let unknown = plan.only.iter().find(|name| steps().all(|step| step != **name));
    ensure!(unknown.is_none(), "no step is called {}", unknown.map_or("", |name| name));
    let mut raw = Raw::read(&place.raw)?;
    match plan.form {
        Some(form) => {
            std::fs::create_dir_all(&place.raw)
                .with_context(|| format!("cannot make {}", place.raw.display()))?;
            measure(plan, form, &place, &mut raw, &mut watch)?;
        }
        None => ensure!(
            !raw.steps.is_empty(),
            "no figures are in {}: measure first, or name with --out where they are",
            place.raw.display()
        ),
    }
    let mut drawn = Vec::new();
    for plot in PLOTS {
        let path = pictures.join(plot.file);
        if let Some(svg) = plot.draw(&raw).with_context(|| plot.file)? {
            std::fs::write(&path, svg)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    for entry in std::fs::read_dir(&pictures)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        drawn.extend(name.ends_with(".svg").then_some(name));
    }
    let path = plan.out.join("REPORT.md");
    std::fs::write(&path, page::of(&raw, &drawn, &reasons(&pictures)?))
        .with_context(|| format!("cannot write {}", path.display()))?;
    let rows = targets::rows(&raw);
    let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    Ok(Ending {
        failed: raw.steps.values().filter(|kept| kept.is_empty()).count(),
        missed: count(Verdict::Missed),
        not_measured: count(Verdict::NotMeasured),
    })
}

/// What a person wrote beside the pictures about the targets that were missed.
fn reasons(pictures: &Path) -> anyhow::Result<String> {
    let path = pictures.join("reasons.md");
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text + "\n"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn measure(
    plan: &ReportPlan,
    form: Form,
    place: &Place,
    raw: &mut Raw,
    watch: &mut impl FnMut(Event<'_>),
) -> anyhow::Result<()> {
    let wanted = |name: &str| plan.only.is_empty() || plan.only.iter().any(|only| only == name);
    let steps: Vec<_> = SUITE.iter().filter(|step| wanted(step.name)).collect();
    let begun = Instant::now();
    for (nth, step) in steps.iter().enumerate() {
        watch(Event::Step { number: nth + 1, steps: steps.len(), name: step.name });
        runner::run(step, form, place, raw)?;
        if let Some(kept) = raw.steps.get(step.name) {
            let (seconds, failed) = (kept.seconds, kept.failed.as_deref());
            watch(Event::Ended { name: step.name, seconds, failed });
        }
    }
    // A few steps measured again leave the rest what it was: each step names its own commit.
    if !plan.only.is_empty() && raw.about.is_some() {
        return Ok(());
    }
    let seconds = begun.elapsed().as_secs_f64();
    raw.keep_about(&place.raw, About { form, commit: place.commit.clone(), seconds })
}
