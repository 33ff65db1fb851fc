//! `reconcile` and `project --rebuild` by the real binary: the same cases on SQLite and PostgreSQL.
//!
//! A case makes a log in a directory, copies it into a database of its own, and changes what it
//! likes; the command must name exactly that.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "waits for a real process")]

#[path = "reconcile/copies.rs"]
mod copies;
#[path = "support/databases.rs"]
mod databases;
#[path = "reconcile/house.rs"]
mod house;
#[path = "support/log.rs"]
mod log;
#[path = "projection/mix.rs"]
#[expect(dead_code, reason = "shared with other tests")]
mod mix;
#[path = "support/postgres.rs"]
mod postgres_server;
#[path = "support/projecting.rs"]
mod projecting;
#[path = "reconcile/rebuild.rs"]
mod rebuild;
#[path = "support/server.rs"]
mod server;

/// Each case as a test of either database.
macro_rules! on_both_databases {
    ($($module:ident::$case:ident),* $(,)?) => {
        mod sqlite {
            $(#[test] fn $case() { crate::$module::$case(crate::databases::Database::sqlite()); })*
        }
        mod postgres {
            $(#[test] fn $case() {
                if let Some(server) = crate::postgres_server::shared() {
                    crate::$module::$case(crate::databases::Database::postgres(server));
                }
            })*
        }
    };
}

on_both_databases!(
    copies::a_copy_of_every_kind_of_record_has_no_difference,
    copies::records_not_projected_yet_are_said_and_no_difference,
    copies::every_difference_is_named_with_both_sides,
    copies::tables_of_another_journal_are_not_compared,
    rebuild::a_new_copy_is_filled_goes_on_and_the_projector_goes_on_from_it,
    rebuild::a_place_with_other_tables_is_refused,
    rebuild::a_copy_made_beside_a_running_server_takes_the_place_of_the_old,
);
