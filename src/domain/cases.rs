//! Case tables: what may happen to stock, a refusal beside its nearest neighbour that is allowed.
//!
//! `cases/script.rs` explains the language. Every case also tests recovery.

mod cancels;
mod damaged;
mod dump;
mod holds;
mod model;
mod script;
mod verbs;
mod words;

use script::check;

#[test]
fn units_are_sold_until_none_is_left() {
    check(
        "
        create  p1 stock=3            -> created  version=1 stock=3
        buy     anna p1 2             -> sold     version=2
        buy     ben p1 2              -> sold_out available=1 requested=2
        buy     ben p1 1              -> sold     version=3
        buy     ben p1 1              -> sold_out available=0 requested=1
        show    p1                    -> figures  stock=3 sold=3 available=0 unsold=0 version=3
        ",
    );
}

#[test]
fn oversell_limit_is_sold_and_not_a_unit_more() {
    check(
        "
        create  p1 stock=2 oversell=2 -> created
        buy     anna p1 4             -> sold     version=2
        show    p1                    -> figures  stock=2 sold=4 unsold=-2 available=0
        buy     anna p1 1             -> sold_out available=0 requested=1
        ",
    );
}

#[test]
fn safety_stock_is_not_for_sale() {
    check(
        "
        create  p1 stock=5 safety=2   -> created
        buy     anna p1 4             -> sold_out available=3 requested=4
        buy     anna p1 3             -> sold
        terms   p1 safety=100         -> changed  version=3   # may pass what is left
        show    p1                    -> figures  available=0 unsold=2
        buy     anna p1 1             -> sold_out available=0
        terms   p1 safety=0           -> changed
        buy     anna p1 2             -> sold
        ",
    );
}

#[test]
fn window_opens_inclusive_and_closes_exclusive() {
    check(
        "
        create  p1 stock=9 opens=1000 closes=2000 -> created
        at_ms   999
        buy     anna p1 1             -> not_open opens_at_ms=1000
        at_ms   1000
        buy     anna p1 1             -> sold
        at_ms   1999
        buy     anna p1 1             -> sold
        at_ms   2000
        buy     anna p1 1             -> closed   closes_at_ms=2000
        terms   p1 closes=none        -> changed
        buy     anna p1 1             -> sold
        terms   p1 opens=3000         -> changed
        buy     anna p1 1             -> not_open opens_at_ms=3000
        terms   p1 opens=none         -> changed
        buy     anna p1 1             -> sold
        ",
    );
}

#[test]
fn pause_stops_sales_and_nothing_else() {
    check(
        "
        create  p1 stock=9 paused=true -> created
        buy     anna p1 1             -> paused
        adjust  p1 +1 received        -> adjusted
        terms   p1 paused=false       -> changed
        buy     anna p1 1             -> sold
        ",
    );
}

#[test]
fn refusals_of_a_sale_come_in_a_fixed_order() {
    check(
        "
        create  p1 stock=0 paused=true opens=1000 closes=2000 limit=1 -> created
        buy     anna p1 2             -> paused
        terms   p1 paused=false       -> changed
        buy     anna p1 2             -> not_open
        at_ms   2000
        buy     anna p1 2             -> closed
        terms   p1 closes=none        -> changed
        buy     anna p1 2             -> sold_out
        adjust  p1 +2 received        -> adjusted
        buy     anna p1 2             -> limit_reached limit=1 bought=0 requested=2
        buy     anna p1 1             -> sold
        ",
    );
}

#[test]
fn limit_is_over_all_of_a_buyers_orders() {
    check(
        "
        create  p1 stock=99 limit=3   -> created
        create  p2 stock=99 limit=3   -> created
        buy     anna p1 2             -> sold
        buy     anna p1 2             -> limit_reached limit=3 bought=2 requested=2
        buy     anna p1 1             -> sold
        buy     anna p1 1             -> limit_reached bought=3
        buy     ben p1 3              -> sold
        buy     anna p2 3             -> sold      # each product counts for itself
        order   carl p1*1 p1*1 p1*1   -> sold      # lines are summed
        order   dora p1*2 p1*2 p2*1   -> lines 0+1:limit_reached,limit=3,bought=0,requested=4
        count   p1 dora               -> has 0
        count   p1 carl               -> has 3
        ",
    );
}

#[test]
fn limit_may_go_below_what_a_buyer_has() {
    check(
        "
        create  p1 stock=99 limit=5   -> created
        buy     anna p1 4             -> sold
        terms   p1 limit=2            -> changed
        buy     anna p1 1             -> limit_reached limit=2 bought=4 requested=1
        buy     ben p1 2              -> sold
        terms   p1 limit=5            -> changed
        buy     anna p1 1             -> sold      # the count was kept
        count   p1 anna               -> has 5
        ",
    );
}

