//! A TCP socket with a large read buffer that reports a peer which has fallen silent. It never looks into what it carries.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::time::{Instant, Sleep};

/// Noise reads 8 KiB at a time; one system call fills this for thirty of them. The pages are touched only when bytes fill them.
const READ_BUFFER_BYTES: usize = 256 * 1024;

/// A socket whose reads fail with [`io::ErrorKind::TimedOut`] once nothing has arrived for a while.
///
/// TCP itself notices a cut cable or a crashed host only after minutes. Both sides ping each other every second, so silence means
/// that the path or the peer is gone. QUIC has the same rule built in as its idle timeout.
pub(crate) struct Socket<S> {
    inner: BufReader<S>,
    silence: Duration,
    heard: Instant,
    timer: Pin<Box<Sleep>>,
}

impl<S: AsyncRead> Socket<S> {
    pub(crate) fn new(socket: S, silence: Duration) -> Self {
        Self {
            inner: BufReader::with_capacity(READ_BUFFER_BYTES, socket),
            silence,
            heard: Instant::now(),
            timer: Box::pin(tokio::time::sleep(silence)),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Poll::Ready(read) = Pin::new(&mut this.inner).poll_read(cx, buf) {
            this.heard = Instant::now();
            return Poll::Ready(read);
        }
        // The timer is moved only when it fires, not at every read.
        while this.timer.as_mut().poll(cx).is_ready() {
            let due = this.heard + this.silence;
            if due <= Instant::now() {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer has fallen silent")));
            }
            this.timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self.get_mut().inner.get_mut()).poll_write(cx, buf)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(self.get_mut().inner.get_mut()).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().inner.get_mut()).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().inner.get_mut()).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_util::compat::TokioAsyncReadCompatExt;

    use super::*;

    #[tokio::test]
    async fn silence_is_an_error_and_speech_puts_it_off() {
        let (ours, theirs) = tokio::io::duplex(64);
        let silence = Duration::from_millis(200);
        let mut socket = Socket::new(ours.compat(), silence);
        let mut theirs = theirs.compat();
        let began = Instant::now();
        let mut byte = [0];
        for _ in 0..3 {
            tokio::time::sleep(silence / 2).await;
            theirs.write_all(&[7]).await.unwrap();
            socket.read_exact(&mut byte).await.unwrap();
        }
        let error = socket.read_exact(&mut byte).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= silence / 2 * 3 + silence);
    }
}
