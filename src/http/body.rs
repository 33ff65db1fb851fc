//! Reading a request's body: bounded in bytes and in time.
//!
//! A body that is there whole with its head costs no timer and no copy. One over its limit is read
//! and dropped, up to 1 MiB and one second, so that a client that is still sending hears the
//! answer instead of a reset; so is one that nobody wants.

use std::pin::pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap};
use actix_web::web::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use super::patience::{Elapsed, Patience};
use super::problem::{Problem, ProblemType};

/// Longest body of one JSON document.
pub(super) const BODY_BYTES_MAX: usize = 64 << 10;
/// Longest body with lines of an order or a hold.
pub(super) const CART_BYTES_MAX: usize = 256 << 10;

const DROPPED_BYTES_MAX: usize = 1 << 20;
const DROPPED_FOR: Duration = Duration::from_secs(1);

/// How long a body may be, and take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) bytes_max: usize,
    pub(super) patient_for: Duration,
}

/// Reads a body whole, within its bounds.
///
/// # Errors
/// Too large, too slow, or broken off.
pub(super) async fn read(
    payload: &mut Payload,
    headers: &HeaderMap,
    patience: &Patience,
    bounds: Bounds,
) -> Result<Bytes, Problem> {
    let Bounds { bytes_max, patient_for } = bounds;
    let announced = announced(headers);
    if announced.is_some_and(|bytes| bytes > bytes_max) {
        Box::pin(drop_rest(payload, patience)).await;
        return Err(too_large(bytes_max));
    }
    let read = patience.within(patient_for, pin!(read_whole(payload, announced, bytes_max))).await;
    match read {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(Broken::TooLarge)) => {
            Box::pin(drop_rest(payload, patience)).await;
            Err(too_large(bytes_max))
        }
        Ok(Err(Broken::Off)) => Err(Problem::malformed("the body ended early")),
        Err(Elapsed) => Err(Problem::new(
            ProblemType::RequestTimeout,
            format!("the body was not here within {} ms", patient_for.as_millis()),
        )),
    }
}

enum Broken {
    TooLarge,
    Off,
}

async fn read_whole(
    payload: &mut Payload,
    announced: Option<usize>,
    bytes_max: usize,
) -> Result<Bytes, Broken> {
    let Some(first) = payload.next().await else { return Ok(Bytes::new()) };
    let first = first.map_err(|_| Broken::Off)?;
    if announced == Some(first.len()) {
        return Ok(first);
    }
    let mut body = BytesMut::with_capacity(announced.unwrap_or(2 * first.len()));
    let mut chunk = first;
    loop {
        if body.len() + chunk.len() > bytes_max {
            return Err(Broken::TooLarge);
        }
        body.extend_from_slice(&chunk);
        match payload.next().await {
            Some(Ok(next)) => chunk = next,
            Some(Err(_)) => return Err(Broken::Off),
            None => return Ok(body.freeze()),
        }
    }
}

/// Drops what is left of a body nobody wants, up to a limit; a small one that is here already
/// keeps the connection alive.
pub(super) async fn drop_rest(payload: &mut Payload, patience: &Patience) {
    let dropped = async {
        let mut bytes = 0;
        while let Some(Ok(chunk)) = payload.next().await {
            bytes += chunk.len();
            if bytes > DROPPED_BYTES_MAX {
                break;
            }
        }
    };
    // Whether it ended or time did: the answer goes out now.
    let _ = patience.within(DROPPED_FOR, pin!(dropped)).await;
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(bytes_max: usize) -> Problem {
    let detail = format!("a body has at most {bytes_max} bytes");
    Problem::new(ProblemType::TooLarge, detail)
}
