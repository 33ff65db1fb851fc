//! Case tables of holds: what is set aside, until when, and the one way in which each ends.

use super::script::check;

#[test]
fn held_units_are_set_aside_until_the_hold_ends() {
    check(
        "
        create  p1 stock=5 price=250GBP -> created
        hold    anna p1*3 ttl=500     -> held     hold=h1 expires_at_ms=500 lines=p1*3@250GBP version=2
        show    p1                    -> figures  stock=5 held=3 sold=0 available=2 unsold=5
        buy     ben p1 3              -> sold_out available=2 requested=3
        buy     ben p1 2              -> sold
        hold    carl p1*1 ttl=500     -> sold_out available=0 requested=1
        confirm h1                    -> confirmed order=o2 lines=p1*3@250GBP released=none version=4
        show    p1                    -> figures  held=0 sold=5 available=0 version=4
        ",
    );
}

#[test]
fn expired_hold_is_sellable_at_once() {
    check(
        "
        create  p1 stock=3            -> created
        hold    anna p1*2 ttl=500     -> held     expires_at_ms=500
        next_expiry p1                -> at 500
        at_ms   499
        buy     ben p1 2              -> sold_out available=1
        at_ms   500                   -> expired h1
        next_expiry p1                -> at none
        buy     ben p1 3              -> sold     version=4      # 3 expired h1
        show    p1                    -> figures  held=0 sold=3
        live    anna                  -> has 0 all=0 lines=0
        ",
    );
}

#[test]
fn holds_expire_in_the_order_they_are_over_each_by_its_record() {
    check(
        "
        create  p1 stock=9            -> created
        create  p2 stock=9            -> created
        hold    anna p1*1 ttl=300     -> held
        hold    ben p1*1 p2*1 ttl=100 -> held
        hold    carl p2*1 ttl=200     -> held
        hold    dora p1*1 ttl=100     -> held
        next_expiry p1                -> at 100
        next_expiry p2                -> at 100
        at_ms   100                   -> expired h2 h4
        next_expiry p1                -> at 300
        next_expiry p2                -> at 200
        at_ms   900                   -> expired h3 h1
        show    p1                    -> figures held=0 available=9 version=7
        show    p2                    -> figures held=0 available=9 version=5
        ",
    );
}

#[test]
fn hold_is_placed_whole_or_not_at_all() {
    check(
        "
        create  p1 stock=5            -> created
        create  p2 stock=1            -> created
        hold    anna p1*2 p2*2 ttl=9  -> lines 1:sold_out,available=1,requested=2
        show    p1                    -> figures held=0 version=1
        live    anna                  -> has 0 all=0 lines=0
        hold    anna p1*2 p2*1 p1*3 ttl=9 -> held lines=p1*2,p2*1,p1*3 version=2,2
        live    anna                  -> has 1 all=1 lines=3
        show    p1                    -> figures held=5
        hold    anna p9*1 ttl=9       -> unknown_product
        ",
    );
}

#[test]
fn hold_takes_its_lines_by_the_rules_of_an_order() {
    check(
        "
        create  p1 stock=9 paused=true opens=100 closes=200 -> created
        hold    anna p1*1 ttl=9       -> paused
        terms   p1 paused=false       -> changed
        hold    anna p1*1 ttl=9       -> not_open opens_at_ms=100
        at_ms   100
        hold    anna p1*1 ttl=9       -> held
        at_ms   200                   -> expired h1
        hold    anna p1*1 ttl=9       -> closed   closes_at_ms=200
        terms   p1 closes=none safety=8 -> changed
        hold    anna p1*2 ttl=9       -> sold_out available=1 requested=2
        hold    anna p1*1 ttl=9       -> held
        ",
    );
}

#[test]
fn live_hold_confirms_whatever_became_of_the_terms() {
    check(
        "
        create  p1 stock=9 price=100EUR limit=5 -> created
        hold    anna p1*3 ttl=900     -> held
        hold    ben p1*1 ttl=900      -> held
        at_ms   100
        terms   p1 paused=true opens=50 closes=60 price=999EUR limit=1 safety=9 -> changed
        selling paused=true           -> selling
        hold    ben p1*1 ttl=900      -> paused
        confirm h1                    -> confirmed lines=p1*3@100EUR
        count   p1 anna               -> has 3
        terms   p1 price=none limit=none -> changed
        at_ms   899
        confirm h2                    -> confirmed lines=p1*1@100EUR
        show    p1                    -> figures held=0 sold=4
        ",
    );
}

