//! A node and the people of its team, who speak to it as clients do.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use conclave_bootstrap_api::{
    Bytes, Claims, Confirmation, Head, Jwk, Key, KeySet, LOGIN_FINISH_LABEL, LoginFinish, LoginReply, LoginStart, LoginStarted,
    OpaqueRegister, OpaqueRegistered, REGISTER_LABEL, Register, Signed, Suite, TOKEN_SECONDS, TeamLink, audience, label_input,
    sign_key_set, sign_token, thumbprint, verify_token,
};
use ed25519_dalek::{Signer, SigningKey};
use futures::{StreamExt, TryStreamExt, stream};
use opaque_ke::rand::rngs::OsRng;
use opaque_ke::{
    ClientLogin, ClientLoginFinishParameters, ClientRegistration, ClientRegistrationFinishParameters, CredentialResponse,
    RegistrationResponse,
};
use reqwest::Client;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::process::{Owned, program, rss_kib, run};

/// Requests of one client that are under way at once: below what the node takes from one address.
const AT_ONCE: usize = 16;
/// Logins of one round.
const LOGINS: usize = 200;
const PASSWORD: &[u8] = b"correct horse battery staple";
/// What a node may grow by in a round of logins.
const GROWTH_KIB: u64 = 48 * 1024;

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("the system's randomness: {error}"))?;
    Ok(bytes)
}

