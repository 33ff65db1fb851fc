//! The arguments of `rehearse`, and what they mean.

use std::path::{Path, PathBuf};

use clap::Args;

use super::columns::Columns;
use super::line::Reading;
use super::plan::{Partial, Plan};
use super::sheet::Sheet;
use super::stock::StockRule;
use crate::cli::exit::{Exit, failure};
use crate::cli::output::OutputArgs;
use crate::cli::play::workplace::{random_word, read_file};
use crate::domain::Currency;

/// What a UK gift shop books beside its goods.
const SERVICE_CODES: &str =
    "POST,DOT,M,D,S,C2,B,BANK CHARGES,AMAZONFEE,CRUK,PADS,GIFT_*,ADJUST*,TEST*";
const CONNECTIONS_MAX: u64 = 10_000;
/// Leaves room for what a key says behind it.
const RUN_ID_BYTES_MAX: usize = 64;

/// `rehearse`
#[derive(Debug, Args)]
pub(crate) struct RehearseArgs {
    /// Order lines as CSV: an invoice's lines are one order
    pub(super) file: PathBuf,
    /// Opening stock: so many units of every product
    #[arg(long, value_name = "UNITS", group = "opening", value_parser = clap::value_parser!(u64).range(..=1_000_000_000_000))]
    stock: Option<u64>,
    /// Opening stock: so many percent of what each product's sales in the file want, rounded down
    /// [default: 100]
    #[arg(long, value_name = "PERCENT", group = "opening", value_parser = clap::value_parser!(u64).range(..=100_000))]
    stock_share: Option<u64>,
    /// Opening stock: from a CSV with the columns product_id (or the name given for products) and
    /// stock; a product that is not in it has none
    #[arg(long, value_name = "FILE", group = "opening")]
    stock_file: Option<PathBuf>,
    /// What becomes of an order that is refused: it stays so, or it is asked for once more with what
    /// can be had of it
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    partial: Partial,
    /// Play by the times of the file, so many times as fast [default: as fast as it goes]
    #[arg(long, value_name = "TIMES", value_parser = speed)]
    pub(super) speed: Option<f64>,
    /// Connections that buy at once; with more than one only each customer's own lines keep their
    /// order, and invariants are checked instead of totals
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=CONNECTIONS_MAX))]
    connections: u64,
    /// A server that runs already, such as http://127.0.0.1:7373 [default: one of its own]
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// File with the API key of the running server [default: the key in DOORBUSTER_API_KEY]
    #[arg(long, value_name = "FILE", requires = "url")]
    pub(super) api_key_file: Option<PathBuf>,
    /// Data directory: of the running server, to check its log; or for a server of its own, and
    /// then it is kept [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// PostgreSQL: of the running server, to check its orders; or for a server of its own
    /// [default: the SQLite file in the data directory]
    #[arg(long, value_name = "URL", hide_env = true)]
    pub(super) database_url: Option<String>,
    /// Schema in PostgreSQL [default: doorbuster; a temporary one for a temporary directory]
    #[arg(long, value_name = "NAME", requires = "database_url", value_parser = schema)]
    pub(super) database_schema: Option<String>,
    /// Keep the temporary data directory and schema
    #[arg(long, conflicts_with = "url")]
    pub(super) keep: bool,
    /// Sets the idempotency keys of this run apart. Given again with the same file and flags, what
    /// was done is not done again: an interrupted run goes on [default: a new one]
    #[arg(long, value_name = "WORD", value_parser = run_id)]
    pub(super) run_id: Option<String>,
    /// Set products that are on the server already to the opening stock; else they are sold as
    /// they stand there
    #[arg(long)]
    pub(super) restock: bool,
    #[command(flatten)]
    reading: ReadingArgs,
    /// Products to show, those refused most units first: a number, or all
    #[arg(long, value_name = "N", default_value = "25")]
    rows: String,
    /// Draw how the sale went, and which products sold out first, as SVG into this file
    #[arg(long, value_name = "FILE.svg")]
    pub(super) chart: Option<PathBuf>,
    /// Show every skipped line, not only bad ones
    #[arg(long)]
    pub(super) list_skipped: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// How the file is read.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The file")]
struct ReadingArgs {
    /// Currency of its prices, ISO 4217
    #[arg(long, value_name = "CODE", default_value = "GBP")]
    currency: String,
    /// Product codes that are no goods, by commas; case does not matter, * at the end stands for
    /// anything; empty for none
    #[arg(long, value_name = "CODES", default_value = SERVICE_CODES)]
    service_codes: String,
    /// How the invoices begin whose negative units cancel earlier sales; empty for none
    #[arg(long, value_name = "TEXT", default_value = "C")]
    cancellation_mark: String,
    /// How its dates are written (strftime)
    #[arg(long, value_name = "FORMAT", default_value = "%d/%m/%Y %H:%M")]
    date_format: String,
    /// Character between its fields
    #[arg(long, value_name = "CHAR", default_value = ",")]
    delimiter: char,
    /// Column of the cart or invoice
    #[arg(long, value_name = "NAME", default_value = "InvoiceNo")]
    column_invoice: String,
    /// Column of the product's code
    #[arg(long, value_name = "NAME", default_value = "StockCode")]
    column_product: String,
    /// Column of the product's name; empty for none
    #[arg(long, value_name = "NAME", default_value = "Description")]
    column_description: String,
    /// Column of the units
    #[arg(long, value_name = "NAME", default_value = "Quantity")]
    column_quantity: String,
    /// Column of the date
    #[arg(long, value_name = "NAME", default_value = "InvoiceDate")]
    column_date: String,
    /// Column of one unit's price
    #[arg(long, value_name = "NAME", default_value = "UnitPrice")]
    column_price: String,
    /// Column of the customer; empty for none
    #[arg(long, value_name = "NAME", default_value = "CustomerID")]
    column_customer: String,
}