#[test]
fn hold_confirms_though_stock_was_written_off_down_to_it() {
    check(
        "
        create  p1 stock=9            -> created
        hold    anna p1*3 ttl=900     -> held
        adjust  p1 -7 damaged         -> would_oversell shortfall=1
        adjust  p1 -6 damaged         -> adjusted stock=3 unsold=3
        set_unsold p1 2               -> would_oversell shortfall=1
        confirm h1                    -> confirmed
        show    p1                    -> figures stock=3 sold=3 held=0
        ",
    );
}

#[test]
fn oversell_limit_may_not_go_below_what_is_held() {
    check(
        "
        create  p1 stock=2 oversell=2 -> created
        hold    anna p1*4 ttl=900     -> held
        terms   p1 oversell=1         -> would_oversell shortfall=1
        release h1                    -> released
        terms   p1 oversell=1         -> changed
        ",
    );
}

#[test]
fn hold_ends_once_and_says_how() {
    check(
        "
        create  p1 stock=9            -> created
        hold    anna p1*1 ttl=100     -> held
        hold    anna p1*1 ttl=100     -> held
        hold    anna p1*1 ttl=100     -> held
        confirm h1                    -> confirmed
        release h2                    -> released lines=p1*1 version=6
        at_ms   100                   -> expired h3
        confirm h1                    -> hold_ended end=confirmed
        extend  h1 ttl=5              -> hold_ended end=confirmed
        release h1                    -> hold_ended end=confirmed
        confirm h2                    -> hold_ended end=released
        release h2                    -> hold_ended end=released
        confirm h3                    -> hold_ended end=expired
        extend  h3 ttl=5              -> hold_ended end=expired
        confirm h9                    -> unknown_hold
        extend  h9 ttl=5              -> unknown_hold
        release h9                    -> unknown_hold
        show    p1                    -> figures held=0 sold=1 version=7
        ",
    );
}

#[test]
fn how_a_hold_ended_is_known_for_a_day() {
    check(
        "
        create  p1 stock=9            -> created
        hold    anna p1*1 ttl=100     -> held
        hold    anna p1*1 ttl=9000    -> held
        at_ms   50
        release h1                    -> released
        at_ms   9000                  -> expired h2
        at_ms   86400049
        confirm h1                    -> hold_ended end=released
        at_ms   86400050
        confirm h1                    -> unknown_hold
        confirm h2                    -> hold_ended end=expired
        at_ms   86408999
        confirm h2                    -> hold_ended end=expired
        at_ms   86409000
        confirm h2                    -> unknown_hold
        hold    anna p1*1 ttl=1       -> held hold=h3
        release h3                    -> released
        release h3                    -> hold_ended end=released
        ",
    );
}

#[test]
fn extension_is_never_shorter_and_never_past_the_longest() {
    check(
        "
        rules   longest=1000
        create  p1 stock=9            -> created
        at_ms   100
        hold    anna p1*1 ttl=500     -> held     expires_at_ms=600
        extend  h1 ttl=499            -> extended expires_at_ms=600     # not shorter
        extend  h1 ttl=501            -> extended expires_at_ms=601
        next_expiry p1                -> at 601
        at_ms   300
        extend  h1 ttl=500            -> extended expires_at_ms=800
        extend  h1 ttl=1              -> extended expires_at_ms=800
        extend  h1 ttl=799            -> extended expires_at_ms=1099
        extend  h1 ttl=800            -> extended expires_at_ms=1100
        extend  h1 ttl=801            -> extended expires_at_ms=1100    # placed + longest
        extend  h1 ttl=18446744073709551615 -> extended expires_at_ms=1100
        rules   longest=10                                              # a new setting
        extend  h1 ttl=10             -> extended expires_at_ms=1100    # takes nothing back
        at_ms   1099
        buy     ben p1 9              -> sold_out available=8
        at_ms   1100                  -> expired h1
        extend  h1 ttl=1              -> hold_ended end=expired
        show    p1                    -> figures version=3              # extending moves nothing
        ",
    );
}

