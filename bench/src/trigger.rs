//! Stops or kills a process at the moment an act is under way, seen from outside.
//!
//! ```text
//! an event of its files ─► SIGKILL                                 as it comes
//!          ▲             └► SIGSTOP ─► does the act show? ─ yes ─► stopped: its caller kills it
//!          └──────────── SIGCONT ◄──────── no ───┘
//! ```
//!
//! The files' events are the system's own (inotify), heard on a thread that does nothing else; a
//! transaction in PostgreSQL is seen from another session. The product has no part in it.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use crate::archive::ARCHIVE_DIR;
use crate::sessions::Sessions;
use crate::under_way::{Act, Before, JOURNAL_DIR, SNAPSHOTS_DIR, SQLITE_LOG};

/// How long a process may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// How often a process is looked at that should stop.
const LOOK: Duration = Duration::from_micros(200);

/// What is done to the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// SIGKILL at the event, whatever shows.
    Kill,
    /// SIGSTOP, until one falls where the act shows; the process stays stopped.
    Stop,
}

/// Waits for the events of one act.
#[derive(Debug)]
pub struct Trigger {
    act: Act,
    data_dir: PathBuf,
    before: Before,
    heard: Heard,
}

#[derive(Debug)]
enum Heard {
    Files(OwnedFd),
    /// The URL of a PostgreSQL.
    Sessions(String),
}

/// How to strike.
#[derive(Debug, Clone)]
pub struct Strike {
    /// Whom.
    pub pid: u32,
    /// At which event, counted from 1.
    pub event: u64,
    /// How long after it.
    pub after: Duration,
    /// How.
    pub blow: Blow,
    /// Requests in flight.
    pub in_flight: Arc<AtomicUsize>,
    /// How long to wait for it.
    pub limit: Duration,
}

/// A blow that fell.
#[derive(Debug, Clone, Default)]
pub struct Struck {
    /// Requests in flight right before.
    pub in_flight: usize,
    /// The transaction that was under way in PostgreSQL.
    pub transaction: Option<String>,
}

impl Trigger {
    /// Begins to watch for `act`. `None`: there is nothing to watch yet.
    ///
    /// # Errors
    /// The system's.
    pub fn set(
        act: Act,
        data_dir: &Path,
        before: Before,
        database_url: Option<&str>,
    ) -> io::Result<Option<Self>> {
        let heard = match (act, database_url) {
            (Act::Projection, Some(url)) => Heard::Sessions(url.to_owned()),
            _ => match watch(act, data_dir)? {
                Some(events) => Heard::Files(events),
                None => return Ok(None),
            },
        };
        Ok(Some(Self { act, data_dir: data_dir.to_owned(), before, heard }))
    }

    /// Waits for the moment and strikes. `None`: it did not come, and the process goes on. Blocks.
    ///
    /// # Errors
    /// The process cannot be struck, or has ended.
    pub fn strike(self, strike: &Strike) -> anyhow::Result<Option<Struck>> {
        let until = Instant::now() + strike.limit;
        let pid = i32::try_from(strike.pid).ok().and_then(Pid::from_raw);
        let pid = pid.context("a process id")?;
        match &self.heard {
            Heard::Files(events) => self.at_events(events, pid, strike, until),
            Heard::Sessions(url) => Sessions::open(url)?.strike(pid, strike, until),
        }
    }

    fn at_events(
        &self,
        events: &OwnedFd,
        pid: Pid,
        strike: &Strike,
        until: Instant,
    ) -> anyhow::Result<Option<Struck>> {
        let mut wanted = strike.event;
        loop {
            if !self.wait(events, wanted, until)? {
                return Ok(None);
            }
            std::thread::sleep(strike.after);
            let struck =
                Struck { in_flight: strike.in_flight.load(Ordering::Relaxed), transaction: None };
            if strike.blow == Blow::Kill {
                kill_process(pid, Signal::KILL)?;
                return Ok(Some(struck));
            }
            stop(pid)?;
            if self.before.shows(self.act, &self.data_dir)? {
                return Ok(Some(struck));
            }
            // What came before it goes on is not news.
            while self.next(events)?.is_some() {}
            kill_process(pid, Signal::CONT)?;
            wanted = 1;
        }
    }

    /// Waits for as many events; whether they came.
    fn wait(&self, events: &OwnedFd, wanted: u64, until: Instant) -> anyhow::Result<bool> {
        let mut seen = 0;
        while seen < wanted {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return Ok(false) };
            let timeout = Timespec::try_from(left).context("a time to wait")?;
            let mut readable = [PollFd::new(events, PollFlags::IN)];
            match poll(&mut readable, Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(marking) = self.next(events)? {
                seen += marking;
            }
        }
        Ok(true)
    }

