//! What who administers does over HTTP, with the token that `conclave-bootstrap admin-token` shows.

use std::sync::Arc;

use axum::body::Bytes as Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{Html, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use conclave_bootstrap_api::{InviteReply, InviteRequest, RevokeDevice, UserReply};

use super::{Answered, App, Shared, bearer, now_ms, parse, refuse};
use crate::registry::Refusal;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/admin", get(|| async { Html(include_str!("../page/admin.html")) }))
        .route("/v1/admin/invites", post(invite))
        .route("/v1/admin/users", get(users))
        .route("/v1/admin/users/{name}", get(user))
        .route("/v1/admin/users/{name}/disable", post(disable))
        .route("/v1/admin/users/{name}/enable", post(enable))
        .route("/v1/admin/users/{name}/revoke-device", post(revoke_device))
}

async fn check(app: &App, headers: &HeaderMap) -> Result<(), Response> {
    let token = bearer(headers)?;
    match app.registry.is_admin(token).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(refuse(Refusal::UNAUTHORIZED)),
        Err(refusal) => Err(refuse(refusal)),
    }
}

async fn invite(State(app): Shared, headers: HeaderMap, body: Body) -> Answered<InviteReply> {
    check(&app, &headers).await?;
    let request: InviteRequest = parse(&body)?;
    app.registry.invite(request.uses, request.expires_s, now_ms()).await.map(Json).map_err(refuse)
}

async fn users(State(app): Shared, headers: HeaderMap) -> Answered<Vec<UserReply>> {
    check(&app, &headers).await?;
    app.registry.users().await.map(Json).map_err(refuse)
}

async fn user(State(app): Shared, Path(name): Path<String>, headers: HeaderMap) -> Answered<UserReply> {
    check(&app, &headers).await?;
    app.registry.user(&name).await.map(Json).map_err(refuse)
}

async fn disable(State(app): Shared, Path(name): Path<String>, headers: HeaderMap) -> Answered<UserReply> {
    set_disabled(&app, &name, true, &headers).await
}

async fn enable(State(app): Shared, Path(name): Path<String>, headers: HeaderMap) -> Answered<UserReply> {
    set_disabled(&app, &name, false, &headers).await
}

async fn set_disabled(app: &App, name: &str, disabled: bool, headers: &HeaderMap) -> Answered<UserReply> {
    check(app, headers).await?;
    app.registry.set_disabled(name, disabled, now_ms()).await.map_err(refuse)?;
    app.members_changed();
    app.registry.user(name).await.map(Json).map_err(refuse)
}

async fn revoke_device(State(app): Shared, Path(name): Path<String>, headers: HeaderMap, body: Body) -> Answered<UserReply> {
    check(&app, &headers).await?;
    let request: RevokeDevice = parse(&body)?;
    if !app.registry.revoke_device(&name, request.device, now_ms()).await.map_err(refuse)? {
        return Err(refuse(Refusal::NOT_FOUND));
    }
    app.members_changed();
    app.registry.user(&name).await.map(Json).map_err(refuse)
}