#[test]
fn partial_confirm_releases_the_rest() {
    check(
        "
        create  p1 stock=9 price=100EUR -> created
        create  p2 stock=9            -> created
        create  p3 stock=9            -> created
        hold    anna p1*3 p2*2 p3*1 ttl=9 -> held
        confirm h1 p1*2 p2*2          -> confirmed lines=p1*2@100EUR,p2*2 released=p1*1@100EUR,p3*1 version=3,3,3
        show    p1                    -> figures held=0 sold=2 available=7
        show    p3                    -> figures held=0 sold=0 available=9 version=3
        confirm h1                    -> hold_ended end=confirmed
        ",
    );
}

#[test]
fn part_of_a_product_is_taken_first_line_first_at_each_lines_price() {
    check(
        "
        create  p1 stock=99           -> created
        create  p2 stock=99           -> created
        hold    anna p1*2@100EUR p2*1 p1*3@90EUR p1*1@80EUR ttl=9 -> held
        confirm h1 p1*4               -> confirmed lines=p1*2@100EUR,p1*2@90EUR released=p2*1,p1*1@90EUR,p1*1@80EUR
        hold    anna p1*2@100EUR p1*3@90EUR ttl=9 -> held
        confirm h2 line2*1            -> confirmed lines=p1*1@90EUR released=p1*2@100EUR,p1*2@90EUR
        hold    anna p1*2@100EUR p1*3@90EUR ttl=9 -> held
        confirm h3 line1*1 p1*2 line2*2 -> confirmed lines=p1*2@100EUR,p1*3@90EUR released=none
        show    p1                    -> figures held=0 sold=10
        ",
    );
}

#[test]
fn parts_that_a_hold_does_not_have_are_refused() {
    check(
        "
        create  p1 stock=9            -> created
        create  p2 stock=9            -> created
        hold    anna p1*2 p1*1 ttl=9  -> held
        confirm h1 p2*1               -> no_such_line part=0
        confirm h1 p1*1 line3*1       -> no_such_line part=1
        confirm h1 line1*3            -> part_too_large part=0 units=2
        confirm h1 p1*4               -> part_too_large part=0 units=3
        confirm h1 line1*2 p1*2       -> part_too_large part=1 units=1
        confirm h1 line2*1 line2*1    -> part_too_large part=1 units=0
        show    p1                    -> figures held=3 version=2
        confirm h1 line1*2 p1*1       -> confirmed released=none
        ",
    );
}

#[test]
fn limit_counts_orders_and_live_holds_together() {
    check(
        "
        create  p1 stock=99 limit=4   -> created
        buy     anna p1 1             -> sold
        hold    anna p1*2 ttl=100     -> held
        count   p1 anna               -> has 3
        hold    anna p1*2 ttl=100     -> limit_reached limit=4 bought=3 requested=2
        buy     anna p1 2             -> limit_reached limit=4 bought=3 requested=2
        hold    anna p1*1 ttl=200     -> held
        buy     anna p1 1             -> limit_reached bought=4
        confirm h1                    -> confirmed
        count   p1 anna               -> has 4                # held or sold, it counts once
        release h2                    -> released
        count   p1 anna               -> has 3
        hold    anna p1*1 ttl=100     -> held
        at_ms   100                   -> expired h3
        buy     anna p1 1             -> sold
        hold    ben p1*4 ttl=100      -> held
        confirm h4 p1*1               -> confirmed
        count   p1 ben                -> has 1                # what is released counts no more
        hold    ben p1*2 p1*2 ttl=100 -> lines 0+1:limit_reached,limit=4,bought=1,requested=4
        hold    ben p1*2 p1*1 ttl=100 -> held
        ",
    );
}

#[test]
fn hold_counts_under_a_limit_set_after_it_only_once_it_is_an_order() {
    check(
        "
        create  p1 stock=99           -> created
        hold    anna p1*3 ttl=900     -> held
        hold    anna p1*3 ttl=900     -> held
        hold    anna p1*3 ttl=900     -> held
        terms   p1 limit=2            -> changed
        count   p1 anna               -> has 0
        hold    anna p1*2 ttl=900     -> held
        count   p1 anna               -> has 2
        release h1                    -> released
        count   p1 anna               -> has 2               # it never counted
        confirm h2 p1*1               -> confirmed released=p1*2
        count   p1 anna               -> has 3               # over the limit, and an order
        confirm h4                    -> confirmed
        count   p1 anna               -> has 3               # counted all along
        at_ms   900                   -> expired h3
        count   p1 anna               -> has 3
        buy     anna p1 1             -> limit_reached limit=2 bought=3
        ",
    );
}

