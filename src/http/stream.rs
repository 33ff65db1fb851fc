//! A connection's bytes, with limits: what a client may make a worker hold, and for how long.
//!
//! actix-http decodes all that it has read into a queue, times only the first head of a connection,
//! and neither its writing nor its draining of a chunked body nobody wants. So this hands out a
//! few bytes per poll, none while an answer waits to be written, and gives up a client that does
//! not go on. One timer per connection, moved only when it would fire late.
//!
//! A client given up for its reading gets no answer lost: it is treated as one that has closed its
//! side, so what it asked for whole is still answered before the connection ends.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf, Take};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep_until};

use super::patience::{now, recently};

/// Most bytes handed out per poll, so that few requests are decoded before some are answered.
const POLL_BYTES_MAX: usize = 4 << 10;

/// How long a connection may be without progress.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    /// From the first byte after an answer to the first byte of the next.
    pub(super) answered: Duration,
    /// Without a byte in either direction.
    pub(super) quiet: Duration,
    /// A write without a byte of it taken.
    pub(super) written: Duration,
}

/// A connection that gives up a client without progress.
pub(super) struct Stream {
    socket: Take<TcpStream>,
    progress: Progress,
    /// Bytes handed out since the last poll that had none.
    handed: usize,
    /// When the first byte came that no write has followed.
    asked_at: Option<Instant>,
    /// When a byte was last written, or the connection opened.
    written_at: Instant,
    /// Since when the client has taken nothing of what is to be written.
    blocked_at: Option<Instant>,
    /// Reading was refused while blocked, so its task needs to be woken.
    refused: bool,
    /// Given up: there is nothing more to read.
    ended: bool,
    timer: Option<Timer>,
}

/// Wakes the connection's task when the clock has to be looked at.
struct Timer {
    sleep: Pin<Box<Sleep>>,
    /// Who is woken, as it was last told.
    told: Option<Waker>,
}

impl Stream {
    pub(super) fn new(socket: TcpStream, progress: Progress) -> Self {
        Self {
            socket: socket.take(0),
            progress,
            handed: 0,
            asked_at: None,
            written_at: recently(),
            blocked_at: None,
            refused: false,
            ended: false,
            timer: None,
        }
    }

    fn read_until(&self) -> Instant {
        match self.asked_at {
            Some(asked_at) => asked_at + self.progress.answered,
            None => self.written_at + self.progress.quiet,
        }
    }

    /// Whether `until` is over; otherwise the task is woken by then, or before.
    fn is_over(&mut self, until: Instant, context: &mut Context<'_>) -> bool {
        let timer = self.timer.get_or_insert_with(|| Timer::new(until));
        while timer.is_due(until, context) {
            // It may have been set for an earlier end.
            if now() >= until {
                return true;
            }
        }
        false
    }
}

impl Timer {
    fn new(until: Instant) -> Self {
        Self { sleep: Box::pin(sleep_until(until.into())), told: None }
    }

    /// Whether it rang; otherwise the task is woken by `until`, or before.
    fn is_due(&mut self, until: Instant, context: &mut Context<'_>) -> bool {
        let rang = self.sleep.is_elapsed();
        if rang || self.sleep.deadline() > until.into() {
            self.sleep.as_mut().reset(until.into());
        } else if self.told.as_ref().is_some_and(|told| told.will_wake(context.waker())) {
            // Set early enough, and told whom to wake: as nearly always.
            return false;
        }
        self.told = Some(context.waker().clone());
        self.sleep.as_mut().poll(context).is_ready()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(Ok(()));
        }
        if this.blocked_at.is_some() {
            this.refused = true;
            return Poll::Pending;
        }
        let rest = POLL_BYTES_MAX.saturating_sub(this.handed);
        if rest > 0 {
            let before = buffer.filled().len();
            this.socket.set_limit(rest as u64);
            let read = Pin::new(&mut this.socket).poll_read(context, buffer);
            let bytes = buffer.filled().len() - before;
            if bytes > 0 {
                this.handed += bytes;
                this.asked_at.get_or_insert_with(recently);
            }
            if read.is_ready() {
                return read;
            }
        }
        this.handed = 0;
        // Also for one that sends without a pause: a body nobody wants may have no end.
        if this.is_over(this.read_until(), context) {
            this.ended = true;
            return Poll::Ready(Ok(()));
        }
        if rest == 0 {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let write = Pin::new(this.socket.get_mut()).poll_write(context, bytes);
        match write {
            Poll::Ready(Ok(written)) => {
                this.blocked_at = None;
                this.asked_at = None;
                this.written_at = recently();
                if written == bytes.len() && std::mem::take(&mut this.refused) {
                    context.waker().wake_by_ref();
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                let blocked_at = *this.blocked_at.get_or_insert_with(recently);
                if this.is_over(blocked_at + this.progress.written, context) {
                    // What the client does not take is no longer kept for it by the system either.
                    let _ = this.socket.get_ref().set_zero_linger();
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
        write
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().socket.get_mut()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().socket.get_mut()).poll_shutdown(context)
    }
}
