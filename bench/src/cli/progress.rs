//! Progress: a bar on a terminal, a line a minute where there is none, so that a campaign in the
//! background can be followed.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

/// Between two lines where there is no terminal.
const LINES: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(500);
const TICKS_PER_SECOND: u8 = 2;

/// A bar of so many steps on the error output.
pub(super) fn progress(steps: u64) -> ProgressBar {
    styled(steps, "{bar:30} {pos}/{len} {msg} {elapsed}")
}

/// As [`progress`], told in a style of its own.
pub(super) fn styled(steps: u64, template: &str) -> ProgressBar {
    let target = match io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::term_like_with_hz(
            Box::new(Lines::since(Instant::now())),
            TICKS_PER_SECOND,
        ),
    };
    let bar = ProgressBar::with_draw_target(Some(steps), target);
    let style = ProgressStyle::with_template(template);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(TICK);
    bar
}

/// What a bar draws on when nobody sees it move: of its pictures, one a minute becomes a line.
#[derive(Debug)]
struct Lines(Mutex<Drawn>);

#[derive(Debug)]
struct Drawn {
    picture: String,
    told: Instant,
}

impl Lines {
    fn since(now: Instant) -> Self {
        Self(Mutex::new(Drawn { picture: String::new(), told: now }))
    }

    /// The picture that was drawn, if it is time for a line.
    fn due(&self, now: Instant) -> Option<String> {
        let mut drawn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let picture = std::mem::take(&mut drawn.picture);
        let line = picture.trim();
        if line.is_empty() || now.duration_since(drawn.told) < LINES {
            return None;
        }
        drawn.told = now;
        Some(line.to_owned())
    }
}

impl TermLike for Lines {
    fn width(&self) -> u16 {
        120
    }

    fn move_cursor_up(&self, _n: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _n: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _n: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _n: usize) -> io::Result<()> {
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).picture.push_str(text);
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        match self.due(Instant::now()) {
            Some(line) => writeln!(io::stderr(), "{line}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_due_once_a_minute_and_is_the_latest_picture() {
        let began = Instant::now();
        let lines = Lines::since(began);
        let at = |seconds| began + Duration::from_secs(seconds);
        let draw = |picture: &str, seconds| {
            lines.write_str("\r").unwrap();
            lines.write_str(picture).unwrap();
            lines.write_str("   ").unwrap();
            lines.due(at(seconds))
        };
        assert_eq!(draw("1/9", 59), None);
        assert_eq!(draw("2/9", 60).as_deref(), Some("2/9"));
        assert_eq!(draw("3/9", 119), None);
        assert_eq!(lines.due(at(200)), None, "nothing was drawn");
        assert_eq!(draw("4/9", 201).as_deref(), Some("4/9"));
    }
}
