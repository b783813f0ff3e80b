//! Requests to a team's node, bounded in time and in what is read.

use std::time::Duration;

use conclave_bootstrap_api::{ErrorReply, PROOF_HEADER, PROOF_LABEL, Proof, TeamLink};
use conclave_protocol::identity::{DeviceKey, NO_ROOM};
use rand_core::Rng;
use reqwest::{Client, Method, RequestBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{refused, tls};
use crate::error::{CommandError, ErrorCode};

const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(15);
/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;

pub(super) struct Api {
    client: Client,
    url: String,
}

/// A token, and the key that it is bound to.
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) device: &'a DeviceKey,
}

impl Api {
    pub(super) fn new(link: &TeamLink) -> Result<Self, CommandError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls::config(link.pin)?)
            .connect_timeout(CONNECT)
            .timeout(WHOLE)
            .redirect(reqwest::redirect::Policy::none());
        // A team's node is named by its own link, and no proxy is told of it.
        let client = client.no_proxy().build().map_err(|error| unreachable(&error))?;
        Ok(Self { client, url: link.url.clone() })
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CommandError> {
        send(self.client.get(format!("{}{path}", self.url))).await
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, CommandError> {
        send(self.client.post(format!("{}{path}", self.url)).json(body)).await
    }

    /// With a token and the proof that it is this device's.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        token: &Token<'_>,
        now_ms: u64,
    ) -> Result<T, CommandError> {
        let mut nonce = [0; 16];
        crate::driver::rng().fill_bytes(&mut nonce);
        let payload = Proof::payload(method, path, b"", token.text, now_ms, &nonce);
        let signature = token.device.sign(PROOF_LABEL, &NO_ROOM, &payload);
        let proof = Proof { time_ms: now_ms, nonce, signature }.header();
        let method = Method::from_bytes(method.as_bytes()).unwrap_or_default();
        let request = self.client.request(method, format!("{}{path}", self.url));
        send(request.bearer_auth(token.text).header(PROOF_HEADER, proof)).await
    }
}

async fn send<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, CommandError> {
    let mut answer = request.send().await.map_err(|error| unreachable(&error))?;
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| unreachable(&error))? {
        if body.len() + piece.len() > MAX_ANSWER {
            return Err(refused("its answer is too long"));
        }
        body.extend_from_slice(&piece);
    }
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|_| refused("its answer cannot be read"));
    }
    match serde_json::from_slice::<ErrorReply>(&body) {
        // What a stranger wrote is shown, and shortened.
        Ok(reply) => Err(refused(&reply.message.chars().filter(|c| !c.is_control()).take(200).collect::<String>())),
        Err(_) => Err(refused(&format!("it answered {status}"))),
    }
}

fn unreachable(error: &reqwest::Error) -> CommandError {
    // Without the address: what is shown to a person may be logged.
    tracing::debug!(%error, "the team's node was not reached");
    let what = if error.is_timeout() {
        "it did not answer in time"
    } else if error.is_connect() {
        "nobody answers there, or its certificate is not the one of the link"
    } else {
        "the connection broke"
    };
    CommandError::new(ErrorCode::Unreachable, format!("The team's node cannot be reached: {what}."))
}
