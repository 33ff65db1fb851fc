//! `/livez` and `/readyz`: open to everybody, answered before the engine has started.

use actix_web::http::StatusCode;

use super::render::Json;
use super::reply::Reply;
use super::server::Surroundings;
use super::worker::Worker;
use crate::engine::ports::ProjectionProblem;
use crate::engine::{Degraded, Readiness};

/// The process answers.
pub(super) fn livez() -> Reply {
    Reply::ok(Json::whole(32, |fields| fields.plain("status", "alive")))
}

/// Whether it sells; 503 only while recovering, draining, or after the journal failed.
pub(super) fn readyz(worker: &Worker) -> Reply {
    let surroundings = &worker.shared.surroundings;
    let readiness = surroundings.engine.health().readiness(|| degraded(surroundings));
    let ready = matches!(readiness, Readiness::Ready { .. });
    let body = Json::whole(256, |fields| match &readiness {
        Readiness::Recovering { progress } => {
            fields.plain("status", "recovering");
            fields.ratio("progress", *progress);
        }
        Readiness::Ready { degraded } => {
            fields.plain("status", "ready");
            fields.ratio("progress", 1.0);
            fields.array("degraded", degraded, |what, item| {
                item.object(|fields| {
                    fields.plain("name", what.name);
                    fields.text("detail", &what.detail);
                });
            });
        }
        Readiness::Draining => fields.plain("status", "draining"),
        Readiness::Failed { reason } => {
            fields.plain("status", "failed");
            fields.text("reason", reason);
        }
    });
    match ready {
        true => Reply::ok(body),
        false => {
            Reply { retry_after: Some("1"), ..Reply::json(StatusCode::SERVICE_UNAVAILABLE, body) }
        }
    }
}

/// What does not stop a sale, and is yet not as it should be.
fn degraded(surroundings: &Surroundings) -> Vec<Degraded> {
    let mut degraded = Vec::new();
    let report = surroundings.projection.report();
    let detail = match report.problem {
        Some(ProjectionProblem::Retrying(why)) => Some(format!("trying again: {why}")),
        Some(ProjectionProblem::Stopped(why)) => Some(format!("stopped: {why}")),
        None => None,
    };
    degraded.extend(detail.map(|detail| Degraded { name: "database", detail }));
    if report.quarantined > 0 {
        let detail = format!("{} records are in quarantine", report.quarantined);
        degraded.push(Degraded { name: "quarantine", detail });
    }
    let reserve = surroundings.disk_reserve_bytes;
    if let Some(free) = (surroundings.data_free_bytes)()
        && free < reserve
    {
        let detail = format!("{free} bytes free, the reserve is {reserve}");
        degraded.push(Degraded { name: "disk-low", detail });
    }
    degraded
}
