//! A PostgreSQL server for one test, from Debian's package, in a directory of its own and on a socket alone.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

pub(super) struct Postgres {
    dir: TempDir,
    programs: PathBuf,
}

impl Postgres {
    pub(super) fn start() -> Self {
        let mut versions: Vec<_> = std::fs::read_dir("/usr/lib/postgresql").expect("postgresql is installed").flatten().collect();
        versions.sort_by_key(std::fs::DirEntry::file_name);
        let programs = versions.last().expect("a version of postgresql").path().join("bin");
        let server = Self { dir: tempfile::tempdir().unwrap(), programs };
        std::fs::set_permissions(server.dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let data = server.data();
        server.run("initdb", &["-D", &data, "-A", "trust", "-U", "conclave", "-E", "UTF8"]);
        let options = format!("-k {} -h '' -c fsync=off", server.dir.path().display());
        server.run("pg_ctl", &["-D", &data, "-w", "-o", &options, "-l", &format!("{data}/log"), "start"]);
        server
    }

    pub(super) fn database(&self) -> String {
        let host = self.dir.path().display().to_string().replace('/', "%2F");
        format!("postgres://conclave@{host}/postgres")
    }

    fn data(&self) -> String {
        self.dir.path().join("data").display().to_string()
    }

    /// As root, by the user that the package made: the server refuses to run as root.
    fn run(&self, program: &str, arguments: &[&str]) {
        let path = self.programs.join(program);
        let root = rustix::process::geteuid().is_root();
        let mut command = if root { Command::new("runuser") } else { Command::new(&path) };
        if root {
            command.args(["-u", "postgres", "--"]).arg(&path);
        }
        let status = command.args(arguments).current_dir("/").stdout(Stdio::null()).status().expect(program);
        assert!(status.success(), "{program}");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "stop"]);
    }
}
