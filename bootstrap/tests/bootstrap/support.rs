//! A node, and people who use it.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use conclave_bootstrap::{Config, Data, Http, Reach, Server, Team, Tls, Turn, initialise};
use conclave_bootstrap_api::{
    AddDevice, Bytes, ErrorReply, JwkSet, Key, KeySet, Login, LoginFinish, LoginReply, LoginStart, LoginStarted, OpaqueRegister,
    OpaqueRegistered, PROOF_HEADER, PROOF_LABEL, Proof, RefusalCode, Register, Signed, Suite, TeamLink, label_input,
};
use ed25519_dalek::{Signer, SigningKey};
use opaque_ke::rand::rngs::OsRng;
use opaque_ke::{
    ClientLogin, ClientLoginFinishParameters, ClientRegistration, ClientRegistrationFinishParameters, CredentialResponse,
    RegistrationResponse,
};
use reqwest::{Client, Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

/// A team with one replica, and a client.
pub(crate) struct Team1 {
    pub(crate) server: Server,
    pub(crate) config: Config,
    pub(crate) url: String,
    pub(crate) client: Client,
    pub(crate) dir: TempDir,
}

/// `database`: empty for SQLite.
pub(crate) fn config(dir: &TempDir, database: &str) -> Config {
    Config {
        team: Team { name: "Field office".into(), url: "http://127.0.0.1:7480".into() },
        data: Data { dir: dir.path().join("data"), database: database.into() },
        http: Http { listen: SocketAddr::from(([127, 0, 0, 1], 0)), tls: Tls::Off, ..Http::default() },
        reach: Reach { enabled: false, ..Reach::default() },
        turn: Turn { enabled: false, urls: vec!["turn:192.0.2.1:3478".into()], secret: "north".into(), ..Turn::default() },
    }
}

pub(crate) fn client() -> Client {
    // The second test to come here finds it done.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

impl Team1 {
    pub(crate) async fn start(database: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = config(&dir, database);
        initialise(&config, &dir.path().join("root.key")).await.unwrap();
        Self::bind(config, dir).await
    }

    pub(crate) async fn bind(config: Config, dir: TempDir) -> Self {
        let server = Server::bind(&config).await.unwrap();
        let url = format!("http://{}", server.address());
        Self { server, config, url, client: client(), dir }
    }
}

/// A node that people use, in this process or one of its own.
pub(crate) trait Place {
    fn client(&self) -> &Client;
    fn url(&self) -> &str;
    /// The link of a new invite.
    async fn link(&self, uses: u32) -> String;

    fn at(&self) -> (&Client, &str) {
        (self.client(), self.url())
    }

    async fn invite(&self, uses: u32) -> TeamLink {
        TeamLink::parse(self.link(uses).await.trim()).unwrap()
    }

    async fn join(&self, name: &str) -> (Person, String) {
        let person = Person::new(name);
        let link = self.invite(1).await;
        let reply = person.register(self, &link, None).await.unwrap();
        (person, reply.token.unwrap())
    }

    async fn keys(&self, root: &Key) -> KeySet {
        let set: JwkSet =
            self.client().get(format!("{}/.well-known/jwks.json", self.url())).send().await.unwrap().json().await.unwrap();
        KeySet::verify(&set, root, 0).unwrap()
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, (StatusCode, ErrorReply)> {
        post(self.client(), self.url(), path, body).await
    }
}

impl Place for Team1 {
    fn client(&self) -> &Client {
        &self.client
    }

    fn url(&self) -> &str {
        &self.url
    }

    async fn link(&self, uses: u32) -> String {
        self.server.invite(uses, 3600).await.unwrap().link
    }
}

pub(crate) async fn post<T: DeserializeOwned>(
    client: &Client,
    url: &str,
    path: &str,
    body: &impl Serialize,
) -> Result<T, (StatusCode, ErrorReply)> {
    let answer = client.post(format!("{url}{path}")).json(body).send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    if status.is_success() {
        Ok(serde_json::from_str(&text).unwrap())
    } else {
        Err((status, serde_json::from_str(&text).expect(&text)))
    }
}

pub(crate) fn code<T: std::fmt::Debug>(answer: Result<T, (StatusCode, ErrorReply)>) -> (u16, RefusalCode) {
    let (status, reply) = answer.unwrap_err();
    (status.as_u16(), reply.code)
}

/// Somebody, on one device.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) device: SigningKey,
    pub(crate) account: SigningKey,
}

impl Person {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.into(), device: SigningKey::from_bytes(&random()), account: SigningKey::from_bytes(&random()) }
    }

    pub(crate) fn device_key(&self) -> Key {
        Key(self.device.verifying_key().to_bytes())
    }

    pub(crate) fn account_key(&self) -> Key {
        Key(self.account.verifying_key().to_bytes())
    }

    pub(crate) fn signed(&self, label: &str, payload: &impl Serialize) -> Signed {
        let payload = serde_json::to_vec(payload).unwrap();
        let sign = |key: &SigningKey| Bytes(key.sign(&label_input(label, &payload)).to_bytes().to_vec());
        Signed { device_signature: sign(&self.device), account_signature: Some(sign(&self.account)), payload: Bytes(payload) }
    }

    pub(crate) fn registration(&self, link: &TeamLink) -> Register {
        Register {
            root: link.root,
            invite: link.invite.clone().unwrap(),
            name: self.name.clone(),
            account: self.account_key(),
            device: self.device_key(),
            label: "laptop".into(),
            time_ms: now_ms(),
            password: None,
            backup: None,
        }
    }

    pub(crate) async fn register(
        &self,
        team: &(impl Place + ?Sized),
        link: &TeamLink,
        password: Option<&str>,
    ) -> Result<LoginReply, (StatusCode, ErrorReply)> {
        let mut request = self.registration(link);
        if let Some(password) = password {
            let started = ClientRegistration::<Suite>::start(&mut OsRng, password.as_bytes()).unwrap();
            let body = OpaqueRegister { name: self.name.clone(), request: Bytes(started.message.serialize().to_vec()) };
            let answer: OpaqueRegistered = team.post("/v1/opaque/register", &body).await?;
            let response = RegistrationResponse::deserialize(&answer.response.0).unwrap();
            let parameters = ClientRegistrationFinishParameters::default();
            let finished = started.state.finish(&mut OsRng, password.as_bytes(), response, parameters).unwrap();
            request.password = Some(Bytes(finished.message.serialize().to_vec()));
            request.backup = Some(Bytes(b"sealed".to_vec()));
        }
        team.post("/v1/register", &self.signed("conclave/register/1", &request)).await
    }

    pub(crate) async fn login(&self, team: &(impl Place + ?Sized), root: Key) -> Result<LoginReply, (StatusCode, ErrorReply)> {
        let request = Login { root, device: self.device_key(), time_ms: now_ms(), nonce: Bytes(random::<16>().to_vec()) };
        team.post("/v1/login", &self.signed("conclave/login/1", &request)).await
    }

    pub(crate) async fn login_start(
        &self,
        (client, url): (&Client, &str),
        password: &str,
    ) -> Result<(ClientLogin<Suite>, LoginStarted), (StatusCode, ErrorReply)> {
        let started = ClientLogin::<Suite>::start(&mut OsRng, password.as_bytes()).unwrap();
        let body = LoginStart { name: self.name.clone(), request: Bytes(started.message.serialize().to_vec()) };
        Ok((started.state, post(client, url, "/v1/login/start", &body).await?))
    }

    /// `None` where the client itself sees that the password is wrong.
    pub(crate) async fn login_by_password(
        &self,
        team: &(impl Place + ?Sized),
        root: Key,
        password: &str,
    ) -> Option<Result<LoginReply, (StatusCode, ErrorReply)>> {
        let (state, started) = match self.login_start(team.at(), password).await {
            Ok(started) => started,
            Err(refused) => return Some(Err(refused)),
        };
        let response = CredentialResponse::deserialize(&started.response.0).unwrap();
        let finished = state.finish(&mut OsRng, password.as_bytes(), response, ClientLoginFinishParameters::default()).ok()?;
        let request = LoginFinish {
            root,
            login: started.login,
            finalization: Bytes(finished.message.serialize().to_vec()),
            device: self.device_key(),
            time_ms: now_ms(),
        };
        Some(team.post("/v1/login/finish", &self.signed("conclave/login-finish/1", &request)).await)
    }

    pub(crate) async fn add_device(
        &self,
        team: &(impl Place + ?Sized),
        root: Key,
        ticket: Bytes,
    ) -> Result<LoginReply, (StatusCode, ErrorReply)> {
        let request = AddDevice { root, ticket, device: self.device_key(), label: "phone".into(), time_ms: now_ms() };
        team.post("/v1/devices", &self.signed("conclave/add-device/1", &request)).await
    }

    pub(crate) fn proof(&self, method: &str, path: &str, body: &[u8], token: &str, time_ms: u64) -> String {
        let nonce = random();
        let signature =
            self.device.sign(&label_input(PROOF_LABEL, &Proof::payload(method, path, body, token, time_ms, &nonce))).to_bytes();
        Proof { time_ms, nonce, signature }.header()
    }

    /// A request with a token, and this device's proof.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        (client, url): (&Client, &str),
        (method, path): (Method, &str),
        token: &str,
        body: Option<serde_json::Value>,
    ) -> Result<T, (StatusCode, ErrorReply)> {
        let body = body.map_or_else(Vec::new, |body| serde_json::to_vec(&body).unwrap());
        let proof = self.proof(method.as_str(), path, &body, token, now_ms());
        send(client, url, (method, path), token, &proof, body).await
    }
}

pub(crate) async fn send<T: DeserializeOwned>(
    client: &Client,
    url: &str,
    (method, path): (Method, &str),
    token: &str,
    proof: &str,
    body: Vec<u8>,
) -> Result<T, (StatusCode, ErrorReply)> {
    let request = client.request(method, format!("{url}{path}")).bearer_auth(token).header(PROOF_HEADER, proof).body(body);
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    if status.is_success() {
        Ok(serde_json::from_str(&text).unwrap())
    } else {
        Err((status, serde_json::from_str(&text).expect(&text)))
    }
}
