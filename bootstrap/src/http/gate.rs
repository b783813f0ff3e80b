//! What a connection goes through before a request is read: a cap on how many there are, in all and of one address, then TLS.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::limits::network;

/// How many connections there may be.
#[derive(Debug, Clone)]
pub(crate) struct Caps {
    pub(crate) all: usize,
    /// Of one address (IPv4) or one /64 (IPv6).
    pub(crate) per_source: usize,
    /// Who may have all of them.
    pub(crate) trusted: Vec<IpAddr>,
}

#[derive(Debug)]
struct Doors {
    caps: Caps,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    of: HashMap<Vec<u8>, usize>,
}

impl Doors {
    fn enter(self: &Arc<Self>, source: IpAddr) -> Option<Permit> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let network = network(source);
        let mine = open.of.get(&network).copied().unwrap_or(0);
        let trusted = self.caps.trusted.contains(&source.to_canonical());
        if open.all >= self.caps.all || (mine >= self.caps.per_source && !trusted) {
            return None;
        }
        open.all += 1;
        open.of.insert(network.clone(), mine + 1);
        Some(Permit { doors: Arc::clone(self), network })
    }
}

/// A connection that is counted.
#[derive(Debug)]
struct Permit {
    doors: Arc<Doors>,
    network: Vec<u8>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.doors.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all = open.all.saturating_sub(1);
        if let Some(mine) = open.of.get_mut(&self.network) {
            *mine = mine.saturating_sub(1);
            if *mine == 0 {
                open.of.remove(&self.network);
            }
        }
    }
}

/// Lets so many connections through; one more is closed at once, before anything is spent on it.
#[derive(Clone)]
pub(crate) struct Gate<A> {
    inner: A,
    doors: Arc<Doors>,
}

impl<A> Gate<A> {
    pub(crate) fn new(inner: A, caps: Caps) -> Self {
        Self { inner, doors: Arc::new(Doors { caps, open: Mutex::default() }) }
    }
}

impl<S, A> Accept<TcpStream, S> for Gate<A>
where
    A: Accept<TcpStream, S>,
    A::Future: Send + 'static,
    A::Stream: Send + 'static,
    A::Service: Send + 'static,
{
    type Stream = Counted<A::Stream>;
    type Service = A::Service;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let permit = stream.peer_addr().ok().and_then(|source| self.doors.enter(source.ip()));
        match permit {
            Some(permit) => {
                let accepted = self.inner.accept(stream, service);
                Box::pin(async move {
                    let (stream, service) = accepted.await?;
                    Ok((Counted { stream, _permit: permit }, service))
                })
            }
            None => Box::pin(std::future::ready(Err(io::Error::other("too many connections")))),
        }
    }
}

/// A connection that counts for as long as it lives.
pub(crate) struct Counted<T> {
    stream: T,
    _permit: Permit,
}

impl<T: AsyncRead + Unpin> AsyncRead for Counted<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Counted<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn one_address_takes_its_share_and_gives_it_back() {
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let caps = Caps { all: 5, per_source: 2, trusted: vec![at("192.0.2.9")] };
        let doors = Arc::new(Doors { caps, open: Mutex::default() });
        let enter = |text: &str| doors.enter(at(text));
        let greedy = [enter("192.0.2.1").unwrap(), enter("::ffff:192.0.2.1").unwrap()];
        assert!(enter("192.0.2.1").is_none());
        let others = [enter("192.0.2.2"), enter("192.0.2.9"), enter("192.0.2.9")];
        assert!(others.iter().all(Option::is_some) && enter("192.0.2.3").is_none(), "full");
        drop(others);
        let sixes = [enter("2001:db8::1"), enter("2001:db8::2")];
        assert!(sixes.iter().all(Option::is_some) && enter("2001:db8::3").is_none() && enter("2001:db8:0:1::1").is_some());
        drop((greedy, sixes));
        let open = doors.open.lock().unwrap();
        assert!(open.all == 0 && open.of.is_empty());
    }
}