/// Tokens that one core verifies in a second, as a peer does it: offline, by the key set of the team.
pub(super) fn verified_per_s() -> Result<f64> {
    let (root, signing, device) = (SigningKey::from_bytes(&random()?), SigningKey::from_bytes(&random()?), random::<32>()?);
    let public = |key: &SigningKey| Key(key.verifying_key().to_bytes());
    let set = sign_key_set("https://meet.example.org:7480", "Field office", 1, &[public(&signing)], &root)?;
    let keys = KeySet::verify(&set, &public(&root), 0)?;
    let now = now_ms() / 1000;
    let claims = Claims {
        iss: keys.iss.clone(),
        sub: "Ada".into(),
        aud: audience(&keys.root),
        team: keys.team.clone(),
        apk: thumbprint(&keys.root),
        cnf: Confirmation { jwk: Jwk::of(public(&SigningKey::from_bytes(&device))) },
        iat: now,
        nbf: now,
        exp: now + TOKEN_SECONDS,
        jti: "AAAAAAAAAAAAAAAAAAAAAA".into(),
        head: Head::EMPTY,
    };
    let token = sign_token(&claims, &signing)?;
    let (began, mut count) = (Instant::now(), 0_u32);
    while began.elapsed() < Duration::from_secs(1) {
        for _ in 0..100 {
            verify_token(&token, &keys, now)?;
        }
        count += 100;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

/// Somebody with one device.
#[derive(Clone)]
pub(super) struct Person {
    name: String,
    pub(super) device: SigningKey,
    account: SigningKey,
}

impl Person {
    fn new(name: String) -> Result<Self> {
        Ok(Self { name, device: SigningKey::from_bytes(&random()?), account: SigningKey::from_bytes(&random()?) })
    }

    fn device_key(&self) -> Key {
        Key(self.device.verifying_key().to_bytes())
    }

    fn signed(&self, label: &str, payload: &impl Serialize) -> Result<Signed> {
        let payload = serde_json::to_vec(payload)?;
        let sign = |key: &SigningKey| Bytes(key.sign(&label_input(label, &payload)).to_bytes().to_vec());
        Ok(Signed { device_signature: sign(&self.device), account_signature: Some(sign(&self.account)), payload: Bytes(payload) })
    }
}

/// A node with a directory of its own.
pub(super) struct Node {
    dir: tempfile::TempDir,
    process: Option<Owned>,
    url: String,
    /// Multiaddrs with the node's PeerId.
    pub(super) peers: Vec<String>,
    client: Client,
    invite: TeamLink,
    logged_in: usize,
}

impl Node {
    pub(super) async fn start() -> Result<Self> {
        // Another family may have been here first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let dir = tempfile::tempdir()?;
        let init =
            Self::command(dir.path())?.args(["init", "--team", "Field office", "--url", "http://127.0.0.1:7480"]).output()?;
        anyhow::ensure!(init.status.success(), "init: {}", String::from_utf8_lossy(&init.stderr));
        let invite = Self::command(dir.path())?.args(["invite", "--uses", "10000"]).output()?;
        let invite = TeamLink::parse(String::from_utf8(invite.stdout)?.trim()).map_err(|error| anyhow::anyhow!("{error}"))?;
        let client = Client::builder().no_proxy().build()?;
        let mut node = Self { dir, process: None, url: String::new(), peers: Vec::new(), client, invite, logged_in: 0 };
        node.run()?;
        Ok(node)
    }

    fn command(dir: &std::path::Path) -> Result<Command> {
        let mut command = Command::new(program("conclave-bootstrap")?);
        command.current_dir(dir).envs([
            ("CONCLAVE_BOOTSTRAP_HTTP__LISTEN", "127.0.0.1:0"),
            ("CONCLAVE_BOOTSTRAP_HTTP__TRUSTED_PROXIES", "[\"127.0.0.1\"]"),
            ("CONCLAVE_BOOTSTRAP_REACH__LISTEN", "[\"/ip4/127.0.0.1/tcp/0\"]"),
        ]);
        Ok(command)
    }

    /// Starts it; the milliseconds until it serves.
    pub(super) fn run(&mut self) -> Result<f64> {
        let log = std::fs::File::create(self.dir.path().join("log"))?;
        let began = Instant::now();
        let mut process = Owned::spawn(Self::command(self.dir.path())?.arg("run").stdout(Stdio::piped()).stderr(log))?;
        let mut line = String::new();
        BufReader::new(process.child().stdout.take().context("no output")?).read_line(&mut line)?;
        let took = began.elapsed().as_secs_f64() * 1000.0;
        let ready: Value = serde_json::from_str(&line).with_context(|| format!("not ready: {line}"))?;
        self.url = format!("http://{}", ready["http"].as_str().context("no address")?);
        self.peers = serde_json::from_value(ready["peers"].clone())?;
        self.process = Some(process);
        Ok(took)
    }

    /// As who runs it stops it: what has begun is finished.
    pub(super) fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            run("kill", &["-TERM", &process.id().to_string()])?;
            process.child().wait()?;
        }
        Ok(())
    }

    pub(super) fn rss_kib(&self) -> Result<u64> {
        let pid = self.process.as_ref().context("the node does not run")?.id();
        Ok(rss_kib(pid).context("no figures of the node")?.0)
    }

    /// A figure of its metrics.
    pub(super) async fn metric(&self, name: &str) -> Result<f64> {
        let text = self.client.get(format!("{}/metrics", self.url)).send().await?.text().await?;
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        found.with_context(|| format!("no metric {name}"))
    }

    /// `from`: each asks from an address of its own, as people do.
    async fn post<T: DeserializeOwned>(&self, path: &str, from: usize, body: &impl Serialize) -> Result<T> {
        let address = std::net::Ipv4Addr::from(0x0b00_0000 + from as u32);
        let request = self.client.post(format!("{}{path}", self.url)).header("x-forwarded-for", address.to_string());
        let answer = request.json(body).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        anyhow::ensure!(status.is_success(), "{path}: {status} {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// So many more people of the team, without passwords.
    pub(super) async fn register(&self, count: usize) -> Result<Vec<Person>> {
        let each = |n: usize| async move {
            let person = Person::new(format!("person {n}"))?;
            self.register_one(n, &person, None).await?;
            anyhow::Ok(person)
        };
        stream::iter(0..count).map(each).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn register_one(&self, from: usize, person: &Person, password: Option<Bytes>) -> Result<()> {
        let request = Register {
            root: self.invite.root,
            invite: self.invite.invite.clone().context("an invite")?,
            name: person.name.clone(),
            account: Key(person.account.verifying_key().to_bytes()),
            device: person.device_key(),
            label: "laptop".into(),
            time_ms: now_ms(),
            password,
            backup: None,
        };
        let _: LoginReply = self.post("/v1/register", from, &person.signed(REGISTER_LABEL, &request)?).await?;
        Ok(())
    }

    /// Logins by password in a second: both halves of the node's work and none of what a client computes from the password.
    pub(super) async fn logins(&mut self) -> Result<f64> {
        let more = Self::command(self.dir.path())?.args(["invite", "--uses", &LOGINS.to_string()]).output()?;
        self.invite = TeamLink::parse(String::from_utf8(more.stdout)?.trim()).map_err(|error| anyhow::anyhow!("{error}"))?;
        let first = self.logged_in;
        self.logged_in += LOGINS;
        let people = self.with_passwords(first).await?;
        let node = &*self;
        let before = node.rss_kib()?;
        let began = Instant::now();
        let start = |(n, person): (usize, Person)| async move {
            let login = ClientLogin::<Suite>::start(&mut OsRng, PASSWORD).map_err(|error| anyhow::anyhow!("{error}"))?;
            let body = LoginStart { name: person.name.clone(), request: Bytes(login.message.serialize().to_vec()) };
            let started: LoginStarted = node.post("/v1/login/start", n, &body).await?;
            anyhow::Ok((n, person, login.state, started))
        };
        let started: Vec<_> = stream::iter(people).map(start).buffer_unordered(AT_ONCE).try_collect().await?;
        let first_half = began.elapsed();
        let root = node.invite.root;
        // The client's share, which is what makes a password slow to guess.
        let finished = tokio::task::spawn_blocking(move || {
            let finish = |(n, person, state, started): (usize, Person, ClientLogin<Suite>, LoginStarted)| {
                let wrong = |error| anyhow::anyhow!("{error}");
                let response = CredentialResponse::deserialize(&started.response.0).map_err(wrong)?;
                let finished =
                    state.finish(&mut OsRng, PASSWORD, response, ClientLoginFinishParameters::default()).map_err(wrong)?;
                let finalization = Bytes(finished.message.serialize().to_vec());
                let request =
                    LoginFinish { root, login: started.login, finalization, device: person.device_key(), time_ms: now_ms() };
                Ok((n, person.signed(LOGIN_FINISH_LABEL, &request)?))
            };
            started.into_iter().map(finish).collect::<Result<Vec<_>>>()
        })
        .await??;
        let began = Instant::now();
        let finish = |(n, signed): (usize, Signed)| async move { node.post::<LoginReply>("/v1/login/finish", n, &signed).await };
        let replies: Vec<LoginReply> = stream::iter(finished).map(finish).buffer_unordered(AT_ONCE).try_collect().await?;
        let second_half = began.elapsed();
        anyhow::ensure!(replies.iter().all(|reply| reply.token.is_some()), "a login without a token");
        let grown = node.rss_kib()?.saturating_sub(before);
        anyhow::ensure!(grown < GROWTH_KIB, "the node grew by {grown} KiB");
        Ok(replies.len() as f64 / (first_half + second_half).as_secs_f64())
    }

    async fn with_passwords(&self, first: usize) -> Result<Vec<(usize, Person)>> {
        let each = |n: usize| async move {
            let person = Person::new(format!("who has a password {n}"))?;
            let wrong = |error| anyhow::anyhow!("{error}");
            let begun = ClientRegistration::<Suite>::start(&mut OsRng, PASSWORD).map_err(wrong)?;
            let body = OpaqueRegister { name: person.name.clone(), request: Bytes(begun.message.serialize().to_vec()) };
            let answer: OpaqueRegistered = self.post("/v1/opaque/register", n, &body).await?;
            let upload = tokio::task::spawn_blocking(move || {
                let response = RegistrationResponse::deserialize(&answer.response.0).map_err(wrong)?;
                let finished = begun.state.finish(&mut OsRng, PASSWORD, response, ClientRegistrationFinishParameters::default());
                anyhow::Ok(Bytes(finished.map_err(wrong)?.message.serialize().to_vec()))
            })
            .await??;
            self.register_one(n, &person, Some(upload)).await?;
            anyhow::Ok((n, person))
        };
        stream::iter(first..first + LOGINS).map(each).buffer_unordered(AT_ONCE).try_collect().await
    }
}
