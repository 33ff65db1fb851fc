//! Settings: flag, environment, file, default; each value knows where it came from.
//!
//! [`SETTINGS`] is the one list: flags, environment names, the example file, `config show` and the
//! reference in `config/README.md` are all made from it. A value is text until [`Config`] takes
//! it, so an error names the layer it came from.
//! Called by: `cli`. Never here: opening what the settings name.

mod layers;
mod settings;
mod value;

pub use layers::{ConfigError, Layers, Origin, Resolved};
pub use settings::{SETTINGS, Setting};
pub use value::{LogFormat, ValueError};

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use value::{bytes, count, duration, parse};

/// What `serve` runs with: every value checked by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the journal and the embedded database lie.
    pub data_dir: PathBuf,
    /// Where HTTP listens.
    pub listen: SocketAddr,
    /// Where metrics listen, when apart.
    pub metrics_listen: Option<SocketAddr>,
    /// API keys; `None`: everything is open, on loopback only.
    pub keys_file: Option<PathBuf>,
    /// PostgreSQL; `None`: the embedded SQLite.
    pub database_url: Option<Secret>,
    /// Schema in PostgreSQL.
    pub database_schema: String,
    /// HTTP worker threads.
    pub workers: usize,
    /// Connections at most, over all workers.
    pub connections_max: usize,
    /// Connections that may wait to be accepted.
    pub backlog: u32,
    /// Time a client has for a request's head.
    pub head_timeout: Duration,
    /// Time a client has for a request's body.
    pub body_timeout: Duration,
    /// Time an idle connection is kept.
    pub keep_alive: Duration,
    /// Time answers in flight have at shutdown.
    pub drain_timeout: Duration,
    /// Time the projection has after that.
    pub projection_drain_timeout: Duration,
    /// Size of a segment.
    pub journal_segment_bytes: u64,
    /// Segments zeroed ahead.
    pub journal_spare_segments: usize,
    /// Segments closed between two snapshots at least.
    pub snapshot_segments: u64,
    /// Free bytes under which the embedded database, snapshots and the archive are not written.
    pub disk_reserve_bytes: u64,
    /// Commands in flight at most.
    pub commands_max: usize,
    /// Bytes of their records at most.
    pub queued_bytes_max: usize,
    /// Commands that may wait for one product.
    pub product_queue_max: usize,
    /// Commands that may wait for the partition.
    pub partition_queue_max: usize,
    /// Time without traffic after which a product's actor stops.
    pub product_idle: Duration,
    /// Idempotency keys at most.
    pub idempotency_keys_max: usize,
    /// Longest a hold lives.
    pub hold_ttl_max: Duration,
    /// Live holds of one buyer at most.
    pub holds_per_buyer_max: u32,
    /// Lines in live holds at most.
    pub hold_lines_max: usize,
    /// Which messages are logged.
    pub log: String,
    /// How they are written.
    pub log_format: LogFormat,
}

/// Text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for whoever needs it to connect.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Config {
    /// Takes the resolved settings.
    ///
    /// # Errors
    /// Everything that `layers` and the values have wrong, with the layer it came from.
    pub fn new(layers: &Layers) -> Result<Self, Vec<ConfigError>> {
        let (resolved, mut errors) = layers.resolve();
        let resolved = &resolved;
        let mut taker = Taker { resolved, errors: &mut errors };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let config = Self {
            data_dir: taker.take("data_dir", parse).unwrap_or_default(),
            listen: taker.take("listen", parse).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0))),
            metrics_listen: taker.take("metrics_listen", parse),
            keys_file: taker.take("keys_file", parse),
            database_url: taker.take("database_url", value::secret),
            database_schema: taker.take("database_schema", parse).unwrap_or_default(),
            workers: taker.take("workers", count).unwrap_or(cores),
            connections_max: taker.take("connections_max", count).unwrap_or_default(),
            backlog: taker.take("backlog", count).unwrap_or_default(),
            head_timeout: taker.take("head_timeout_ms", duration).unwrap_or_default(),
            body_timeout: taker.take("body_timeout_ms", duration).unwrap_or_default(),
            keep_alive: taker.take("keep_alive_ms", duration).unwrap_or_default(),
            drain_timeout: taker.take("drain_timeout_ms", duration).unwrap_or_default(),
            projection_drain_timeout: taker
                .take("projection_drain_timeout_ms", duration)
                .unwrap_or_default(),
            journal_segment_bytes: taker
                .take("journal_segment_bytes", value::segment_bytes)
                .unwrap_or_default(),
            journal_spare_segments: taker.take("journal_spare_segments", count).unwrap_or_default(),
            snapshot_segments: taker.take("snapshot_segments", count).unwrap_or_default(),
            disk_reserve_bytes: taker.take("disk_reserve_bytes", bytes).unwrap_or_default(),
            commands_max: taker.take("commands_max", count).unwrap_or_default(),
            queued_bytes_max: taker
                .take("queued_bytes_max", value::bytes_in_memory)
                .unwrap_or_default(),
            product_queue_max: taker.take("product_queue_max", count).unwrap_or_default(),
            partition_queue_max: taker.take("partition_queue_max", count).unwrap_or_default(),
            product_idle: taker.take("product_idle_ms", duration).unwrap_or_default(),
            idempotency_keys_max: taker.take("idempotency_keys_max", count).unwrap_or_default(),
            hold_ttl_max: taker.take("hold_ttl_max_ms", value::hold_ttl).unwrap_or_default(),
            holds_per_buyer_max: taker.take("holds_per_buyer_max", count).unwrap_or_default(),
            hold_lines_max: taker.take("hold_lines_max", count).unwrap_or_default(),
            log: taker.take("log", parse).unwrap_or_default(),
            log_format: taker.take("log_format", parse).unwrap_or_default(),
        };
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }
}

