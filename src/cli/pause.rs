//! `pause` and `resume`: selling stops, or goes on, for a product, a sale, or everything.
//!
//! A pause is a decision like any other: once it is answered it is durable, and nothing is sold at a
//! position after its own. Holds that live can still be confirmed.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::api_key;
use super::exit::{Exit, failure};
use super::output::OutputArgs;
use super::play::caller::{CallError, Caller, Reply, Target};
use super::server_url::ServerArgs;

/// Whose selling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// One product
    Product,
    /// All products of a sale
    Sale,
    /// Every product, whatever its own pause
    All,
}

/// `pause` and `resume`
#[derive(Debug, Args)]
pub(super) struct PauseArgs {
    /// A product, a sale, or all
    what: What,
    /// Id of the product or sale
    #[arg(required_if_eq_any([("what", "product"), ("what", "sale")]))]
    id: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
    /// File with an API key that has the scope manage [default: the key in DOORBUSTER_API_KEY]
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

impl PauseArgs {
    /// `pause`
    pub(super) fn pause(self) -> anyhow::Result<Exit> {
        self.run(true)
    }

    /// `resume`
    pub(super) fn resume(self) -> anyhow::Result<Exit> {
        self.run(false)
    }

    fn run(self, paused: bool) -> anyhow::Result<Exit> {
        let (url, path) = (self.server.base_url()?, self.path()?);
        let target = Target::new(url, api_key::read(self.api_key_file.as_deref())?);
        self.output.prepare()?;
        let asked = actix_rt::System::new().block_on(async {
            Caller::new(&target).patch(&path, &json!({ "paused": paused })).await
        });
        let answer = match asked {
            Ok(reply) => done(reply)?,
            Err(error @ CallError::NotSent(_)) => {
                return Err(error).with_context(|| format!("{url} does not answer"));
            }
            Err(error @ CallError::Unheard(_)) => {
                return Err(error).context("it may have happened; asking again does no harm");
            }
        };
        let words = self.words(paused, &answer);
        self.output.write(&answer, |text| text.push_str(&words))?;
        Ok(Exit::Done)
    }

    fn path(&self) -> anyhow::Result<String> {
        match (self.what, self.id.as_deref()) {
            (What::Product, Some(id)) => Ok(format!("/v1/products/{}", plain(id)?)),
            (What::Sale, Some(id)) => Ok(format!("/v1/sales/{}", plain(id)?)),
            (What::All, None) => Ok("/v1/sales".to_owned()),
            (What::All, Some(id)) => {
                let message = format!("all takes no id, has {id:?}");
                Err(failure(Exit::Usage, message))
            }
            (_, None) => Err(failure(Exit::Usage, "which? give its id")),
        }
    }

    fn words(&self, paused: bool, answer: &Value) -> String {
        let what = match (self.what, self.id.as_deref().unwrap_or_default()) {
            (What::Product, id) => format!("product {id}"),
            (What::Sale, id) => {
                let products = answer.get("products_changed").and_then(Value::as_u64);
                format!("sale {id} ({} products)", products.unwrap_or_default())
            }
            (What::All, _) => "everything".to_owned(),
        };
        let position = answer.get("position").and_then(Value::as_str).unwrap_or("unknown");
        match paused {
            true => format!("{what} is paused: nothing is sold after position {position}\n"),
            false => format!("{what} is resumed at position {position}\n"),
        }
    }
}

/// An id that may stand in a path as it is.
fn plain(id: &str) -> anyhow::Result<&str> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    match (1..=64).contains(&id.len()) && id.bytes().all(known) {
        true => Ok(id),
        false => {
            let message = format!("{id:?} is no id: 1 to 64 of A-Z a-z 0-9 . _ : -");
            Err(failure(Exit::Usage, message))
        }
    }
}

fn done(reply: Reply) -> anyhow::Result<Value> {
    match reply.status {
        200 => Ok(reply.body),
        401 | 403 => bail!(
            "{}: give a key with the scope manage by --api-key-file or DOORBUSTER_API_KEY",
            reply.words()
        ),
        404 => Err(failure(Exit::CheckFailed, reply.words())),
        _ => bail!("{}", reply.words()),
    }
}
