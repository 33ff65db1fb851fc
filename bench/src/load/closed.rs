//! The closed loop: a connection sends its next request when it has the last answer.

use std::rc::Rc;
use std::time::Instant;

use anyhow::bail;

use super::shared::{DRAIN, Sent, Shared};
use crate::connection::Connection;

/// Lets each connection ask and hear until the time or the requests are over.
pub(super) async fn drive(connections: Vec<Connection>, shared: &Rc<Shared>) -> anyhow::Result<()> {
    let spawn = |connection| tokio::task::spawn_local(turns(connection, Rc::clone(shared)));
    let tasks: Vec<_> = connections.into_iter().map(spawn).collect();
    let all = async {
        for task in tasks {
            task.await?;
        }
        anyhow::Ok(())
    };
    let left = shared.until.saturating_duration_since(Instant::now()) + DRAIN;
    match tokio::time::timeout(left, all).await {
        Ok(done) => done,
        Err(_) => bail!("answers in flight did not come within {} s", DRAIN.as_secs()),
    }
}

/// The life of one connection.
async fn turns(mut connection: Connection, shared: Rc<Shared>) {
    let mut request = Vec::new();
    let mut now = Instant::now();
    while now < shared.until {
        let Some(kind) = shared.next(&mut request) else { break };
        // Whether it counts is known by when its answer comes.
        let sent = Sent { kind, since: now, measured: None };
        let (goes_on, heard) = shared.exchange(&mut connection, &request, sent).await;
        now = heard;
        if !goes_on && now < shared.until {
            match shared.reconnect().await {
                Some(another) => connection = another,
                None => break,
            }
            now = Instant::now();
        }
    }
}