#[test]
fn counting_starts_with_the_terms_that_set_a_limit() {
    check(
        "
        create  p1 stock=99           -> created
        buy     anna p1 5             -> sold
        count   p1 anna               -> uncounted
        at_ms   700
        terms   p1 limit=2            -> changed
        show    p1                    -> figures  counted_since=Some(700)
        count   p1 anna               -> has 0
        buy     anna p1 2             -> sold
        buy     anna p1 1             -> limit_reached bought=2
        at_ms   800
        terms   p1 limit=1            -> changed
        show    p1                    -> figures  counted_since=Some(700)  # counted all along
        terms   p1 limit=none         -> changed
        show    p1                    -> figures  counted_since=None
        buy     anna p1 5             -> sold
        at_ms   900
        terms   p1 limit=2            -> changed
        show    p1                    -> figures  counted_since=Some(900)  # dropped, so anew
        count   p1 anna               -> has 0
        ",
    );
}

#[test]
fn buyer_is_kept_while_one_product_counts_it() {
    check(
        "
        create  p1 stock=9 limit=1    -> created
        create  p2 stock=9 limit=1    -> created
        buy     anna p1 1             -> sold
        buy     anna p2 1             -> sold
        terms   p1 limit=none         -> changed
        buy     anna p2 1             -> limit_reached bought=1
        buy     ben p2 1              -> sold
        terms   p2 limit=none         -> changed
        terms   p1 limit=1            -> changed
        buy     carl p1 1             -> sold      # takes a number that was given back
        count   p1 anna               -> has 0
        count   p1 carl               -> has 1
        ",
    );
}

