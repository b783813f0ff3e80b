//! What each command does.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use conclave_bootstrap_api::{Key, UserReply};
use serde_json::json;

use super::{Arguments, Command, Init, Keys, Run, User};
use crate::config::{Config, template};
use crate::http::now_ms;
use crate::keys::{self, Master};
use crate::server::{Server, initialise, open, registry};
use crate::store::Store;

/// Files of the data directory that a backup holds beside the database.
const FILES: [&str; 4] = ["master.key", "peer.key", "certificate.pem", "certificate.key"];
const DATABASE: &str = "bootstrap.db";

pub(super) async fn execute(arguments: Arguments) -> anyhow::Result<()> {
    let path = arguments.config;
    let read = || Config::read(&path, true, &json!({}));
    match arguments.command {
        Command::Init(init) => self::init(&path, init).await,
        Command::Run(run) => self::run(&path, run).await,
        Command::Invite { revoke_all: true, .. } => {
            let voided = registry(&read()?).await?.store.revoke_invites().await?;
            println!("{voided} open invites are void.");
            Ok(())
        }
        Command::Invite { uses, expires, revoke_all: false } => {
            println!("{}", registry(&read()?).await?.invite(uses, expires, now_ms()).await?.link);
            Ok(())
        }
        Command::User(user) => self::user(&read()?, user).await,
        Command::Keys(Keys::Rotate { root_key }) => {
            let config = read()?;
            let (store, master) = open(&config).await?;
            let root = keys::open_root(&root_key)?;
            let names = (config.team.url.as_str(), config.team.name.as_str());
            let key = keys::rotate((&store, &master), &root, names, now_ms()).await?;
            println!("Tokens are signed with {key} from here on, by nodes that run within a minute.");
            Ok(())
        }
        Command::AdminToken => {
            println!("{}", registry(&read()?).await?.new_admin_token().await?);
            Ok(())
        }
        Command::Backup { to } => backup(&read()?, &to).await,
        Command::Restore { from } => restore(&read()?, &from).await,
        Command::Doctor => super::doctor::doctor(&path).await,
    }
}

async fn init(path: &Path, init: Init) -> anyhow::Result<()> {
    if path.exists() {
        bail!("{} is there already", path.display());
    }
    let mut text = template(&init.team, &init.url, &init.data, init.external);
    if let Some(database) = &init.database {
        text = text.replace("database = \"\"", &format!("database = {}", serde_json::Value::from(database.as_str())));
    }
    fs::write(path, text).with_context(|| path.display().to_string())?;
    let made = async {
        let config = Config::read(path, true, &json!({}))?;
        initialise(&config, &init.root_key).await?;
        anyhow::Ok(registry(&config).await?.invite(1, 7 * 86_400, now_ms()).await?)
    };
    let invite = match made.await {
        Ok(invite) => invite,
        Err(error) => {
            // So that another attempt does not meet half of this one.
            let _ = fs::remove_file(path);
            return Err(error);
        }
    };
    println!("{} is set up.\n", init.team);
    println!("  configuration  {}", path.display());
    println!("  data           {}", init.data.display());
    println!("  root key       {}", init.root_key.display());
    println!("\nTake the root key off this machine, and keep it: only `keys rotate` needs it, and nobody can make it again.");
    println!("\nStart the node:     conclave-bootstrap run");
    println!("The first invite (one person, 7 days):\n\n  {}\n", invite.link);
    println!("They register with: conclave-node team register '<invite>'");
    Ok(())
}

async fn run(path: &Path, run: Run) -> anyhow::Result<()> {
    let mut flags = json!({});
    if let Some(listen) = run.listen {
        flags["http"] = json!({ "listen": listen });
    }
    if let Some(data) = run.data {
        flags["data"] = json!({ "dir": data });
    }
    let config = Config::read(path, true, &flags)?;
    let server = Server::bind(&config).await?;
    // Before anybody is told that the node is there.
    let stopped = stopped()?;
    println!("{}", json!({ "event": "ready", "http": server.address(), "peers": server.peer_addresses().await }));
    stopped.await?;
    tracing::info!("stopping: no new work is taken, what has begun is finished");
    server.shutdown().await;
    Ok(())
}

