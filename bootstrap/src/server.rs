//! The node as a whole: bound, running, drained. The order of starting and stopping is here and nowhere else.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use axum_server::accept::DefaultAcceptor;
use axum_server::tls_rustls::RustlsAcceptor;
use axum_server::{Handle, Server as HttpServer};
use conclave_bootstrap_api::{InviteReply, Key, UserReply};
use tokio::sync::{mpsc, watch};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::http::{App, Caps, Gate, now_ms, router};
use crate::keys::{self, Master, random};
use crate::limits::PERIOD_MS;
use crate::metrics::Metrics;
use crate::reach;
use crate::registry::{Registry, TurnAccess};
use crate::store::Store;
use crate::tls;

const MASTER: &str = "master.key";
const PEER: &str = "peer.key";
/// The head of a request, and a TLS handshake, must be there by then.
const HEADERS: Duration = Duration::from_secs(5);
/// Requests that have begun are finished within this time when the node stops.
const DRAIN: Duration = Duration::from_secs(10);
/// How often what has passed is removed.
const SWEEP: Duration = Duration::from_secs(60);

/// A running node.
pub struct Server {
    app: Arc<App>,
    address: SocketAddr,
    handle: Handle<SocketAddr>,
    http: tokio::task::JoinHandle<std::io::Result<()>>,
    sweeper: tokio::task::JoinHandle<()>,
    reach: Option<reach::Reach>,
    _turn: Option<reach::TurnServer>,
}

/// Opens what a config names: the database and what its secrets are sealed with.
pub(crate) async fn open(config: &Config) -> anyhow::Result<(Store, Master)> {
    let master = Master::open(&config.data.dir.join(MASTER))?;
    Ok((Store::open(&config.database_url()).await?, master))
}

pub(crate) async fn registry(config: &Config) -> anyhow::Result<Registry> {
    let (store, master) = open(config).await?;
    let turn = turn_access(config, &store, &master, None).await?;
    Ok(Registry::open(store, master, &config.team.url, tls::pin(config)?, turn, config.http.max_logins).await?)
}

/// Where TURN is, here or beside this node, and the secret of its credentials: a configured one, or one that all replicas share.
/// `bound`: where the node's own listens.
async fn turn_access(
    config: &Config,
    store: &Store,
    master: &Master,
    bound: Option<SocketAddr>,
) -> anyhow::Result<Option<TurnAccess>> {
    let turn = &config.turn;
    if !turn.enabled && turn.urls.is_empty() {
        return Ok(None);
    }
    let secret = match turn.secret.is_empty() {
        false => turn.secret.as_bytes().to_vec(),
        true => master.secret(store, "turn", || Ok(random::<32>()?.to_vec())).await?.to_vec(),
    };
    let listen = bound.unwrap_or(turn.listen);
    let here = SocketAddr::new(turn.external.unwrap_or(listen.ip()), listen.port());
    let urls = match turn.urls.is_empty() {
        false => turn.urls.clone(),
        true => vec![format!("stun:{here}"), format!("turn:{here}?transport=udp")],
    };
    Ok(Some(TurnAccess { urls, secret, seconds: turn.credential_seconds }))
}

/// Makes a team: the keys, the database, the root key in `root_file`.
///
/// # Errors
/// Where there is one already, or something cannot be written.
pub async fn initialise(config: &Config, root_file: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(&config.data.dir).with_context(|| config.data.dir.display().to_string())?;
    let master = Master::open_or_create(&config.data.dir.join(MASTER))?;
    let store = Store::open(&config.database_url()).await?;
    if store.key_set().await?.is_some() {
        anyhow::bail!("there is a team in this database already");
    }
    let root = keys::create_root(root_file)?;
    keys::rotate((&store, &master), &root, (&config.team.url, &config.team.name), now_ms()).await?;
    tls::pin(config)?;
    store.close().await;
    Ok(())
}

