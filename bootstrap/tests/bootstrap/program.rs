//! The program itself, in a process of its own: what an attacker meets, and what is measured from outside.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Once;

use conclave_bootstrap_api::{JwkSet, Key, KeySet, TeamInfo, sign_key_set, thumbprint};
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signer, SigningKey};
use libp2p::Multiaddr;
use reqwest::Client;
use serde_json::{Value, json};
use sqlx::Connection;
use tempfile::TempDir;

use crate::command::PROGRAM;
use crate::support::{Person, Place, random};

/// What a node may hold at its peak, whatever is done to it: several times what an idle one has in a debug build.
const CEILING_MIB: f64 = 192.0;

/// A running node. Killed when dropped.
pub(crate) struct Program {
    child: Child,
    environment: Vec<(String, String)>,
    dir: TempDir,
    client: Client,
    url: String,
    pub(crate) http: SocketAddr,
}

impl Program {
    /// `settings`: names as in the environment, without the prefix.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_at("http", settings, crate::support::client())
    }

    /// With a certificate of its own.
    pub(crate) fn start_tls() -> Self {
        crate::support::client();
        let client = Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).build().unwrap();
        Self::start_at("https", &[], client)
    }

    fn start_at(scheme: &str, settings: &[(&str, &str)], client: Client) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base =
            [("HTTP__LISTEN", "127.0.0.1:0"), ("REACH__LISTEN", "[\"/ip4/127.0.0.1/tcp/0\", \"/ip4/127.0.0.1/udp/0/quic-v1\"]")];
        let environment =
            base.iter().chain(settings).map(|(name, value)| (format!("CONCLAVE_BOOTSTRAP_{name}"), (*value).to_owned()));
        let environment: Vec<_> = environment.collect();
        let command = || {
            let mut command = Command::new(PROGRAM);
            command.current_dir(dir.path()).envs(environment.iter().cloned());
            command
        };
        let init =
            command().args(["init", "--team", "Field office", "--url", &format!("{scheme}://127.0.0.1:7480")]).output().unwrap();
        assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let mut child = command().arg("run").stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            panic!("not ready: {line}{}", std::fs::read_to_string(dir.path().join("log")).unwrap_or_default())
        });
        let http: SocketAddr = ready["http"].as_str().unwrap().parse().unwrap();
        Self { child, environment, client, url: format!("{scheme}://{http}"), http, dir }
    }

    /// The process lives, and its memory was under its ceiling all the time.
    pub(crate) fn lives_within_its_ceiling(&mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "the process ended");
        let peak = self.status("VmHWM:");
        assert!(peak < CEILING_MIB, "{peak} MiB");
    }

    /// Ends it as who runs it would; what it left.
    pub(crate) fn stop(mut self) -> TempDir {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap())
    }

    pub(crate) fn rss_mib(&self) -> f64 {
        self.status("VmRSS:")
    }

    fn status(&self, name: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    /// Where its libp2p side is, by `udp` or `tcp`, with its PeerId: once it listens there.
    pub(crate) async fn peers_at(&self, transport: &str) -> Multiaddr {
        loop {
            let team: TeamInfo = self.client.get(format!("{}/v1/team", self.url)).send().await.unwrap().json().await.unwrap();
            if let Some(address) = team.addresses.iter().find(|address| address.contains(&format!("/{transport}/"))) {
                return address.parse().unwrap();
            }
        }
    }

    /// A figure of `/metrics`.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = self.client.get(format!("{}/metrics", self.url)).send().await.unwrap().text().await.unwrap();
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok()).unwrap_or(0.0)
    }

    /// Further devices of somebody who has a password, as many of these as the node takes.
    pub(crate) async fn add_devices(&self, person: &Person, root: Key, count: u32) -> Vec<Person> {
        let mut added = Vec::new();
        for n in 0..count {
            // The node limits logins for a name; its clock is not ours to turn, so the count of attempts is forgotten.
            if n % 5 == 0 {
                self.sql("DELETE FROM attempts").await;
            }
            let device = Person { device: Person::new("x").device, ..person.clone() };
            let reply = device.login_by_password(self, root, "correct horse").await.unwrap().unwrap();
            if device.add_device(self, root, reply.ticket.unwrap()).await.is_ok() {
                added.push(device);
            }
        }
        added
    }

    /// One more key that signs this team's tokens, as `keys rotate` would make it: what it signs is judged by its claims alone.
    pub(crate) async fn another_signing_key(&self) -> SigningKey {
        let text = std::fs::read_to_string(self.dir.path().join("team-root.key")).unwrap();
        let root: [u8; 32] = BASE64URL_NOPAD.decode(text.trim().as_bytes()).unwrap().try_into().unwrap();
        let root = SigningKey::from_bytes(&root);
        let set: JwkSet =
            self.client.get(format!("{}/.well-known/jwks.json", self.url)).send().await.unwrap().json().await.unwrap();
        let known = KeySet::verify(&set, &Key(root.verifying_key().to_bytes()), 0).unwrap();
        let key = SigningKey::from_bytes(&random());
        let keys = [Key(key.verifying_key().to_bytes()), set.keys[0].x];
        let set = sign_key_set(&known.iss, &known.team, known.serial + 1, &keys, &root).unwrap();
        let document = serde_json::to_string(&set).unwrap();
        self.sql(&format!("INSERT INTO key_sets (serial, document) VALUES ({}, CAST('{document}' AS BLOB))", known.serial + 1))
            .await;
        key
    }

    async fn sql(&self, statement: &str) {
        sql(&self.dir.path().join("bootstrap-data/bootstrap.db"), statement).await;
    }
}

/// Changes a database behind a node's back.
pub(crate) async fn sql(database: &Path, statements: &str) {
    static DRIVERS: Once = Once::new();
    DRIVERS.call_once(sqlx::any::install_default_drivers);
    let mut connection = sqlx::AnyConnection::connect(&format!("sqlite:{}?mode=rwc", database.display())).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// The claims of a token, unchecked.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(payload.as_bytes()).unwrap()).unwrap()
}

/// A token of any claims.
pub(crate) fn jwt(key: &SigningKey, claims: &Value) -> String {
    let kid = thumbprint(&Key(key.verifying_key().to_bytes()));
    let header = BASE64URL_NOPAD.encode(json!({ "alg": "EdDSA", "typ": "JWT", "kid": kid }).to_string().as_bytes());
    let input = format!("{header}.{}", BASE64URL_NOPAD.encode(claims.to_string().as_bytes()));
    format!("{input}.{}", BASE64URL_NOPAD.encode(&key.sign(input.as_bytes()).to_bytes()))
}

impl Place for Program {
    fn client(&self) -> &Client {
        &self.client
    }

    fn url(&self) -> &str {
        &self.url
    }

    async fn link(&self, uses: u32) -> String {
        let mut command = Command::new(PROGRAM);
        command.current_dir(self.dir.path()).envs(self.environment.iter().cloned());
        let output = command.args(["invite", "--uses", &uses.to_string()]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
