//! The HTTP side: paths, bodies, headers. It decides nothing that [`crate::registry`] could.

mod admin;
mod gate;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Bytes as Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use conclave_bootstrap_api::{
    BackupReply, Bytes, ChainReply, DevicesReply, MAX_CHAIN_PAGE, PROOF_HEADER, PutBackup, RefusalCode, RevokeDevice, Signed,
    TeamInfo,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub(crate) use self::gate::{Caps, Gate};
use crate::limits::PERIOD_MS;
use crate::metrics::{Answer, Metrics};
use crate::registry::{At, Caller, MAX_BACKUP, Refusal, Registry, Shown};

/// Longest body of a request, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// A request that is not complete and answered by then is cut.
const PATIENCE: Duration = Duration::from_secs(10);

/// What every handler has.
pub(crate) struct App {
    pub(crate) registry: Registry,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) trusted_proxies: Vec<IpAddr>,
    /// Multiaddrs of the libp2p side, as they are known.
    pub(crate) addresses: tokio::sync::watch::Receiver<Vec<String>>,
    /// Says that who is a member has changed.
    pub(crate) changed: Option<tokio::sync::mpsc::Sender<()>>,
    /// No new work is taken: the node is about to stop.
    pub(crate) draining: AtomicBool,
}

impl App {
    /// Who may use the libp2p side is to be looked at now.
    pub(crate) fn members_changed(&self) {
        crate::server::say(self.changed.as_ref());
    }
}

type Shared = State<Arc<App>>;

/// UTC in milliseconds: the one clock of the HTTP side.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/.well-known/jwks.json", get(key_set))
        .route("/v1/team", get(team))
        .route("/v1/opaque/register", post(opaque_register))
        .route("/v1/register", post(register))
        .route("/v1/login", post(login))
        .route("/v1/login/start", post(login_start))
        .route("/v1/login/finish", post(login_finish))
        .route("/v1/devices", get(devices).post(add_device))
        .route("/v1/devices/revoke", post(revoke_device))
        .route("/v1/backup", get(backup).put(put_backup))
        .route("/v1/chain", get(chain))
        .route("/v1/turn", post(turn))
        .merge(admin::routes())
        .fallback(|| async { refuse(Refusal::NOT_FOUND) })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(Arc::clone(&app), around))
        .with_state(app)
}

/// The time limit of a request, and its count.
async fn around(State(app): Shared, request: Request, next: Next) -> Response {
    let path = known(request.uri().path()).unwrap_or("other");
    let answer = match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    app.metrics.answers.get_or_create(&Answer { path, status: answer.status().as_u16() }).inc();
    answer
}

/// A label for each path that is counted, so that no stranger can make one.
fn known(path: &str) -> Option<&'static str> {
    const PATHS: [&str; 12] = [
        "/healthz",
        "/readyz",
        "/.well-known/jwks.json",
        "/v1/team",
        "/v1/register",
        "/v1/login",
        "/v1/login/start",
        "/v1/login/finish",
        "/v1/devices",
        "/v1/backup",
        "/v1/chain",
        "/v1/turn",
    ];
    PATHS.into_iter().find(|known| *known == path)
}

pub(crate) type Answered<T> = Result<Json<T>, Response>;

pub(crate) fn refuse(refusal: Refusal) -> Response {
    let status = match refusal.code {
        RefusalCode::BadRequest => StatusCode::BAD_REQUEST,
        RefusalCode::Unauthorized | RefusalCode::Clock => StatusCode::UNAUTHORIZED,
        RefusalCode::InviteInvalid => StatusCode::FORBIDDEN,
        RefusalCode::NameTaken => StatusCode::CONFLICT,
        RefusalCode::NotFound => StatusCode::NOT_FOUND,
        RefusalCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        RefusalCode::TooMany => StatusCode::TOO_MANY_REQUESTS,
        RefusalCode::Busy => StatusCode::SERVICE_UNAVAILABLE,
        RefusalCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut answer = (status, Json(refusal.reply(now_ms()))).into_response();
    let again_s = match refusal.code {
        RefusalCode::TooMany => Some(PERIOD_MS / 1000),
        RefusalCode::Busy => Some(1),
        _ => None,
    };
    if let Some(seconds) = again_s {
        answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Response> {
    serde_json::from_slice(body).map_err(|_| refuse(Refusal::BAD))
}

/// Where the request came from: the connection's other end, or what a trusted proxy says.
fn at(app: &App, socket: SocketAddr, headers: &HeaderMap) -> At {
    let mut source = socket.ip().to_canonical();
    if app.trusted_proxies.contains(&source) {
        let forwarded = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
        let last = forwarded.and_then(|list| list.rsplit(',').next()?.trim().parse::<IpAddr>().ok());
        source = last.map_or(source, |ip| ip.to_canonical());
    }
    At { now_ms: now_ms(), source }
}

pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, Response> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(|| refuse(Refusal::UNAUTHORIZED))
}

async fn authorize(app: &App, method: &str, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<Caller, Response> {
    let token = bearer(headers)?;
    let proof = headers.get(PROOF_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let path = uri.path_and_query().map_or(uri.path(), |path| path.as_str());
    app.registry.authorize(Shown { method, path, body, token, proof }, now_ms()).await.map_err(refuse)
}

async fn ready(State(app): Shared) -> Response {
    if app.draining.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    match app.registry.store.check().await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "no database\n").into_response()
        }
    }
}

async fn metrics(State(app): Shared) -> Response {
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], app.metrics.render()).into_response()
}