impl Server {
    /// Binds every socket, and serves from here on.
    ///
    /// # Errors
    /// Where a socket, a key or the database is not to be had.
    pub async fn bind(config: &Config) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::new());
        let (store, master) = open(config).await?;
        let turn = match turn_access(config, &store, &master, None).await? {
            Some(access) if config.turn.enabled => {
                Some(reach::start_turn(&config.turn, access.secret, Arc::clone(&metrics)).await?)
            }
            _ => None,
        };
        let access = turn_access(config, &store, &master, turn.as_ref().map(|turn| turn.address)).await?;
        let registry = Registry::open(store, master, &config.team.url, tls::pin(config)?, access, config.http.max_logins).await?;
        let reach = if config.reach.enabled {
            let master = Master::open(&config.data.dir.join(MASTER))?;
            let seed = peer_seed(&config.data.dir.join(PEER), &master)?;
            Some(reach::start(&seed, &config.reach, registry.store.clone(), Arc::clone(&metrics))?)
        } else {
            None
        };
        let addresses = reach.as_ref().map_or_else(|| watch::channel(Vec::new()).1, |reach| reach.addresses.clone());
        let app = Arc::new(App {
            registry,
            metrics,
            trusted_proxies: config.http.trusted_proxies.clone(),
            addresses,
            changed: reach.as_ref().map(|reach| reach.changed.clone()),
            draining: AtomicBool::new(false),
        });
        let listener =
            std::net::TcpListener::bind(config.http.listen).with_context(|| format!("http.listen {}", config.http.listen))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let handle = Handle::new();
        let service = router(Arc::clone(&app)).into_make_service_with_connect_info::<SocketAddr>();
        let caps = Caps {
            all: config.http.max_connections,
            per_source: config.http.max_connections_per_source,
            trusted: config.http.trusted_proxies.clone(),
        };
        // The two differ in the type of their streams alone.
        macro_rules! serve {
            ($acceptor:expr) => {{
                let mut server = HttpServer::<SocketAddr>::from_listener(tokio::net::TcpListener::from_std(listener)?)
                    .acceptor(Gate::new($acceptor, caps))
                    .handle(handle.clone())
                    .http1_only();
                server.http_builder().http1().timer(hyper_util::rt::TokioTimer::new()).header_read_timeout(HEADERS);
                tokio::spawn(server.serve(service))
            }};
        }
        let http = match tls::config(config)? {
            Some(tls) => serve!(RustlsAcceptor::new(tls).handshake_timeout(HEADERS)),
            None => serve!(DefaultAcceptor::new()),
        };
        let sweeper = tokio::spawn(sweep(Arc::clone(&app)));
        tracing::info!(%address, "HTTP listens");
        Ok(Self { app, address, handle, http, sweeper, reach, _turn: turn })
    }

    /// Where the HTTP side listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Multiaddrs of the libp2p side, once there is one that members can use.
    pub async fn peer_addresses(&self) -> Vec<String> {
        match &self.reach {
            Some(reach) => {
                let mut addresses = reach.addresses.clone();
                let found = addresses.wait_for(|addresses| !addresses.is_empty()).await.map(|addresses| addresses.clone());
                found.unwrap_or_default()
            }
            None => Vec::new(),
        }
    }

    /// Makes an invite, as `conclave-bootstrap invite` does.
    ///
    /// # Errors
    /// Where it cannot be written, or the numbers are out of bounds.
    pub async fn invite(&self, uses: u32, expires_s: u64) -> anyhow::Result<InviteReply> {
        Ok(self.app.registry.invite(uses, expires_s, now_ms()).await?)
    }

    /// The people of the team.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub async fn users(&self) -> anyhow::Result<Vec<UserReply>> {
        Ok(self.app.registry.users().await?)
    }

    /// Lets somebody log in no more, and logs them out; or lets them again. False where it is so already.
    ///
    /// # Errors
    /// Where there is nobody of this name.
    pub async fn set_disabled(&self, name: &str, disabled: bool) -> anyhow::Result<bool> {
        let done = self.app.registry.set_disabled(name, disabled, now_ms()).await?;
        self.app.members_changed();
        Ok(done)
    }

    /// Revokes a device of somebody; false where they have no such one.
    ///
    /// # Errors
    /// Where there is nobody of this name.
    pub async fn revoke_device(&self, name: &str, device: Key) -> anyhow::Result<bool> {
        let done = self.app.registry.revoke_device(name, device, now_ms()).await?;
        self.app.members_changed();
        Ok(done)
    }

    /// Takes no new work, finishes what has begun, closes the database. At most 10 s.
    pub async fn shutdown(self) {
        self.app.draining.store(true, Ordering::Relaxed);
        self.handle.graceful_shutdown(Some(DRAIN));
        if let Ok(Err(error)) = self.http.await {
            tracing::warn!(%error, "the HTTP side ended");
        }
        self.sweeper.abort();
        if let Some(reach) = self.reach {
            reach.task.abort();
        }
        self.app.registry.store.close().await;
    }
}

async fn sweep(app: Arc<App>) {
    let mut tick = tokio::time::interval(SWEEP);
    loop {
        tick.tick().await;
        let now = now_ms();
        if let Err(error) = app.registry.store.sweep(now, (now / PERIOD_MS).saturating_sub(1)).await {
            tracing::warn!(%error, "what has passed could not be removed");
        }
        if let Err(error) = app.registry.refresh_keys().await {
            tracing::warn!(%error, "the keys could not be read");
        }
    }
}

/// The libp2p key of this replica.
fn peer_seed(path: &Path, master: &Master) -> anyhow::Result<Zeroizing<[u8; 32]>> {
    if !path.exists() {
        let sealed = master.seal("peer", &*Zeroizing::new(random::<32>()?))?;
        keys::write_secret(path, &data_encoding::BASE64URL_NOPAD.encode(&sealed))?;
    }
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let sealed = data_encoding::BASE64URL_NOPAD.decode(text.trim().as_bytes()).with_context(|| path.display().to_string())?;
    let seed = master.open_sealed("peer", &sealed)?;
    Ok(Zeroizing::new(seed.as_slice().try_into().context("the node's key")?))
}

/// Says it once; that it has been said already is enough.
pub(crate) fn say(changed: Option<&mpsc::Sender<()>>) {
    if let Some(changed) = changed {
        let _ = changed.try_send(());
    }
}
