#!/usr/bin/env python3
"""Replays a file of order lines and prints the totals. Shares nothing with doorbuster.

    replay.py FILE [PERCENT [refuse|fill]]

Opening stock is PERCENT (100) of what each product's sales want, rounded down. Invoices are sold
whole in the file's order (`fill`: as far as there is stock); C invoices take back that customer's
earlier units of the product, newest first, and what is left over is put in as returned; negative
lines without a price are written off where the stock allows it.
"""

import collections
import csv
import decimal
import itertools
import json
import sys

SERVICE = {"POST", "DOT", "M", "D", "S", "C2", "B", "BANK CHARGES", "AMAZONFEE", "CRUK", "PADS"}
path, percent, partial = (sys.argv[1:] + ["100", "refuse"][len(sys.argv) - 2:])[:3]
lines = []
for row in csv.DictReader(open(path, encoding="latin-1")):
    code, units = row["StockCode"], int(row["Quantity"])
    pence = int(decimal.Decimal(row["UnitPrice"]) * 100)
    service = code.upper() in SERVICE or code.upper().startswith(("GIFT_", "ADJUST", "TEST"))
    lines.append((row["InvoiceNo"], row["CustomerID"], code, units, pence, service))

left, sums = collections.Counter(), collections.Counter()
for _, _, code, units, pence, service in lines:
    if not service and units > 0 and pence > 0:
        left[code] += units
left = collections.Counter({code: units * int(percent) // 100 for code, units in left.items()})
sums["left_before"] = sum(left.values())
bought = collections.defaultdict(list)  # by customer and product: [units, pence], oldest first

for (invoice, customer), rows in itertools.groupby(lines, key=lambda line: line[:2]):
    rows = [row[2:5] for row in rows if not row[5]]
    cart = [row for row in rows if row[1] > 0 and row[2] > 0]
    wanted = collections.Counter()
    for code, units, pence in cart:
        wanted[code] += units
    fits = all(left[code] >= units for code, units in wanted.items())
    got_any = False
    for code, units, pence in cart:
        got = units if fits else min(units, left[code]) if partial == "fill" else 0
        got_any |= got > 0
        left[code] -= got
        sums.update(ordered_units=got, ordered_money=got * pence)
        sums.update(refused_units=units - got, refused_money=(units - got) * pence)
        if got and customer:
            bought[customer, code].append([got, pence])
    if cart:
        sums["carts_sold" if fits else "carts_filled" if got_any else "carts_refused"] += 1
    for code, units, pence in rows:
        if units < 0 and invoice.startswith("C"):
            back, earlier = -units, bought[customer, code]
            while back and earlier:
                taken = min(back, earlier[-1][0])
                earlier[-1][0] -= taken
                back -= taken
                left[code] += taken
                sums.update(cancelled_units=taken, cancelled_money=taken * earlier[-1][1])
                if not earlier[-1][0]:
                    earlier.pop()
            left[code] += back
            sums.update(returned_units=back)
        elif units < 0 and pence == 0:
            if left[code] >= -units:
                left[code] += units
                sums.update(written_off_units=-units)
            else:
                sums.update(write_off_refused_units=-units)

sums["sold_units"] = sums["ordered_units"] - sums["cancelled_units"]
sums["sold_money"] = sums["ordered_money"] - sums["cancelled_money"]
sums["left_units"] = sum(left.values())
print(json.dumps(sums, indent=1, sort_keys=True))
