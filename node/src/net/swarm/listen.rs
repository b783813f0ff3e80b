//! Where this device listens: what was asked for, or everywhere.

use std::io;
use std::net::TcpListener;

use libp2p::core::transport::TransportError;
use libp2p::{Multiaddr, Swarm};

use crate::net::behaviour::Behaviour;
use crate::net::{NetError, address, diagnosis};

pub(super) fn listen(swarm: &mut Swarm<Behaviour>, texts: &[String]) -> Result<(), NetError> {
    let failed = |address: &Multiaddr, error: TransportError<io::Error>| NetError::Listen {
        address: address.to_string(),
        reason: listen_failure(&error),
    };
    if !texts.is_empty() {
        for text in texts {
            for address in address::parse_listen(text)? {
                // libp2p listens with SO_REUSEPORT: a second node on the port would start, and each get half of the connections.
                if let Some(Err(error)) = address::tcp_socket(&address).map(TcpListener::bind) {
                    return Err(failed(&address, TransportError::Other(error)));
                }
                swarm.listen_on(address.clone()).map_err(|error| failed(&address, error))?;
            }
        }
        return Ok(());
    }
    let (ip4, ip6) = address::everywhere();
    let mut first_failure = None;
    let mut listens = false;
    for address in ip4.into_iter().chain(ip6) {
        match swarm.listen_on(address.clone()) {
            Ok(_) => listens = true,
            Err(error) => {
                tracing::debug!(%address, %error, "not listening here");
                first_failure.get_or_insert(failed(&address, error));
            }
        }
    }
    match first_failure {
        Some(failure) if !listens => Err(failure),
        _ => Ok(()),
    }
}

fn listen_failure(error: &TransportError<io::Error>) -> String {
    let TransportError::Other(error) = error else { return "this kind of address is not supported".to_owned() };
    match diagnosis::root_kind(error) {
        io::ErrorKind::AddrInUse => "the port is in use".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        io::ErrorKind::PermissionDenied => "the system does not permit it".to_owned(),
        _ => error.to_string(),
    }
}