    /// How many of the events that have come mark the act; `None`: none have come.
    fn next(&self, events: &OwnedFd) -> io::Result<Option<u64>> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(events, &mut buffer);
        let mut marking = 0;
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().and_then(|name| name.to_str().ok());
                    marking += u64::from(marks(self.act, name.unwrap_or_default(), event.events()));
                    if reader.is_buffer_empty() {
                        return Ok(Some(marking));
                    }
                }
                Err(Errno::AGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn watch(act: Act, data_dir: &Path) -> io::Result<Option<OwnedFd>> {
    let journal = data_dir.join(JOURNAL_DIR);
    let directory = match act {
        Act::Recovery | Act::SegmentChange => journal,
        Act::Projection => data_dir.to_owned(),
        Act::Snapshot => journal.join(SNAPSHOTS_DIR),
        Act::Archiving => journal.join(ARCHIVE_DIR),
    };
    if !directory.is_dir() {
        return Ok(None);
    }
    let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    let of_interest = WatchFlags::OPEN
        | WatchFlags::CREATE
        | WatchFlags::MODIFY
        | WatchFlags::MOVED_TO
        | WatchFlags::DELETE;
    inotify::add_watch(&events, &directory, of_interest)?;
    Ok(Some(events))
}

/// Whether an event of a file marks an act.
fn marks(act: Act, name: &str, event: ReadFlags) -> bool {
    match act {
        // Headers and segments are opened, a fresh one is made, written and named.
        Act::Recovery => !event.contains(ReadFlags::DELETE),
        Act::SegmentChange => name.starts_with("segment-") && event.contains(ReadFlags::MOVED_TO),
        Act::Projection => SQLITE_LOG == name && event.contains(ReadFlags::MODIFY),
        Act::Snapshot | Act::Archiving => {
            name.ends_with(".tmp") && event.intersects(ReadFlags::CREATE | ReadFlags::MODIFY)
                || event.contains(ReadFlags::MOVED_TO)
        }
    }
}

/// SIGSTOP, then waits until each of its threads has stopped.
///
/// # Errors
/// It has ended, or does not stop.
pub(crate) fn stop(pid: Pid) -> anyhow::Result<()> {
    kill_process(pid, Signal::STOP)?;
    let until = Instant::now() + STOP_LIMIT;
    while !is_stopped(pid)? {
        ensure!(Instant::now() < until, "it does not stop");
        std::thread::sleep(LOOK);
    }
    Ok(())
}

fn is_stopped(pid: Pid) -> anyhow::Result<bool> {
    let tasks = format!("/proc/{}/task", pid.as_raw_nonzero());
    for task in std::fs::read_dir(&tasks).context("it has ended")? {
        let stat = std::fs::read_to_string(task?.path().join("stat")).unwrap_or_default();
        // The state stands behind the name, which may hold anything.
        let state = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        ensure!(!state.starts_with('Z'), "it has ended");
        if !(state.starts_with('T') || state.is_empty()) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    /// Writes a snapshot again and again, under a temporary name. All of it in one process: what a
    /// shell had begun, such as a renaming, would go on though the shell is stopped.
    fn writer(data_dir: &Path) -> Child {
        let script = r#"while (1) {
            open(my $file, ">", "$ARGV[0]/s.tmp") or die; print $file "half"; close($file);
            open($file, ">>", "$ARGV[0]/s.tmp") or die; print $file "whole"; close($file);
            rename("$ARGV[0]/s.tmp", "$ARGV[0]/s.bin") or die;
        }"#;
        let directory = data_dir.join(JOURNAL_DIR).join(SNAPSHOTS_DIR);
        std::fs::create_dir_all(&directory).expect("room");
        Command::new("perl").arg("-e").arg(script).arg(directory).spawn().expect("perl")
    }

    fn struck(blow: Blow) {
        let directory = tempfile::tempdir().expect("a directory");
        let data_dir = directory.path();
        std::fs::create_dir_all(data_dir.join(JOURNAL_DIR).join(SNAPSHOTS_DIR)).expect("room");
        let before = Before::look(data_dir).expect("a directory");
        let trigger = Trigger::set(Act::Snapshot, data_dir, before.clone(), None);
        let trigger = trigger.expect("inotify").expect("there is a directory");
        let mut child = writer(data_dir);
        let strike = Strike {
            pid: child.id(),
            event: 5,
            after: Duration::ZERO,
            blow,
            in_flight: Arc::new(AtomicUsize::new(7)),
            limit: Duration::from_secs(60),
        };
        let struck = trigger.strike(&strike).expect("it runs").expect("there are events");
        assert_eq!(struck.in_flight, 7);
        if blow == Blow::Stop {
            assert!(before.shows(Act::Snapshot, data_dir).expect("a directory"));
            assert_eq!(child.try_wait().expect("a child"), None, "it is stopped");
            child.kill().expect("a child");
        }
        assert!(!child.wait().expect("a child").success());
    }

    #[test]
    fn a_stop_falls_where_the_act_shows() {
        struck(Blow::Stop);
    }

    #[test]
    fn a_kill_falls_at_the_event() {
        struck(Blow::Kill);
    }

    #[test]
    fn a_moment_that_does_not_come_harms_nobody() {
        let directory = tempfile::tempdir().expect("a directory");
        let data_dir = directory.path();
        let before = Before::look(data_dir).expect("a directory");
        assert!(Trigger::set(Act::Snapshot, data_dir, before.clone(), None).expect("so").is_none());
        let trigger = Trigger::set(Act::Projection, data_dir, before, None);
        let trigger = trigger.expect("inotify").expect("there is a directory");
        let mut child = Command::new("/bin/sleep").arg("60").spawn().expect("a child");
        let strike = Strike {
            pid: child.id(),
            event: 1,
            after: Duration::ZERO,
            blow: Blow::Kill,
            in_flight: Arc::default(),
            limit: Duration::from_millis(20),
        };
        assert!(trigger.strike(&strike).expect("it runs").is_none());
        assert_eq!(child.try_wait().expect("a child"), None);
        child.kill().expect("a child");
        child.wait().expect("a child");
    }
}
