//! The projection on both databases: the same cases on SQLite and on a real PostgreSQL.
//!
//! A case gets an empty database and makes its own log; `tests/projection/` holds them.
//! `tests/projection_postgres.rs` holds what only a server can do: be away, be slow, be pooled.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "projection/bench.rs"]
mod bench;
#[path = "projection/cases.rs"]
mod cases;
#[path = "projection/damaged.rs"]
mod damaged;
#[path = "support/databases.rs"]
mod databases;
#[path = "support/faulty.rs"]
mod faulty;
#[path = "projection/holds.rs"]
mod holds;
#[path = "support/log.rs"]
mod log;
#[path = "projection/mix.rs"]
mod mix;
#[path = "support/postgres.rs"]
mod postgres_server;
#[path = "projection/priority.rs"]
mod priority;
#[path = "support/projecting.rs"]
mod projecting;
#[path = "projection/queries.rs"]
mod queries;
#[path = "projection/tables.rs"]
mod tables;

/// Each case as a test of either database.
macro_rules! on_both_databases {
    ($($module:ident::$case:ident),* $(,)?) => {
        mod sqlite {
            $(#[test] fn $case() { crate::$module::$case(&crate::databases::Database::sqlite()); })*
        }
        mod postgres {
            $(#[test] fn $case() {
                if let Some(server) = crate::postgres_server::shared() {
                    crate::$module::$case(&crate::databases::Database::postgres(server));
                }
            })*
        }
    };
}

on_both_databases!(
    cases::every_kind_of_record_leaves_its_rows,
    cases::tables_equal_the_engines_state_after_many_records,
    cases::a_restart_goes_on_where_the_last_one_ended,
    cases::a_commit_whose_answer_is_lost_is_not_written_again,
    cases::a_store_that_fails_anywhere_loses_and_doubles_nothing,
    cases::a_database_too_slow_for_large_batches_gets_smaller_ones,
    cases::two_projectors_write_each_record_once,
    cases::the_database_of_another_journal_stops_it,
    cases::a_database_ahead_of_the_log_stops_it,
    cases::a_database_that_ends_with_another_record_stops_it,
    cases::a_record_the_database_refuses_goes_to_quarantine_alone,
    cases::a_change_whose_row_is_missing_goes_to_quarantine,
    cases::a_row_that_someone_else_wrote_stops_it,
    cases::progress_that_cannot_be_updated_is_reported,
    cases::lag_is_counted_and_ends,
    cases::a_drain_that_cannot_end_says_what_is_left,
    cases::an_end_amid_the_search_for_a_bad_record_is_no_word_too_far,
    cases::an_order_of_a_thousand_lines_and_a_sale_of_many_products_fit,
    holds::every_end_of_a_hold_leaves_its_rows,
    holds::what_comes_back_of_an_order_leaves_its_rows,
    holds::what_a_batch_makes_it_may_end,
    holds::many_holds_that_are_over_at_once_end_together,
    holds::a_record_whose_hold_or_order_is_not_as_it_was_goes_to_quarantine,
    queries::orders_are_found_by_buyer_and_reference,
    queries::a_history_tells_each_change_of_a_product,
    queries::what_is_read_is_whole_while_records_are_written,
    queries::nothing_is_read_of_tables_that_are_not_a_copy_of_the_log,
    queries::the_manuals_queries_run,
);

#[test]
fn sqlite_takes_nothing_of_the_logs_reserve() {
    cases::no_batch_takes_the_logs_reserve(&databases::Database::sqlite());
}

#[test]
fn sqlite_waits_while_the_disk_is_at_its_reserve() {
    cases::it_waits_while_the_disk_is_at_its_reserve(&databases::Database::sqlite());
}

#[test]
fn postgres_connections_cut_again_and_again_lose_and_double_nothing() {
    if let Some(server) = postgres_server::shared() {
        cases::connections_cut_lose_and_double_nothing(&databases::Database::postgres(server));
    }
}
