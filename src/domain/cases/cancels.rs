//! Case tables of cancellations: units of an order come back, each at most once.

use super::script::check;

#[test]
fn cancelled_units_are_sellable_at_once() {
    check(
        "
        create  p1 stock=3 price=250GBP -> created
        buy     anna p1 3             -> sold     order=o1
        buy     ben p1 1              -> sold_out available=0
        cancel  o1                    -> cancelled lines=line1*3 whole=true restocked=true version=3
        show    p1                    -> figures  stock=3 sold=0 available=3 version=3
        buy     ben p1 3              -> sold
        cancel  o1                    -> already_cancelled left=0
        ",
    );
}

#[test]
fn units_come_back_part_after_part_and_each_once() {
    check(
        "
        create  p1 stock=9            -> created
        create  p2 stock=9            -> created
        order   anna p1*3 p2*2 p1*2   -> sold
        cancel  o1 p1*4               -> cancelled lines=line1*3,line3*1 whole=false version=3
        cancel  o1 p1*2               -> already_cancelled left=1 requested=2
        cancel  o1 line1*1            -> already_cancelled left=0 requested=1
        cancel  o1 p1*6               -> part_too_large part=0 units=5     # it never had as many
        cancel  o1 line3*1            -> cancelled lines=line3*1 whole=false
        cancel  o1 p1*1               -> already_cancelled left=0 requested=1
        cancel  o1 p2*1               -> cancelled whole=false
        cancel  o1                    -> cancelled lines=line2*1 whole=true  # what is left
        cancel  o1                    -> already_cancelled left=0
        cancel  o1 p2*1               -> already_cancelled left=0 requested=1
        cancel  o1 line4*1            -> no_such_line part=0
        show    p1                    -> figures sold=0 available=9 version=4
        show    p2                    -> figures sold=0 available=9 version=4
        ",
    );
}

#[test]
fn last_part_makes_it_whole() {
    check(
        "
        create  p1 stock=9            -> created
        buy     anna p1 3             -> sold
        cancel  o1 p1*1               -> cancelled whole=false
        cancel  o1 line1*2            -> cancelled whole=true
        buy     anna p1 3             -> sold order=o2
        cancel  o2 line1*3            -> cancelled whole=true
        ",
    );
}

#[test]
fn parts_that_an_order_does_not_have_are_refused() {
    check(
        "
        create  p1 stock=9            -> created
        create  p2 stock=9            -> created
        order   anna p1*2 p1*1        -> sold
        cancel  o1 p2*1               -> no_such_line part=0
        cancel  o1 p1*1 line3*1       -> no_such_line part=1
        cancel  o1 line1*3            -> part_too_large part=0 units=2
        cancel  o1 line1*2 p1*2       -> part_too_large part=1 units=1
        show    p1                    -> figures sold=3 version=2
        cancel  o1 line1*2 p1*1       -> cancelled lines=line1*2,line2*1 whole=true
        ",
    );
}

#[test]
fn order_of_a_confirmed_hold_is_cancelled_like_any_other() {
    check(
        "
        create  p1 stock=9 limit=3    -> created
        hold    anna p1*3 ttl=9       -> held
        confirm h1 p1*2               -> confirmed order=o1 released=p1*1
        count   p1 anna               -> has 2
        cancel  o1 p1*3               -> part_too_large part=0 units=2   # the third was released
        cancel  o1                    -> cancelled lines=line1*2 freed=2 whole=true
        count   p1 anna               -> has 0
        show    p1                    -> figures held=0 sold=0 available=9
        confirm h1                    -> hold_ended end=confirmed
        ",
    );
}

#[test]
fn write_off_takes_units_out_of_stock() {
    check(
        "
        create  p1 stock=5            -> created
        buy     anna p1 3             -> sold
        cancel  o1 p1*2 restock=false reason=broken -> cancelled restocked=false version=3
        show    p1                    -> figures stock=3 sold=1 available=2 unsold=2
        cancel  o1 restock=false      -> cancelled lines=line1*1 whole=true
        show    p1                    -> figures stock=2 sold=0 available=2
        ",
    );
}