async fn key_set(State(app): Shared) -> Response {
    if let Err(error) = app.registry.refresh_keys().await {
        tracing::warn!(%error, "the key set may be old");
    }
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "max-age=60")];
    (headers, app.registry.key_set().await).into_response()
}

async fn team(State(app): Shared) -> Json<TeamInfo> {
    let (team, root) = app.registry.team().await;
    let addresses = app.addresses.borrow().clone();
    Json(TeamInfo { team, root, time_ms: now_ms(), addresses, turn: app.registry.has_turn() })
}

/// A handler of a stranger's request.
macro_rules! open {
    ($name:ident, $request:ty, $reply:ty, |$registry:ident, $body:ident, $at:ident| $call:expr) => {
        async fn $name(
            State(app): Shared,
            ConnectInfo(socket): ConnectInfo<SocketAddr>,
            headers: HeaderMap,
            body: Body,
        ) -> Answered<$reply> {
            let _place = app.registry.place().map_err(refuse)?;
            let $body: $request = parse(&body)?;
            let ($registry, $at) = (&app.registry, at(&app, socket, &headers));
            let answer = $call.await.map(Json).map_err(refuse);
            app.members_changed();
            answer
        }
    };
}

use conclave_bootstrap_api::{LoginReply, LoginStart, LoginStarted, OpaqueRegister, OpaqueRegistered, TurnReply};

open!(opaque_register, OpaqueRegister, OpaqueRegistered, |registry, request, at| registry.opaque_register(request, at));
open!(register, Signed, LoginReply, |registry, request, at| registry.register(&request, at));
open!(login, Signed, LoginReply, |registry, request, at| registry.login(&request, at));
open!(login_start, LoginStart, LoginStarted, |registry, request, at| registry.login_start(request, at));
open!(login_finish, Signed, LoginReply, |registry, request, at| registry.login_finish(&request, at));
open!(add_device, Signed, LoginReply, |registry, request, at| registry.add_device(&request, at));

async fn devices(State(app): Shared, uri: Uri, headers: HeaderMap, body: Body) -> Answered<DevicesReply> {
    let caller = authorize(&app, "GET", &uri, &headers, &body).await?;
    let devices = app.registry.store.devices(&caller.account.id).await.map_err(|error| refuse(error.into()))?;
    Ok(Json(DevicesReply { devices }))
}

async fn revoke_device(State(app): Shared, uri: Uri, headers: HeaderMap, body: Body) -> Answered<DevicesReply> {
    let caller = authorize(&app, "POST", &uri, &headers, &body).await?;
    let request: RevokeDevice = parse(&body)?;
    let store = &app.registry.store;
    let done = store.revoke_device(&caller.account, request.device, now_ms()).await.map_err(|error| refuse(error.into()))?;
    if !done {
        return Err(refuse(Refusal::NOT_FOUND));
    }
    app.members_changed();
    let devices = store.devices(&caller.account.id).await.map_err(|error| refuse(error.into()))?;
    Ok(Json(DevicesReply { devices }))
}

async fn backup(State(app): Shared, uri: Uri, headers: HeaderMap, body: Body) -> Answered<BackupReply> {
    let caller = authorize(&app, "GET", &uri, &headers, &body).await?;
    Ok(Json(BackupReply { backup: caller.account.backup.map(Bytes) }))
}

async fn put_backup(State(app): Shared, uri: Uri, headers: HeaderMap, body: Body) -> Answered<BackupReply> {
    let caller = authorize(&app, "PUT", &uri, &headers, &body).await?;
    let request: PutBackup = parse(&body)?;
    if request.backup.0.len() > MAX_BACKUP {
        return Err(refuse(Refusal::TOO_LARGE));
    }
    let store = &app.registry.store;
    store.put_backup(&caller.account.id, &request.backup.0).await.map_err(|error| refuse(error.into()))?;
    Ok(Json(BackupReply { backup: Some(request.backup) }))
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

async fn chain(State(app): Shared, after: Query<After>, uri: Uri, headers: HeaderMap, body: Body) -> Answered<ChainReply> {
    authorize(&app, "GET", &uri, &headers, &body).await?;
    let store = &app.registry.store;
    let failed = |error: crate::store::StoreError| refuse(error.into());
    let head = store.chain_head().await.map_err(failed)?;
    let entries = store.chain(after.after, MAX_CHAIN_PAGE).await.map_err(failed)?;
    Ok(Json(ChainReply { entries: entries.into_iter().map(Bytes).collect(), head }))
}

async fn turn(State(app): Shared, uri: Uri, headers: HeaderMap, body: Body) -> Answered<TurnReply> {
    let caller = authorize(&app, "POST", &uri, &headers, &body).await?;
    tracing::debug!(device = %caller.device, "TURN credentials are given");
    app.registry.turn_credentials(&caller, now_ms()).map(Json).map_err(refuse)
}