struct Taker<'a> {
    resolved: &'a Resolved,
    errors: &'a mut Vec<ConfigError>,
}

impl Taker<'_> {
    /// The value of a key, if it is set and right.
    fn take<T>(&mut self, key: &str, take: fn(&str) -> Result<T, ValueError>) -> Option<T> {
        let (text, origin) = self.resolved.get(key)?;
        match take(text) {
            Ok(value) => Some(value),
            Err(error) => {
                let (key, origin) = (key.to_owned(), origin.clone());
                self.errors.push(ConfigError::Value { key, origin, error });
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(layers: Layers) -> Result<Config, Vec<String>> {
        Config::new(&layers).map_err(|errors| texts(&errors))
    }

    fn texts(errors: &[ConfigError]) -> Vec<String> {
        errors.iter().map(ToString::to_string).collect()
    }

    fn layers(flags: &[(&str, &str)], environment: &[(&str, &str)], file: &str) -> Layers {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Layers {
            flags: flags.iter().map(pair).collect(),
            environment: environment.iter().map(pair).collect(),
            file: (!file.is_empty()).then(|| ("f.toml".into(), file.to_owned())),
        }
    }

    #[test]
    fn defaults_are_a_whole_configuration() {
        let config = config(Layers::default()).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:7373");
        assert_eq!(config.journal_segment_bytes, 64 << 20);
        assert_eq!((config.database_url, config.keys_file), (None, None));
    }

    #[test]
    fn by_default_all_connections_may_wait_for_one_product_and_for_it_alone() {
        let config = config(Layers::default()).unwrap();
        assert!(config.product_queue_max >= config.connections_max);
        assert!(config.product_queue_max < config.commands_max, "others are decided meanwhile");
    }

    #[test]
    fn flag_beats_environment_beats_file_beats_default() {
        let file = "listen = \"127.0.0.1:3\"\ncommands_max = 30\nbacklog = 9\n";
        let environment = [("DOORBUSTER_LISTEN", "127.0.0.1:2"), ("DOORBUSTER_COMMANDS_MAX", "20")];
        let all = layers(&[("listen", "127.0.0.1:1")], &environment, file);
        let (resolved, _) = all.resolve();
        assert!(matches!(resolved.get("listen"), Some(("127.0.0.1:1", Origin::Flag))));
        let config = Config::new(&all).unwrap();
        assert_eq!((config.listen.port(), config.commands_max, config.backlog), (1, 20, 9));
        assert!(
            matches!(resolved.get("backlog"), Some((_, Origin::File(path))) if path.as_os_str() == "f.toml")
        );
        assert!(resolved.get("workers").is_none());
        assert!(matches!(resolved.get("log"), Some((_, Origin::Default))));
    }

    #[test]
    fn every_wrong_value_is_named_with_its_layer() {
        let all = layers(
            &[("listen", "nowhere")],
            &[("DOORBUSTER_JOURNAL_SEGMENT_BYTES", "64 parsecs")],
            "commands_max = 0\nbacklog = 1.5\nlog = \"\"\nworkrs = 1",
        );
        let errors = config(all).unwrap_err();
        for start in [
            "--listen: ",
            "DOORBUSTER_JOURNAL_SEGMENT_BYTES: ",
            "commands_max in f.toml: ",
            "backlog in f.toml: ",
            "log in f.toml: ",
            "workrs in f.toml is no setting; did you mean workers?",
        ] {
            assert!(errors.iter().any(|error| error.starts_with(start)), "{start}: {errors:?}");
        }
        assert_eq!(errors.len(), 6, "{errors:?}");
    }

    #[test]
    fn unknown_settings_are_refused_by_name() {
        let environment = [("DOORBUSTER_LISTN", "x"), ("DOORBUSTER_TEST_ANY", "x")];
        let errors = config(layers(&[], &environment, "")).unwrap_err();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].contains("DOORBUSTER_LISTN") && errors[0].contains("DOORBUSTER_LISTEN"));
        let errors = config(layers(&[], &[], "commands_mx = 1")).unwrap_err();
        assert!(
            errors[0].contains("commands_mx") && errors[0].contains("commands_max"),
            "{errors:?}"
        );
        let errors = config(layers(&[], &[], "listen = ")).unwrap_err();
        assert!(errors[0].contains("f.toml"), "{errors:?}");
    }

    #[test]
    fn database_url_is_never_shown() {
        let url = "postgres://me:hunter2@localhost/shop";
        let layers = layers(&[], &[("DATABASE_URL", url)], "");
        let (resolved, config) = (layers.resolve().0, Config::new(&layers).unwrap());
        assert!(!format!("{config:?}").contains("hunter2"));
        assert_eq!(config.database_url.unwrap().reveal(), url);
        assert!(!resolved.shown("database_url").contains("hunter2"));
    }
}
