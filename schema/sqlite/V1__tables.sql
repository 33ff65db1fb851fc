-- The projection's tables: a copy of the log for reading. docs/analysts.md explains each column.
-- Times are text in RFC 3339, UTC, with milliseconds: SQLite's date functions read them, and they
-- sort as they are. Booleans are 0 and 1.
-- Primary keys make applying a record twice impossible; no foreign keys between these tables,
-- because a record that cannot be written must not take others with it.

CREATE TABLE products (
    product_id text NOT NULL,
    partition integer NOT NULL,
    handle integer NOT NULL,
    name text NOT NULL,
    price_minor integer,
    currency text,
    sale_id text,
    opens_at text,
    closes_at text,
    oversell_limit integer NOT NULL,
    safety_stock integer NOT NULL,
    per_buyer_limit integer,
    low_stock_threshold integer,
    paused integer NOT NULL CHECK (paused IN (0, 1)),
    returns_free_limit integer NOT NULL CHECK (returns_free_limit IN (0, 1)),
    stock integer NOT NULL,
    held integer NOT NULL,
    sold integer NOT NULL,
    version integer NOT NULL,
    terms_version integer NOT NULL,
    created_at text NOT NULL,
    updated_at text NOT NULL,
    CONSTRAINT products_pkey PRIMARY KEY (product_id),
    CONSTRAINT products_handle_key UNIQUE (partition, handle),
    CONSTRAINT products_never_oversold CHECK (held + sold <= stock + oversell_limit),
    CONSTRAINT products_figures CHECK (stock >= 0 AND held >= 0 AND sold >= 0 AND version >= 1),
    CONSTRAINT products_price CHECK ((price_minor IS NULL) = (currency IS NULL) AND price_minor >= 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX products_sale ON products (sale_id) WHERE sale_id IS NOT NULL;

CREATE TABLE orders (
    order_id text NOT NULL,
    partition integer NOT NULL,
    sequence integer NOT NULL,
    buyer_id text NOT NULL,
    reference text,
    principal text NOT NULL,
    status text NOT NULL,
    placed_at text NOT NULL,
    hold_id text,
    CONSTRAINT orders_pkey PRIMARY KEY (order_id),
    CONSTRAINT orders_status CHECK (status IN ('placed', 'partly_cancelled', 'cancelled'))
) STRICT, WITHOUT ROWID;
CREATE INDEX orders_buyer ON orders (buyer_id, sequence);
CREATE INDEX orders_reference ON orders (reference, sequence) WHERE reference IS NOT NULL;
CREATE INDEX orders_placed_at ON orders (placed_at);

CREATE TABLE order_lines (
    order_id text NOT NULL,
    line_no integer NOT NULL,
    product_id text NOT NULL,
    quantity integer NOT NULL,
    unit_price_minor integer,
    currency text,
    cancelled integer NOT NULL DEFAULT 0,
    CONSTRAINT order_lines_pkey PRIMARY KEY (order_id, line_no),
    CONSTRAINT order_lines_quantity CHECK (line_no >= 1 AND quantity >= 1),
    CONSTRAINT order_lines_cancelled CHECK (cancelled >= 0 AND cancelled <= quantity),
    CONSTRAINT order_lines_price
        CHECK ((unit_price_minor IS NULL) = (currency IS NULL) AND unit_price_minor >= 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX order_lines_product ON order_lines (product_id);

CREATE TABLE holds (
    hold_id text NOT NULL,
    partition integer NOT NULL,
    sequence integer NOT NULL,
    buyer_id text NOT NULL,
    reference text,
    principal text NOT NULL,
    status text NOT NULL,
    placed_at text NOT NULL,
    expires_at text NOT NULL,
    resolved_at text,
    order_id text,
    CONSTRAINT holds_pkey PRIMARY KEY (hold_id),
    CONSTRAINT holds_status CHECK (status IN ('held', 'confirmed', 'released', 'expired')),
    CONSTRAINT holds_resolved CHECK ((status = 'held') = (resolved_at IS NULL)
        AND (status = 'confirmed') = (order_id IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX holds_buyer ON holds (buyer_id, sequence);
CREATE INDEX holds_reference ON holds (reference, sequence) WHERE reference IS NOT NULL;
CREATE INDEX holds_live ON holds (expires_at) WHERE status = 'held';

CREATE TABLE movements (
    product_id text NOT NULL,
    version integer NOT NULL,
    partition integer NOT NULL,
    sequence integer NOT NULL,
    kind text NOT NULL,
    decided_at text NOT NULL,
    stock_delta integer NOT NULL,
    held_delta integer NOT NULL,
    sold_delta integer NOT NULL,
    stock integer NOT NULL,
    held integer NOT NULL,
    sold integer NOT NULL,
    reason text,
    text text,
    terms text,
    order_id text,
    hold_id text,
    reference text,
    principal text NOT NULL,
    CONSTRAINT movements_pkey PRIMARY KEY (product_id, version),
    CONSTRAINT movements_figures CHECK (version >= 1 AND stock >= 0 AND held >= 0 AND sold >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE refusal_counts (
    partition integer NOT NULL,
    sequence integer NOT NULL,
    product_id text NOT NULL,
    reason text NOT NULL,
    minute text NOT NULL,
    refusals integer NOT NULL,
    CONSTRAINT refusal_counts_pkey PRIMARY KEY (partition, sequence, product_id, reason),
    CONSTRAINT refusal_counts_refusals CHECK (refusals >= 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX refusal_counts_minute ON refusal_counts (product_id, minute);

-- How far these tables are, and of which log: one row a partition, changed with each batch.
CREATE TABLE progress (
    partition integer NOT NULL,
    journal_id text NOT NULL,
    epoch integer NOT NULL,
    sequence integer NOT NULL,
    checksum integer NOT NULL,
    decided_at text,
    written_at text NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CONSTRAINT progress_pkey PRIMARY KEY (partition)
) STRICT, WITHOUT ROWID;

-- Records that could not be written, whole, with the reason.
CREATE TABLE quarantine (
    partition integer NOT NULL,
    sequence integer NOT NULL,
    kind text NOT NULL,
    decided_at text,
    code text NOT NULL,
    error text NOT NULL,
    record text NOT NULL,
    written_at text NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CONSTRAINT quarantine_pkey PRIMARY KEY (partition, sequence)
) STRICT, WITHOUT ROWID;
