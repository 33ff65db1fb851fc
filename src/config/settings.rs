//! The one list of settings.

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Its name in the file; the flag has `-` for `_`.
    pub key: &'static str,
    /// What it stands for in help, such as `ADDRESS`.
    pub shape: &'static str,
    /// Its value when nobody says one; `None`: see the help.
    pub default: Option<&'static str>,
    /// Never shown.
    pub secret: bool,
    /// What it does, in one or two sentences.
    pub help: &'static str,
}

const fn setting(
    key: &'static str,
    shape: &'static str,
    default: Option<&'static str>,
    help: &'static str,
) -> Setting {
    Setting { key, shape, default, secret: false, help }
}

/// Every setting, in the order in which a person looks for it.
pub const SETTINGS: &[Setting] = &[
    setting("data_dir", "DIR", Some("./data"), "Where the journal and the embedded database lie"),
    setting(
        "listen",
        "ADDRESS",
        Some("127.0.0.1:7373"),
        "Where HTTP listens; port 0 takes a free one",
    ),
    setting(
        "metrics_listen",
        "ADDRESS",
        None,
        "A listener of its own for /metrics and the probes; without it they share the other",
    ),
    setting(
        "keys_file",
        "FILE",
        None,
        "API keys, a line each: name, scopes, SHA-256 (see `keys new`); without it everything is open, on loopback only",
    ),
    Setting {
        key: "database_url",
        shape: "URL",
        default: None,
        secret: true,
        help: "PostgreSQL for the projection, as postgres://user:password@host/database; without it the embedded SQLite",
    },
    setting(
        "database_schema",
        "NAME",
        Some("doorbuster"),
        "Schema of the projection's tables in PostgreSQL",
    ),
    setting("workers", "N", None, "HTTP worker threads; without it one per core"),
    setting("connections_max", "N", Some("25000"), "Connections at most; more wait in the backlog"),
    setting("backlog", "N", Some("4096"), "Connections that may wait to be accepted"),
    setting("head_timeout_ms", "MS", Some("5000"), "Time a client has to send a request's head"),
    setting("body_timeout_ms", "MS", Some("5000"), "Time a client has to send a request's body"),
    setting("keep_alive_ms", "MS", Some("75000"), "Time an idle connection is kept"),
    setting("drain_timeout_ms", "MS", Some("10000"), "Time answers in flight have at shutdown"),
    setting(
        "projection_drain_timeout_ms",
        "MS",
        Some("10000"),
        "Time the projection has at shutdown to catch up; what it misses it does after the next start",
    ),
    setting(
        "journal_segment_bytes",
        "BYTES",
        Some("64MiB"),
        "Size of a journal segment, zeroed ahead; 1MiB to 1GiB in steps of 4KiB",
    ),
    setting("journal_spare_segments", "N", Some("2"), "Segments zeroed ahead"),
    setting(
        "snapshot_segments",
        "N",
        Some("4"),
        "Segments closed between two snapshots at least; a large state waits for as much news as it is large",
    ),
    setting(
        "disk_reserve_bytes",
        "BYTES",
        Some("256MiB"),
        "Free bytes under which the embedded database, snapshots and the archive are not written any more: sales first",
    ),
    setting(
        "commands_max",
        "N",
        Some("65536"),
        "Commands in flight at most; more get 503 overloaded",
    ),
    setting(
        "queued_bytes_max",
        "BYTES",
        Some("256MiB"),
        "Bytes that the records of commands in flight may take; more get 503 overloaded",
    ),
    setting(
        "product_queue_max",
        "N",
        Some("32768"),
        "Commands that may wait for one product: a whole rush does while the disk stands still",
    ),
    setting(
        "partition_queue_max",
        "N",
        Some("65536"),
        "Commands that may wait for no single product",
    ),
    setting(
        "product_idle_ms",
        "MS",
        Some("30000"),
        "Time without traffic after which a product's actor stops",
    ),
    setting(
        "idempotency_keys_max",
        "N",
        Some("16000000"),
        "Idempotency keys kept at most, up to 64 bytes each; a full table gets 503 overloaded",
    ),
    setting(
        "hold_ttl_max_ms",
        "MS",
        Some("14400000"),
        "Longest a hold lives, from its placing on; 4 hours as it comes, at most 31 days",
    ),
    setting("holds_per_buyer_max", "N", Some("100"), "Live holds of one buyer at most"),
    setting(
        "hold_lines_max",
        "N",
        Some("2000000"),
        "Lines in live holds at most, about 300 bytes each; more get 503 overloaded",
    ),
    setting(
        "log",
        "FILTER",
        Some("info,actix_server=warn,actix_http=off"),
        "Which messages are logged, such as warn or doorbuster=debug",
    ),
    setting("log_format", "FORMAT", Some("text"), "text or json"),
];

impl Setting {
    /// Its variable.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("DOORBUSTER_{}", self.key.to_ascii_uppercase())
    }

    /// Whether a variable of this name sets it: `DATABASE_URL` is everybody's name for that one.
    #[must_use]
    pub fn is_variable(&self, name: &str) -> bool {
        self.variable() == name || (self.key == "database_url" && name == "DATABASE_URL")
    }

    /// Its flag, without the dashes.
    #[must_use]
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }
}
