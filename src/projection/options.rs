//! Settings of a projector, and where it writes.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::config::{ChannelBinding, Host, SslMode};

/// Unix time in milliseconds by the partition's clock.
pub type NowMs = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Asks how much room the data directory's disk has.
pub type AskRoom = Arc<dyn Fn() -> DiskRoom + Send + Sync>;

/// Room on the data directory's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskRoom {
    /// Bytes free.
    pub free_bytes: u64,
    /// Bytes that are the log's: with fewer free, reporting waits.
    pub reserve_bytes: u64,
}

/// Settings of a projector.
#[derive(Clone)]
pub struct ProjectorOptions {
    /// Where lag is measured from.
    pub now_ms: NowMs,
    /// Asked before each batch of a store on the data directory's disk.
    pub room: AskRoom,
    /// Most records of one transaction.
    pub batch_records_max: usize,
    /// Most rows of one transaction; a record with more goes alone.
    pub batch_rows_max: usize,
    /// Or this many bytes of payload.
    pub batch_bytes_max: usize,
    /// How often to look for new records when there are none.
    pub poll: Duration,
    /// How long records gather after some were written: each transaction writes every page it
    /// touches, so that few large ones cost the disk much less than many small ones.
    pub gather: Duration,
    /// First wait after a failure; doubles.
    pub backoff_min: Duration,
    /// Longest wait after a failure.
    pub backoff_max: Duration,
    /// Longest time of one transaction of PostgreSQL; after it the connection is given up.
    pub transaction_limit: Duration,
}

/// Where a projection is written.
#[derive(Debug, Clone)]
pub enum StoreConfig {
    /// The embedded database.
    Sqlite {
        /// Its file.
        path: PathBuf,
    },
    /// A PostgreSQL server.
    Postgres {
        /// Where it is and who asks.
        url: SecretUrl,
        /// Which schema holds the tables.
        schema: SchemaName,
    },
}

/// Where a PostgreSQL server is; never shows its password.
#[derive(Clone)]
pub struct SecretUrl(Box<tokio_postgres::Config>);

/// A schema of PostgreSQL that may hold the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaName(String);

/// Why a database cannot be used as it is named. Never shows what was given: it may be a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not the form of an address.
    #[error(
        "the database URL is not of the form postgresql://user:password@host:5432/name (special \
         characters of a password are percent-encoded, and sslmode is disable or prefer)"
    )]
    Url,
    /// No host in it.
    #[error("the database URL names no host")]
    NoHost,
    /// Encryption is asked for, and this binary has none.
    #[error(
        "the database URL asks for TLS, which this doorbuster does not have: connect over a Unix \
         socket, the loopback or a private network with sslmode=disable, or through a local \
         proxy that encrypts"
    )]
    Tls,
    /// Not a schema for these tables.
    #[error(
        "the schema {0:?} cannot be used: 1 to 63 of a-z 0-9 _, not beginning with a digit, and \
         neither public nor one of the server's own"
    )]
    Schema(String),
}

impl ProjectorOptions {
    /// The usual settings.
    #[must_use]
    pub fn new(now_ms: NowMs, room: AskRoom) -> Self {
        Self {
            now_ms,
            room,
            batch_records_max: 32_768,
            batch_rows_max: 131_072,
            batch_bytes_max: 8 << 20,
            poll: Duration::from_millis(20),
            gather: Duration::from_millis(250),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
            transaction_limit: Duration::from_secs(30),
        }
    }
}

impl SecretUrl {
    pub(super) fn config(&self) -> tokio_postgres::Config {
        (*self.0).clone()
    }
}

impl FromStr for SecretUrl {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let lower = text.to_ascii_lowercase();
        // Modes the driver does not know also mean encryption.
        if ["sslmode=verify", "sslnegotiation=direct"].iter().any(|asked| lower.contains(asked)) {
            return Err(TargetError::Tls);
        }
        let config: tokio_postgres::Config = text.parse().map_err(|_| TargetError::Url)?;
        let tls = config.get_ssl_mode() == SslMode::Require
            || config.get_channel_binding() == ChannelBinding::Require;
        if tls {
            return Err(TargetError::Tls);
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(TargetError::NoHost);
        }
        Ok(Self(Box::new(config)))
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgresql://")?;
        if let Some(user) = self.0.get_user() {
            write!(f, "{user}@")?;
        }
        for (place, host) in self.0.get_hosts().iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            match host {
                Host::Tcp(name) => write!(f, "{comma}{name}")?,
                Host::Unix(path) => write!(f, "{comma}{}", path.display())?,
            }
            let ports = self.0.get_ports();
            if let Some(port) = ports.get(place).or(ports.first()) {
                write!(f, ":{port}")?;
            }
        }
        match self.0.get_dbname() {
            Some(name) => write!(f, "/{name}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl SchemaName {
    /// The schema the tables usually lie in.
    #[must_use]
    pub fn usual() -> Self {
        Self("doorbuster".to_owned())
    }

    /// Checks and takes the name.
    ///
    /// # Errors
    /// Not a plain lower-case name, or one that is not for applications.
    pub fn new(name: &str) -> Result<Self, TargetError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let fits = (1..=63).contains(&name.len())
            && name.chars().all(plain)
            && !name.starts_with(|c: char| c.is_ascii_digit());
        let taken = name == "public" || name == "information_schema" || name.starts_with("pg_");
        if !fits || taken {
            return Err(TargetError::Schema(name.chars().take(80).collect()));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Result<&str, TargetError>) {
        let shown = url.parse::<SecretUrl>().map(|url| format!("{url} {url:?}"));
        assert_eq!(shown, expected.map(|url| format!("{url} {url}")), "{url}");
    }

    #[test]
    fn url_shows_everything_but_its_password() {
        check("postgres://ann:s3cret@db:5433/shop", Ok("postgresql://ann@db:5433/shop"));
        check("postgresql://db/shop?sslmode=prefer", Ok("postgresql://db:5432/shop"));
        check("host=/run/pg user=ann password=s3cret", Ok("postgresql://ann@/run/pg"));
        check("postgres://ann:s3@cret@db:x/shop", Err(TargetError::Url));
        check("postgres:///shop", Err(TargetError::NoHost));
        assert!(!TargetError::Url.to_string().contains("s3"));
    }

    #[test]
    fn url_that_asks_for_tls_is_refused() {
        for mode in ["require", "verify-ca", "verify-full"] {
            check(&format!("postgres://a:b@db/shop?sslmode={mode}"), Err(TargetError::Tls));
        }
        check("postgres://a:b@db/shop?channel_binding=require", Err(TargetError::Tls));
        check("postgres://a:b@db/shop?sslmode=disable", Ok("postgresql://a@db:5432/shop"));
    }

    #[test]
    fn schema_is_a_plain_name_of_its_own() {
        assert_eq!(SchemaName::new("doorbuster"), Ok(SchemaName::usual()));
        for wrong in ["", "public", "pg_temp", "Shop", "1shop", "a\"b", "a b", &"x".repeat(64)] {
            assert!(SchemaName::new(wrong).is_err(), "{wrong}");
        }
    }
}