/// How many times as fast as the file.
fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed: &f64| speed.is_finite() && *speed > 0.0);
    speed.ok_or_else(|| "must be a number above 0, such as 60".to_owned())
}

/// A checked word for keys: they are visible ASCII.
fn run_id(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    match text.bytes().all(allowed) && (1..=RUN_ID_BYTES_MAX).contains(&text.len()) {
        true => Ok(text.to_owned()),
        false => Err(format!("must be 1 to {RUN_ID_BYTES_MAX} of A-Z a-z 0-9 . _ : -")),
    }
}

/// A name that needs no quotes.
pub(crate) fn schema(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let begins = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    match text.bytes().all(allowed) && begins && text.len() <= 63 {
        true => Ok(text.to_owned()),
        false => {
            Err("must be lower-case letters, digits and _, and begin with a letter".to_owned())
        }
    }
}

fn usage(message: impl Into<String>) -> anyhow::Error {
    failure(Exit::Usage, message)
}

impl ReadingArgs {
    fn reading(&self) -> anyhow::Result<Reading> {
        Currency::new(&self.currency).map_err(|error| usage(format!("--currency {error}")))?;
        let delimiter = u8::try_from(self.delimiter).ok().filter(u8::is_ascii);
        let codes = self.service_codes.split(',').map(str::trim).filter(|code| !code.is_empty());
        let columns = Columns {
            invoice: self.column_invoice.clone(),
            product: self.column_product.clone(),
            description: self.column_description.clone(),
            quantity: self.column_quantity.clone(),
            date: self.column_date.clone(),
            price: self.column_price.clone(),
            customer: self.column_customer.clone(),
        };
        Ok(Reading {
            columns,
            delimiter: delimiter.ok_or_else(|| usage("--delimiter must be an ASCII character"))?,
            date_format: self.date_format.clone(),
            currency: self.currency.clone(),
            service_codes: codes.map(str::to_ascii_uppercase).collect(),
            cancellation_mark: self.cancellation_mark.clone(),
        })
    }
}

/// Everything that is known before a server is asked.
pub(super) struct Prepared {
    pub(super) sheet: Sheet,
    pub(super) reading: Reading,
    pub(super) rule: StockRule,
    pub(super) plan: Plan,
    pub(super) connections: usize,
    pub(super) rows: Option<usize>,
}

impl RehearseArgs {
    /// Reads the files and checks what can be checked.
    pub(super) fn prepare(&self) -> anyhow::Result<Prepared> {
        let reading = self.reading.reading()?;
        let rows = match self.rows.as_str() {
            "all" => None,
            number => Some(number.parse().map_err(|_| usage("--rows must be a number, or all"))?),
        };
        if let Some(url) = &self.url
            && !url.starts_with("http://")
        {
            return Err(usage(format!(
                "--url {url:?} must be http://HOST:PORT (TLS is a proxy's)"
            )));
        }
        let rule = self.rule(&reading)?;
        let bytes = named_file(&self.file)?;
        let sheet = Sheet::read(&bytes, &reading)
            .map_err(|what| usage(format!("{}: {what}", self.file.display())))?;
        if sheet.lines.is_empty() {
            let skipped = sheet.skipped.first();
            let first =
                skipped.map_or(String::new(), |s| format!("; line {}: {}", s.line, s.detail));
            return Err(usage(format!("{}: no line can be played{first}", self.file.display())));
        }
        let run_id = match &self.run_id {
            Some(run_id) => run_id.clone(),
            None => format!("r-{}", random_word()?),
        };
        let plan = Plan::new(&run_id, &sheet, &rule, &reading.currency, self.partial);
        let connections = usize::try_from(self.connections).unwrap_or(1);
        Ok(Prepared { sheet, reading, rule, plan, connections, rows })
    }

    fn rule(&self, reading: &Reading) -> anyhow::Result<StockRule> {
        Ok(match (self.stock, self.stock_share, &self.stock_file) {
            (Some(units), ..) => StockRule::Each(units),
            (_, _, Some(path)) => {
                let bytes = named_file(path)?;
                StockRule::from_csv(&bytes, reading.delimiter, &reading.columns.product)
                    .map_err(|what| usage(format!("{}: {what}", path.display())))?
            }
            (_, share, _) => StockRule::Share(share.unwrap_or(100)),
        })
    }
}

/// A file named on the command line: one that is not there is a slip of the hand.
fn named_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    read_file(path).map_err(|error| usage(format!("{error:#}")))
}
