//! Progress bars over anything that may take more than a second; on standard error, and only for a
//! person.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over so many bytes.
pub(super) fn over_bytes(bytes: u64, verb: &str) -> ProgressBar {
    styled(bytes, &format!("{verb} {{bar:30}} {{bytes}}/{{total_bytes}} {{eta}}"))
}

/// A bar over so many records.
pub(super) fn over_records(records: u64, verb: &str) -> ProgressBar {
    styled(records, &format!("{verb} {{bar:30}} {{pos}}/{{len}} records {{eta}}"))
}

/// A bar that shows nothing: where what is printed goes to the same screen.
pub(super) fn hidden() -> ProgressBar {
    ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
}

fn styled(len: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(len);
    let style = ProgressStyle::with_template(template);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    // What is done sooner needs none, and nobody looks at a hidden one: it takes no thread.
    if !bar.is_hidden() {
        bar.enable_steady_tick(Duration::from_millis(250));
    }
    bar
}
