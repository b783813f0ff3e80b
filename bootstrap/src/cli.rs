//! The command line. Each command opens what it needs, does one thing, and says what it did.

mod doctor;
mod run;

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// The bootstrap node of a team: accounts, discovery, relay.
#[derive(Debug, Parser)]
#[command(
    name = "conclave-bootstrap",
    version,
    after_help = "Examples:\n  conclave-bootstrap init --team 'Field office' --url https://meet.example.org:7480\n  conclave-bootstrap run\n  \
                  conclave-bootstrap invite --uses 20 --expires 7d\n\nA value of the configuration file is overridden by the environment, \
                  as CONCLAVE_BOOTSTRAP_HTTP__LISTEN=0.0.0.0:8443."
)]
struct Arguments {
    /// The configuration file.
    #[arg(long, global = true, default_value = "bootstrap.toml", env = "CONCLAVE_BOOTSTRAP_CONFIG")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a team: its keys, its configuration file, its first invite.
    Init(Init),
    /// Runs the node until Ctrl-C or a termination signal.
    Run(Run),
    /// Makes a link by which people join the team.
    Invite {
        /// How many people it lets in, 1 to 10000.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        uses: u32,
        /// For how long, as 90m, 24h or 7d; 1 minute to 90 days.
        #[arg(long, default_value = "24h", value_parser = parse_seconds)]
        expires: u64,
        /// Voids every invite that is open instead.
        #[arg(long)]
        revoke_all: bool,
    },
    /// People of the team.
    #[command(subcommand)]
    User(User),
    /// Keys of the team.
    #[command(subcommand)]
    Keys(Keys),
    /// Makes a token for the admin API and its page (/admin); the one before is void.
    AdminToken,
    /// Copies the database, the keys and the certificate into a new directory, while the node may run.
    Backup { to: PathBuf },
    /// Puts a backup where the configuration says that the data is. Nothing may be there.
    Restore { from: PathBuf },
    /// Looks for what is wrong: configuration, keys, database, certificate, ports, addresses, permissions, clock.
    Doctor,
}

#[derive(Debug, Args)]
struct Init {
    /// The team's name, as members see it.
    #[arg(long)]
    team: String,
    /// Where members reach the HTTP side.
    #[arg(long, default_value = "https://127.0.0.1:7480")]
    url: String,
    /// Keys, certificate and database.
    #[arg(long, default_value = "bootstrap-data")]
    data: PathBuf,
    /// Where the root key goes. Take it off this machine: only `keys rotate` needs it.
    #[arg(long, default_value = "team-root.key")]
    root_key: PathBuf,
    /// The address that members see, where it is not this machine's own.
    #[arg(long)]
    external: Option<IpAddr>,
    /// PostgreSQL in the place of SQLite.
    #[arg(long)]
    database: Option<String>,
}

#[derive(Debug, Args)]
struct Run {
    /// http.listen
    #[arg(long)]
    listen: Option<String>,
    /// data.dir
    #[arg(long)]
    data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum User {
    /// Lists them.
    List,
    /// Shows one, with their devices.
    Show { name: String },
    /// Logs them out everywhere, and lets them log in no more.
    Disable { name: String },
    /// Lets them log in again.
    Enable { name: String },
    /// Logs one of their devices out for good.
    RevokeDevice { name: String, device: String },
}

#[derive(Debug, Subcommand)]
enum Keys {
    /// Makes another key that signs tokens; the root key signs that it is the team's.
    Rotate {
        /// The file that `init` wrote.
        #[arg(long, default_value = "team-root.key")]
        root_key: PathBuf,
    },
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("CONCLAVE_LOG").unwrap_or_else(|_| "info,sqlx=warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run::execute(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `90m`, `24h`, `7d`, or seconds alone.
fn parse_seconds(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3_600),
        Some((at, 'd')) => (&text[..at], 86_400),
        _ => (text, 1),
    };
    let number: u64 = digits.parse().map_err(|_| "write 90m, 24h or 7d".to_owned())?;
    let seconds = number.saturating_mul(unit);
    if (60..=90 * 86_400).contains(&seconds) { Ok(seconds) } else { Err("1 minute to 90 days are possible".to_owned()) }
}
