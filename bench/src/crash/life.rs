//! One life of a campaign: from its start to its kill, and what shows afterwards.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::process::Signal;
use tokio::time::sleep;

use super::report::{StoreChoice, name_of};
use super::{Campaign, IN_FLIGHT_MIN, RESOLVE_LIMIT, with_trace};
use crate::crowd::{Crowd, Manners};
use crate::moment::{Acting, Moment, Pause};
use crate::process::Process;
use crate::sessions::Sessions;
use crate::trigger::{Strike, Struck, Trigger};
use crate::under_way::{Act, Before};

/// How long an event of an act is waited for: a segment change of a slow build takes seconds.
const ACT_LIMIT: Duration = Duration::from_secs(8);
/// How long it is waited for in a start, which is over soon.
const START_ACT_LIMIT: Duration = Duration::from_secs(2);

/// What is known of a kill.
#[derive(Debug, Default)]
struct Killed {
    /// Requests in flight; none: nobody was connected.
    in_flight: Option<usize>,
    /// As [`Struck::transaction`].
    transaction: Option<String>,
    /// The act that was waited for did not come.
    missed: bool,
}

impl Campaign<'_> {
    pub(super) async fn life(&mut self, moment: Moment, look: bool) -> anyhow::Result<()> {
        let before = Before::look(&self.data_dir)?;
        let killed = match moment {
            Moment::DuringStart(after) if !look => {
                let (began, process) = (Instant::now(), self.spawn()?);
                sleep(after.saturating_sub(began.elapsed())).await;
                process.kill()?;
                Killed::default()
            }
            Moment::At(acting) if acting.act == Act::Recovery && !look => {
                self.life_in_recovery(acting, &before).await?
            }
            _ => self.life_under_load(moment, &before, look).await?,
        };
        self.show(moment, &killed, &before).await?;
        self.killed(moment, killed);
        self.report.torn += u64::from(self.check_log()?);
        Ok(())
    }

    /// Killed before it is ready: stopped in its recovery, until enough clients wait for it.
    async fn life_in_recovery(
        &mut self,
        acting: Acting,
        before: &Before,
    ) -> anyhow::Result<Killed> {
        let trigger = Trigger::set(acting.act, &self.data_dir, before.clone(), None)?;
        let trigger = trigger.context("a journal to watch")?;
        let process = self.spawn()?;
        let limit = START_ACT_LIMIT;
        let strike = Strike { limit, ..strike(&process, acting) };
        let struck = blocking(move || trigger.strike(&strike)).await;
        let struck = struck.map_err(|error| with_trace(error, &process))?;
        let Some(address) = process.announced()? else {
            process.kill()?;
            return Ok(Killed { missed: struck.is_none(), ..Killed::default() });
        };
        let crowd = self.crowd(address, None);
        self.loaded(&crowd).await?;
        let in_flight = crowd.in_flight();
        process.kill()?;
        self.leave(crowd).await?;
        Ok(Killed { in_flight: Some(in_flight), missed: struck.is_none(), transaction: None })
    }

    async fn life_under_load(
        &mut self,
        moment: Moment,
        before: &Before,
        look: bool,
    ) -> anyhow::Result<Killed> {
        let (began, mut process) = (Instant::now(), self.spawn()?);
        let client = self.ready(&mut process, began).await?;
        if look {
            self.resolve(client).await.map_err(|error| with_trace(error, &process))?;
            self.look_at_database().await.map_err(|error| with_trace(error, &process))?;
        }
        let crowd = self.crowd(client.address, moment.patience());
        if !matches!(moment, Moment::JustStarted(_) | Moment::DuringStart(_)) {
            self.loaded(&crowd).await?;
        }
        sleep(moment.load()).await;
        let mut killed = Killed { in_flight: Some(crowd.in_flight()), ..Killed::default() };
        match moment {
            Moment::Frozen(Pause { frozen, .. }) => {
                process.signal(Signal::STOP)?;
                sleep(frozen).await;
                killed.in_flight = Some(crowd.in_flight());
                self.report.given_up += u64::from(crowd.timed_out() > 0);
            }
            Moment::Thawed(Pause { frozen, .. }, after) => {
                process.signal(Signal::STOP)?;
                sleep(frozen).await;
                process.signal(Signal::CONT)?;
                sleep(after).await;
                self.loaded(&crowd).await?;
                killed.in_flight = Some(crowd.in_flight());
            }
            Moment::Draining { drain, .. } => {
                process.signal(Signal::TERM)?;
                sleep(drain).await;
            }
            Moment::At(acting) if acting.act != Act::Recovery => {
                killed = self.act(acting, &process, &crowd, before).await?;
            }
            _ => {}
        }
        if matches!(moment, Moment::Draining { .. }) {
            // It may have drained and ended by itself before.
            drop(process);
        } else {
            process.kill()?;
        }
        self.leave(crowd).await?;
        Ok(killed)
    }

    /// Waits for an act under load, and strikes in it.
    async fn act(
        &self,
        acting: Acting,
        process: &Process,
        crowd: &Crowd,
        before: &Before,
    ) -> anyhow::Result<Killed> {
        let url = self.store.url();
        let trigger = Trigger::set(acting.act, &self.data_dir, before.clone(), url)?;
        let Some(trigger) = trigger else {
            let in_flight = Some(crowd.in_flight());
            return Ok(Killed { in_flight, missed: true, transaction: None });
        };
        let gauge = crowd.in_flight_gauge();
        let strike = Strike { in_flight: gauge, ..strike(process, acting) };
        let struck = blocking(move || trigger.strike(&strike)).await;
        let struck = struck.map_err(|error| with_trace(error, process))?;
        let missed = struck.is_none();
        let Struck { mut in_flight, transaction } = struck.unwrap_or_default();
        if missed || acting.stopped {
            // A stopped process answers nobody: whoever asks is in flight.
            self.loaded(crowd).await?;
            in_flight = crowd.in_flight();
        }
        Ok(Killed { in_flight: Some(in_flight), transaction, missed })
    }

    fn crowd(&self, address: SocketAddr, answer_limit: Option<Duration>) -> Crowd {
        let manners = Manners { answer_limit, ..Manners::default() };
        Crowd::open(address, self.plan.in_flight, &self.shop, &manners)
    }

    async fn leave(&mut self, crowd: Crowd) -> anyhow::Result<()> {
        self.report.timed_out += crowd.leave().await?;
        Ok(())
    }

    /// Counts what shows to have been under way.
    async fn show(
        &mut self,
        moment: Moment,
        killed: &Killed,
        before: &Before,
    ) -> anyhow::Result<()> {
        let at_recovery = matches!(moment, Moment::At(Acting { act: Act::Recovery, .. }));
        for act in Act::ALL {
            let shows = match (act, self.store) {
                // Where a start had only begun, nothing tells it from one that had not.
                (Act::Recovery, _) => {
                    at_recovery && !killed.missed && before.shows(act, &self.data_dir)?
                }
                (Act::Projection, StoreChoice::Sqlite) => before.shows(act, &self.data_dir)?,
                (Act::Projection, StoreChoice::Postgres(url)) => match &killed.transaction {
                    Some(transaction) => rolled_back(url, transaction).await?,
                    None => false,
                },
                _ => before.shows(act, &self.data_dir)?,
            };
            if shows {
                *self.report.under_way.entry(name_of(act, self.store)).or_default() += 1;
            }
        }
        Ok(())
    }

    /// Waits until enough requests are in flight.
    async fn loaded(&self, crowd: &Crowd) -> anyhow::Result<()> {
        let until = Instant::now() + RESOLVE_LIMIT;
        while crowd.in_flight() < IN_FLIGHT_MIN.min(self.plan.in_flight) {
            ensure!(Instant::now() < until, "{} requests in flight", crowd.in_flight());
            sleep(Duration::from_micros(200)).await;
        }
        Ok(())
    }

    fn killed(&mut self, moment: Moment, killed: Killed) {
        self.report.killed += 1;
        self.report.missed += u64::from(killed.missed);
        if let Some(count) = self.report.moments.get_mut(moment.kind()) {
            *count += 1;
        }
        let Some(in_flight) = killed.in_flight else { return };
        self.report.in_flight += in_flight as u64;
        // What drained before it was killed had nothing in flight any more.
        let under_load = !matches!(moment, Moment::Draining { .. });
        let enough = in_flight >= IN_FLIGHT_MIN.min(self.plan.in_flight);
        self.report.rounds += u64::from(under_load && enough);
        let least = self.report.in_flight_least.map_or(in_flight, |least| least.min(in_flight));
        self.report.in_flight_least = Some(least);
    }
}

fn strike(process: &Process, acting: Acting) -> Strike {
    Strike {
        pid: process.pid(),
        event: acting.event,
        after: acting.after,
        blow: acting.blow(),
        in_flight: Default::default(),
        limit: ACT_LIMIT,
    }
}

async fn rolled_back(url: &str, transaction: &str) -> anyhow::Result<bool> {
    let (url, transaction) = (url.to_owned(), transaction.to_owned());
    blocking(move || Sessions::open(&url)?.was_rolled_back(&transaction)).await
}

/// Waits for what blocks its thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await.context("a thread of the campaign's failed")?
}