#[test]
fn what_never_was_in_stock_is_not_written_off() {
    check(
        "
        create  p1 stock=1 oversell=5 -> created
        create  p2 stock=9            -> created
        order   anna p1*2 p2*1 p1*1   -> sold
        cancel  o1 restock=false      -> would_oversell shortfall=2
        cancel  o1 line1*1 line3*1 restock=false -> would_oversell shortfall=1   # lines are summed
        show    p2                    -> figures stock=9 sold=1 version=2
        cancel  o1 p1*1 restock=false -> cancelled
        show    p1                    -> figures stock=0 sold=2
        cancel  o1 line1*1 restock=false -> would_oversell shortfall=1
        cancel  o1 line1*1            -> cancelled
        show    p1                    -> figures stock=0 sold=1 unsold=-1
        ",
    );
}

#[test]
fn cancelling_leaves_holds_and_the_oversold_within_the_promise() {
    check(
        "
        create  p1 stock=3 oversell=1 -> created
        buy     anna p1 2             -> sold
        hold    ben p1*2 ttl=9        -> held
        cancel  o1 p1*1 restock=false -> cancelled
        show    p1                    -> figures stock=2 held=2 sold=1 available=0
        buy     carl p1 1             -> sold_out available=0
        cancel  o1                    -> cancelled
        buy     carl p1 2             -> sold_out available=1
        buy     carl p1 1             -> sold
        confirm h1                    -> confirmed
        show    p1                    -> figures stock=2 sold=3 unsold=-1
        ",
    );
}

#[test]
fn returns_free_the_limit_when_the_terms_say_so() {
    check(
        "
        create  p1 stock=99 limit=3   -> created
        buy     anna p1 3             -> sold
        cancel  o1 p1*1               -> cancelled freed=1
        count   p1 anna               -> has 2
        terms   p1 returns_free=false -> changed
        cancel  o1 p1*1               -> cancelled freed=0      # the terms at that time
        count   p1 anna               -> has 2
        buy     anna p1 2             -> limit_reached bought=2
        terms   p1 returns_free=true  -> changed
        cancel  o1                    -> cancelled freed=1      # nothing is freed afterwards
        count   p1 anna               -> has 1
        buy     anna p1 2             -> sold
        ",
    );
}

#[test]
fn only_units_that_were_counted_free_a_limit() {
    check(
        "
        create  p1 stock=99           -> created
        create  p2 stock=99 limit=5   -> created
        order   anna p1*3 p2*2        -> sold                   # o1: p1 uncounted
        terms   p1 limit=4            -> changed
        buy     anna p1 2             -> sold                   # o2: counted
        cancel  o1 p1*1 p2*1          -> cancelled lines=line1*1,line2*1 freed=1
        count   p1 anna               -> has 2
        count   p2 anna               -> has 1
        cancel  o2 p1*1               -> cancelled freed=1
        count   p1 anna               -> has 1
        terms   p1 limit=none         -> changed
        cancel  o1 p1*1               -> cancelled freed=0
        terms   p1 limit=4            -> changed
        cancel  o2                    -> cancelled freed=0      # counting began anew behind it
        count   p1 anna               -> has 0
        buy     anna p1 4             -> sold
        ",
    );
}

#[test]
fn order_confirmed_after_counting_began_frees_what_its_hold_never_counted() {
    check(
        "
        create  p1 stock=99           -> created
        hold    anna p1*2 ttl=9       -> held
        hold    anna p1*2 ttl=9       -> held
        confirm h1                    -> confirmed order=o1     # before
        terms   p1 limit=3            -> changed
        confirm h2                    -> confirmed order=o2     # after
        count   p1 anna               -> has 2
        cancel  o1                    -> cancelled freed=0
        count   p1 anna               -> has 2
        cancel  o2                    -> cancelled freed=2
        count   p1 anna               -> has 0
        ",
    );
}

#[test]
fn cancelling_needs_no_open_sale() {
    check(
        "
        create  p1 stock=9 closes=100 -> created
        buy     anna p1 2             -> sold
        at_ms   100
        terms   p1 paused=true        -> changed
        selling paused=true           -> selling
        cancel  o1 p1*1               -> cancelled
        cancel  o1 restock=false      -> cancelled whole=true
        show    p1                    -> figures stock=8 sold=0
        ",
    );
}

#[test]
fn largest_order_comes_back_whole() {
    check(
        "
        create  p1 stock=9007199254740991           -> created
        order   anna p1*1000000000 p1*1000000000    -> sold
        cancel  o1 p1*1000000000                    -> cancelled lines=line1*1000000000
        cancel  o1                                  -> cancelled lines=line2*1000000000 whole=true
        show    p1                                  -> figures sold=0 available=9007199254740991
        ",
    );
}
