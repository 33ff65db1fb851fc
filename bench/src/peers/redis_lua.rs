//! The peer whose store is Redis: one Lua script decides, remembers the key and appends the order.
//!
//! Each worker thread has one connection, on which all its requests in flight are pipelined; Redis
//! answers what it read together after one sync (`appendfsync always`), or syncs once a second.
//! Promises with `always`: what is answered is in the append-only file, synced. With `everysec`: up
//! to a second of answered sales is lost with the power.

use std::time::Duration;

use anyhow::{Context, bail};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd};

use super::front::{Ask, Decide, Decision, Units};

/// KEYS: the key's own, the product's; ARGV: quantity, buyer, product.
///
/// Everything in it happens or nothing does, and is appended as one transaction.
const BUY: &str = "
local known = redis.call('GET', KEYS[1])
if known then return {2, tonumber(known)} end
local available = tonumber(redis.call('HGET', KEYS[2], 'available') or 0)
local quantity = tonumber(ARGV[1])
if available < quantity then return {0, available} end
redis.call('HINCRBY', KEYS[2], 'available', -quantity)
local order = redis.call('INCR', 'orders:last')
redis.call('SET', KEYS[1], order, 'EX', 86400)
redis.call('XADD', 'orders', '*', 'order', order, 'product', ARGV[3], 'buyer', ARGV[2], 'quantity', ARGV[1])
return {1, order}
";
const PATIENCE: Duration = Duration::from_secs(30);
/// Requests that wait for one write.
const PIPELINE: usize = 1024;

/// One worker's connection.
#[derive(Debug)]
pub(super) struct RedisLua {
    connection: MultiplexedConnection,
    script: String,
}

impl RedisLua {
    /// Connects, and loads the script.
    ///
    /// # Errors
    /// Redis cannot be reached.
    pub(super) async fn connect(url: String) -> anyhow::Result<Self> {
        let client = Client::open(url.as_str()).context("not a URL of Redis")?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_pipeline_buffer_size(PIPELINE);
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let script = redis::cmd("SCRIPT").arg("LOAD").arg(BUY).query_async(&mut connection).await?;
        Ok(Self { connection, script })
    }

    async fn ask<T: redis::FromRedisValue>(&self, command: &Cmd) -> anyhow::Result<T> {
        // A clone is a handle of the same connection.
        Ok(command.query_async(&mut self.connection.clone()).await?)
    }
}

fn product_key(product_id: &str) -> String {
    format!("product:{product_id}")
}

impl Decide for RedisLua {
    async fn decide(&self, ask: Ask<'_>) -> anyhow::Result<Decision> {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.script).arg(2).arg(format!("key:{}", ask.key));
        command.arg(product_key(ask.product_id)).arg(ask.quantity);
        command.arg(ask.buyer_id).arg(ask.product_id);
        match self.ask::<(u8, u64)>(&command).await? {
            (0, available) => Ok(Decision::SoldOut(available)),
            (1, order) => Ok(Decision::Sold(order)),
            (2, order) => Ok(Decision::Replayed(order)),
            (other, _) => bail!("the script answered {other}"),
        }
    }

    async fn put_in(&self, product_id: &str, stock: u64) -> anyhow::Result<()> {
        let mut command = redis::cmd("HSET");
        command.arg(product_key(product_id)).arg("available").arg(stock).arg("stock").arg(stock);
        self.ask::<()>(&command).await
    }

    async fn units(&self, product_id: &str) -> anyhow::Result<Option<Units>> {
        let mut command = redis::cmd("HMGET");
        command.arg(product_key(product_id)).arg("available").arg("stock");
        let (available, stock) = self.ask::<(Option<u64>, Option<u64>)>(&command).await?;
        let units = |(available, stock): (u64, u64)| Units { available, sold: stock - available };
        Ok(available.zip(stock).map(units))
    }
}
