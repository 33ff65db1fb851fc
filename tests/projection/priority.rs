//! Which processor time a projection takes: what sales leave while there are sales, and its share
//! once there are none.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, thread_schedule_policy,
};

use crate::databases::Database;
use crate::faulty::{Fault, Faulty};
use crate::projecting::{finish, options, until_report};
use crate::tables::{assert_equal, more_orders, small_log};

#[test]
fn drain_does_not_wait_for_an_idle_processor() {
    let (database, mut log) = (Database::sqlite(), small_log(20));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    let store = Faulty::new(&database.config(), move |_, records| {
        if records > 0 {
            sees.lock().push(thread_schedule_policy().unwrap());
        }
        Fault::None
    });
    // Longer than the test: what comes after the first look is left to the drain.
    let hour = Duration::from_secs(3_600);
    let options =
        doorbuster::projection::ProjectorOptions { poll: hour, gather: hour, ..options() };
    let projection =
        doorbuster::projection::start_with(Box::new(store), log.reader(), options).unwrap();
    until_report(&projection, "the end of the log", |report| report.lag_records == 0);
    more_orders(&mut log, 20);
    finish(projection, log.reader().durable());
    assert_equal(&database, &log);
    let normal = |policy| ThreadSchedulePolicy::Normal(policy);
    let seen = seen.lock();
    assert_eq!(seen.first(), Some(&normal(NormalThreadSchedulePolicy::Idle)));
    assert_eq!(seen.last(), Some(&normal(NormalThreadSchedulePolicy::Other)));
}
