-- The projection's tables: a copy of the log for reading. docs/analysts.md explains each column.
-- Run with search_path set to the schema for this transaction, so no name is qualified.
-- Primary keys make applying a record twice impossible; no foreign keys between these tables,
-- because a record that cannot be written must not take others with it.

CREATE TABLE products (
    product_id text NOT NULL,
    partition integer NOT NULL,
    handle bigint NOT NULL,
    name text NOT NULL,
    price_minor bigint,
    currency text,
    sale_id text,
    opens_at timestamptz,
    closes_at timestamptz,
    oversell_limit bigint NOT NULL,
    safety_stock bigint NOT NULL,
    per_buyer_limit bigint,
    low_stock_threshold bigint,
    paused boolean NOT NULL,
    returns_free_limit boolean NOT NULL,
    stock bigint NOT NULL,
    held bigint NOT NULL,
    sold bigint NOT NULL,
    version bigint NOT NULL,
    terms_version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT products_pkey PRIMARY KEY (product_id),
    CONSTRAINT products_handle_key UNIQUE (partition, handle),
    CONSTRAINT products_never_oversold CHECK (held + sold <= stock + oversell_limit),
    CONSTRAINT products_figures CHECK (stock >= 0 AND held >= 0 AND sold >= 0 AND version >= 1),
    CONSTRAINT products_price CHECK ((price_minor IS NULL) = (currency IS NULL) AND price_minor >= 0)
);
CREATE INDEX products_sale ON products (sale_id) WHERE sale_id IS NOT NULL;

CREATE TABLE orders (
    order_id text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    buyer_id text NOT NULL,
    reference text,
    principal text NOT NULL,
    status text NOT NULL,
    placed_at timestamptz NOT NULL,
    hold_id text,
    CONSTRAINT orders_pkey PRIMARY KEY (order_id),
    CONSTRAINT orders_status CHECK (status IN ('placed', 'partly_cancelled', 'cancelled'))
);
CREATE INDEX orders_buyer ON orders (buyer_id, sequence);
CREATE INDEX orders_reference ON orders (reference, sequence) WHERE reference IS NOT NULL;
CREATE INDEX orders_placed_at ON orders (placed_at);

CREATE TABLE order_lines (
    order_id text NOT NULL,
    line_no integer NOT NULL,
    product_id text NOT NULL,
    quantity bigint NOT NULL,
    unit_price_minor bigint,
    currency text,
    cancelled bigint NOT NULL DEFAULT 0,
    CONSTRAINT order_lines_pkey PRIMARY KEY (order_id, line_no),
    CONSTRAINT order_lines_quantity CHECK (line_no >= 1 AND quantity >= 1),
    CONSTRAINT order_lines_cancelled CHECK (cancelled >= 0 AND cancelled <= quantity),
    CONSTRAINT order_lines_price
        CHECK ((unit_price_minor IS NULL) = (currency IS NULL) AND unit_price_minor >= 0)
);
CREATE INDEX order_lines_product ON order_lines (product_id);

CREATE TABLE holds (
    hold_id text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    buyer_id text NOT NULL,
    reference text,
    principal text NOT NULL,
    status text NOT NULL,
    placed_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    resolved_at timestamptz,
    order_id text,
    CONSTRAINT holds_pkey PRIMARY KEY (hold_id),
    CONSTRAINT holds_status CHECK (status IN ('held', 'confirmed', 'released', 'expired')),
    CONSTRAINT holds_resolved CHECK ((status = 'held') = (resolved_at IS NULL)
        AND (status = 'confirmed') = (order_id IS NOT NULL))
);
CREATE INDEX holds_buyer ON holds (buyer_id, sequence);
CREATE INDEX holds_reference ON holds (reference, sequence) WHERE reference IS NOT NULL;
CREATE INDEX holds_live ON holds (expires_at) WHERE status = 'held';

CREATE TABLE movements (
    product_id text NOT NULL,
    version bigint NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    kind text NOT NULL,
    decided_at timestamptz NOT NULL,
    stock_delta bigint NOT NULL,
    held_delta bigint NOT NULL,
    sold_delta bigint NOT NULL,
    stock bigint NOT NULL,
    held bigint NOT NULL,
    sold bigint NOT NULL,
    reason text,
    text text,
    terms text,
    order_id text,
    hold_id text,
    reference text,
    principal text NOT NULL,
    CONSTRAINT movements_pkey PRIMARY KEY (product_id, version),
    CONSTRAINT movements_figures CHECK (version >= 1 AND stock >= 0 AND held >= 0 AND sold >= 0)
);

CREATE TABLE refusal_counts (
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    product_id text NOT NULL,
    reason text NOT NULL,
    minute timestamptz NOT NULL,
    refusals bigint NOT NULL,
    CONSTRAINT refusal_counts_pkey PRIMARY KEY (partition, sequence, product_id, reason),
    CONSTRAINT refusal_counts_refusals CHECK (refusals >= 0)
);
CREATE INDEX refusal_counts_minute ON refusal_counts (product_id, minute);

-- How far these tables are, and of which log: one row a partition, changed with each batch.
CREATE TABLE progress (
    partition integer NOT NULL,
    journal_id text NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    checksum bigint NOT NULL,
    decided_at timestamptz,
    written_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT progress_pkey PRIMARY KEY (partition)
);

-- Records that could not be written, whole, with the reason.
CREATE TABLE quarantine (
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    kind text NOT NULL,
    decided_at timestamptz,
    code text NOT NULL,
    error text NOT NULL,
    record text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT quarantine_pkey PRIMARY KEY (partition, sequence)
);