/// Ctrl-C or SIGTERM, from the moment of the call.
fn stopped() -> anyhow::Result<impl Future<Output = anyhow::Result<()>>> {
    #[cfg(unix)]
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    #[cfg(unix)]
    let mut interrupted = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        #[cfg(not(unix))]
        tokio::signal::ctrl_c().await?;
        Ok(())
    })
}

async fn user(config: &Config, user: User) -> anyhow::Result<()> {
    let registry = registry(config).await?;
    let said = match user {
        User::List => {
            for user in registry.users().await? {
                let devices = user.devices.iter().filter(|device| !device.revoked).count();
                println!("{}\t{}\t{devices} devices", user.name, if user.disabled { "disabled" } else { "active" });
            }
            return Ok(());
        }
        User::Show { name } => {
            show(&registry.user(&name).await?);
            return Ok(());
        }
        User::Disable { name } => said(registry.set_disabled(&name, true, now_ms()).await?, "disabled"),
        User::Enable { name } => said(registry.set_disabled(&name, false, now_ms()).await?, "enabled"),
        User::RevokeDevice { name, device } => {
            let device: Key = device.parse().map_err(|what| anyhow::anyhow!("the device: {what}"))?;
            said(registry.revoke_device(&name, device, now_ms()).await?, "revoked")
        }
    };
    println!("{said}");
    Ok(())
}

fn said(changed: bool, what: &str) -> String {
    if changed { format!("Done: {what}.") } else { format!("It was {what} already, or is not there.") }
}

fn show(user: &UserReply) {
    println!("name     {}\naccount  {}\nstate    {}", user.name, user.account, if user.disabled { "disabled" } else { "active" });
    for device in &user.devices {
        println!("device   {}  {}{}", device.device, device.label, if device.revoked { "  (revoked)" } else { "" });
    }
}

async fn backup(config: &Config, to: &Path) -> anyhow::Result<()> {
    fs::create_dir(to).with_context(|| to.display().to_string())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(to, fs::Permissions::from_mode(0o700))?;
    }
    let (store, _) = open(config).await?;
    store.check().await?;
    if config.data.database.is_empty() {
        store.copy_to(&to.join(DATABASE).display().to_string()).await?;
    } else {
        println!("The database is not in this backup: use pg_dump.");
    }
    for file in FILES {
        let from = config.data.dir.join(file);
        if from.exists() {
            fs::copy(&from, to.join(file)).with_context(|| from.display().to_string())?;
        }
    }
    println!("Backed up to {}. It holds the master key: keep it as you keep a password.", to.display());
    Ok(())
}

async fn restore(config: &Config, from: &Path) -> anyhow::Result<()> {
    if config.data.dir.exists() && fs::read_dir(&config.data.dir)?.next().is_some() {
        bail!("{} is not empty", config.data.dir.display());
    }
    // Looked at before anything is put anywhere.
    let master = Master::open(&from.join("master.key"))?;
    fs::create_dir_all(&config.data.dir)?;
    for file in FILES.into_iter().chain([DATABASE]) {
        if from.join(file).exists() {
            let to = config.data.dir.join(file);
            fs::copy(from.join(file), &to).with_context(|| file.to_owned())?;
            // However the backup was kept: these are its owner's alone.
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                fs::set_permissions(&to, fs::Permissions::from_mode(0o600))?;
            }
        }
    }
    let store = Store::open(&config.database_url()).await?;
    keys::Signing::load(&store, &master).await.context("the backup was put back, but its keys do not open its database")?;
    println!("Restored to {}.", config.data.dir.display());
    Ok(())
}