#[test]
fn limit_removed_and_set_again_counts_anew() {
    check(
        "
        create  p1 stock=99 limit=3   -> created
        hold    anna p1*2 ttl=900     -> held
        hold    anna p1*1 ttl=900     -> held
        terms   p1 limit=none         -> changed
        count   p1 anna               -> uncounted
        terms   p1 limit=3            -> changed
        count   p1 anna               -> has 0
        release h2                    -> released
        confirm h1                    -> confirmed
        count   p1 anna               -> has 2
        terms   p1 limit=1            -> changed              # lowered, not set anew
        buy     anna p1 1             -> limit_reached limit=1 bought=2
        buy     ben p1 1              -> sold
        ",
    );
}

#[test]
fn limit_taken_away_while_held_leaves_nobody_counted() {
    check(
        "
        create  p1 stock=9 limit=3    -> created
        hold    anna p1*2 ttl=900     -> held
        terms   p1 limit=none         -> changed
        confirm h1                    -> confirmed
        count   p1 anna               -> uncounted
        ",
    );
}

#[test]
fn live_holds_of_a_buyer_are_bounded() {
    check(
        "
        rules   per_buyer=2
        create  p1 stock=2            -> created
        hold    anna p1*1 ttl=100     -> held
        hold    anna p1*1 ttl=200     -> held
        hold    anna p1*1 ttl=200     -> sold_out available=0     # as the published view says it
        adjust  p1 +9 received        -> adjusted
        hold    anna p1*1 ttl=200     -> holds_reached limit=2
        hold    ben p1*1 ttl=200      -> held
        live    anna                  -> has 2 all=3
        buy     anna p1 1             -> sold
        at_ms   100                   -> expired h1
        hold    anna p1*1 ttl=200     -> held
        hold    anna p1*1 ttl=200     -> holds_reached limit=2
        confirm h2                    -> confirmed
        hold    anna p1*1 ttl=200     -> held
        ",
    );
}

#[test]
fn lines_of_live_holds_are_bounded() {
    check(
        "
        rules   lines=4
        create  p1 stock=99           -> created
        create  p2 stock=99           -> created
        hold    anna p1*1 p2*1 p1*1 ttl=100 -> held
        hold    ben p1*1 p2*1 ttl=100 -> holds_full max=4
        hold    ben p1*1 ttl=100      -> held
        live    ben                   -> has 1 all=2 lines=4
        hold    carl p1*1 ttl=100     -> holds_full max=4
        confirm h1 p1*1               -> confirmed
        hold    carl p1*1 p2*1 ttl=100 -> held
        live    carl                  -> has 1 all=2 lines=3
        ",
    );
}

#[test]
fn pause_of_all_stops_every_sale_but_no_live_hold() {
    check(
        "
        create  p1 stock=9            -> created
        create  p2 stock=9            -> created
        hold    anna p1*1 ttl=500     -> held
        buy     anna p2 1             -> sold
        selling paused=true           -> selling paused=true
        selling paused=true           -> selling paused=true
        buy     ben p1 1              -> paused
        order   ben p1*1 p2*1         -> lines 0:paused 1:paused
        hold    ben p2*1 ttl=500      -> paused
        terms   p1 paused=true        -> changed
        adjust  p1 +1 received        -> adjusted
        extend  h1 ttl=600            -> extended
        cancel  o1                    -> cancelled whole=true
        confirm h1                    -> confirmed
        selling paused=false          -> selling paused=false
        buy     ben p1 1              -> paused               # its own pause stands
        buy     ben p2 1              -> sold
        ",
    );
}

#[test]
fn held_and_sold_stay_exact_in_json() {
    check(
        "
        create  p1 stock=9007199254740991 oversell=1000 -> created
        adjust  p1 -1 damaged                           -> adjusted
        hold    anna p1*1000000000 ttl=900              -> held
        set_unsold p1 9007199254740991                  -> adjusted stock=9007199254740991
        create  p2 stock=9007199254740991               -> created
        hold    anna p1*1000000000 p1*1000000000 p2*1 ttl=900 -> held
        confirm h2 p1*1000000000 p1*1000000000          -> confirmed released=p2*1
        show    p1                                      -> figures held=1000000000 sold=2000000000
        show    p2                                      -> figures held=0 sold=0 available=9007199254740991
        ",
    );
}