#[test]
fn adjustment_by_a_delta() {
    check(
        "
        create  p1 stock=5            -> created
        adjust  p1 +3 received        -> adjusted delta=3 stock=8 unsold=8 version=2
        adjust  p1 -2 damaged         -> adjusted delta=-2 stock=6
        buy     anna p1 4             -> sold
        adjust  p1 -3 damaged         -> would_oversell shortfall=1
        adjust  p1 -2 damaged         -> adjusted stock=4 unsold=0
        adjust  p1 -1 other=gone      -> would_oversell shortfall=1
        adjust  p1 +0 correction      -> adjusted delta=0 stock=4     # a count that found nothing
        adjust  p1 +1 other=found     -> adjusted stock=5 reason=Other(\"found\")
        ",
    );
}

#[test]
fn write_off_may_use_the_oversell_limit_but_no_unit_that_never_was() {
    check(
        "
        create  p1 stock=5 oversell=3 -> created
        buy     anna p1 5             -> sold
        adjust  p1 -4 damaged         -> would_oversell shortfall=1
        adjust  p1 -3 damaged         -> adjusted stock=2 unsold=-3
        adjust  p1 -1 damaged         -> would_oversell shortfall=1
        create  p2 stock=1 oversell=3 -> created
        adjust  p2 -2 damaged         -> would_oversell shortfall=1    # nothing sold, one there
        adjust  p2 -1 damaged         -> adjusted stock=0
        ",
    );
}

#[test]
fn unsold_is_set_under_a_guard() {
    check(
        "
        create  p1 stock=10           -> created
        buy     anna p1 3             -> sold
        set_unsold p1 20 expected=10  -> stock_changed expected=10 unsold=7
        set_unsold p1 20 expected=7   -> adjusted delta=13 stock=23 unsold=20
        set_unsold p1 0               -> adjusted delta=-20 stock=3 unsold=0   # no guard
        set_unsold p1 0 expected=0    -> adjusted delta=0
        ",
    );
}

#[test]
fn unsold_below_zero_is_guarded_and_put_right() {
    check(
        "
        create  p1 stock=1 oversell=4 -> created
        buy     anna p1 3             -> sold
        set_unsold p1 0 expected=2    -> stock_changed expected=2 unsold=-2
        set_unsold p1 0 expected=-2   -> adjusted delta=2 stock=3 unsold=0
        ",
    );
}

#[test]
fn figures_stay_exact_in_json() {
    check(
        "
        create  p0 stock=9007199254740992              -> over_maximum max=9007199254740991
        create  p1 stock=9007199254740991              -> created
        adjust  p1 +1 received                         -> over_maximum
        set_unsold p1 9007199254740992                 -> over_maximum
        set_unsold p1 18446744073709551615             -> over_maximum
        adjust  p1 +9223372036854775807 received       -> over_maximum
        adjust  p1 -9223372036854775808 damaged        -> would_oversell
        set_unsold p1 9007199254740991                 -> adjusted delta=0
        terms   p1 oversell=4294967295                 -> changed
        show    p1                                     -> figures available=9007199254740991
        adjust  p1 -9007199254740991 damaged           -> adjusted stock=0
        show    p1                                     -> figures available=4294967295
        ",
    );
}

#[test]
fn terms_are_patched_field_by_field() {
    check(
        "
        create  p1 stock=9 price=499GBP -> created
        buy     anna p1 1               -> sold prices=499GBP
        terms   p1 price=550GBP if=1    -> changed version=3
        buy     anna p1 1               -> sold prices=550GBP
        buy     anna p1 1 price=1EUR    -> sold prices=1EUR
        terms   p1 if=1 price=none      -> precondition_failed terms_version=2
        terms   p1 if=2 price=none      -> changed
        buy     anna p1 1               -> sold prices=none
        show    p1                      -> figures terms_version=3
        terms   p1                      -> changed        # names nothing, is a change all the same
        show    p1                      -> figures terms_version=4 version=8
        ",
    );
}

#[test]
fn terms_that_cannot_stand_are_refused() {
    check(
        "
        create  p0 opens=5 closes=5     -> invalid_terms error=EmptyWindow
        create  p1 opens=5 closes=6     -> created
        terms   p1 closes=5             -> invalid_terms error=EmptyWindow
        terms   p1 opens=6              -> invalid_terms error=EmptyWindow
        terms   p1 opens=6 closes=7     -> changed
        terms   p1 opens=none           -> changed
        terms   p1 closes=253402300799999 -> changed
        terms   p1 closes=253402300800000 -> invalid_terms error=TimeTooLate
        terms   p1 closes=none opens=253402300800000 -> invalid_terms error=TimeTooLate
        terms   p9 paused=true          -> unknown_product
        sale    s9 paused=true          -> unknown_product
        ",
    );
}

#[test]
fn oversell_limit_may_not_go_below_what_is_used() {
    check(
        "
        create  p1 stock=2 oversell=5   -> created
        buy     anna p1 5               -> sold
        terms   p1 oversell=2           -> would_oversell shortfall=1
        terms   p1 oversell=3           -> changed
        buy     anna p1 1               -> sold_out available=0
        adjust  p1 +3 received          -> adjusted
        terms   p1 oversell=0           -> changed
        ",
    );
}

#[test]
fn sale_is_changed_as_a_whole_or_not_at_all() {
    check(
        "
        create  p1 stock=9 sale=s1      -> created
        create  p2 stock=9 sale=s1 opens=500 -> created
        create  p3 stock=9              -> created
        sale    s1 paused=true          -> changed products=2 version=2,2
        buy     anna p1 1               -> paused
        buy     anna p2 1               -> paused
        buy     anna p3 1               -> sold
        sale    s1 closes=500           -> invalid_terms error=EmptyWindow   # p2 could not
        sale    s1 closes=501 paused=false -> changed products=2
        terms   p3 sale=s1              -> changed
        terms   p1 sale=none            -> changed
        sale    s1 paused=true          -> changed products=2
        buy     anna p1 1               -> sold
        buy     anna p3 1               -> paused
        sale    s1 sale=s2              -> changed products=2
        sale    s1 paused=false         -> unknown_product                   # it is empty now
        sale    s2 sale=none            -> changed products=2
        sale    s2 paused=false         -> unknown_product
        ",
    );
}

#[test]
fn order_is_placed_whole_or_not_at_all() {
    check(
        "
        create  p1 stock=5 price=100EUR -> created
        create  p2 stock=5 paused=true  -> created
        create  p3 stock=1              -> created
        order   anna p1*2 p2*1 p1*4 p3*2 -> lines 0+2:sold_out,available=5,requested=6 1:paused 3:sold_out,available=1,requested=2
        show    p1                      -> figures sold=0 version=1
        terms   p2 paused=false         -> changed
        order   anna p1*2 p2*1 p1*3 p3*1 -> sold lines=4 version=2,3,2 prices=100EUR,none,100EUR,none
        show    p1                      -> figures sold=5 version=2
        order   anna p1*1 p3*1          -> lines 0:sold_out,available=0,requested=1 1:sold_out,available=0,requested=1
        buy     anna p9 1               -> unknown_product
        create  p1                      -> already_exists
        ",
    );
}
