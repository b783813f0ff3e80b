//! Databases of every release, as its program left them: today's program brings their schema up to date and loses nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{output, said};
use crate::program::sql;

/// A folder for each schema that was ever released, named by its last migration.
fn released() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/released");
    let mut found: Vec<_> = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// Puts the database of a release where a node looks for it.
async fn restored(release: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept");
    std::fs::create_dir(&kept).unwrap();
    for file in ["master.key", "peer.key"] {
        std::fs::copy(release.join(file), kept.join(file)).unwrap();
    }
    sql(&kept.join("bootstrap.db"), &std::fs::read_to_string(release.join("bootstrap.sql")).unwrap()).await;
    std::fs::copy(release.join("bootstrap.toml"), dir.path().join("bootstrap.toml")).unwrap();
    std::fs::copy(release.join("team-root.key"), dir.path().join("team-root.key")).unwrap();
    said(dir.path(), &["restore", "kept"]);
    dir
}

#[tokio::test]
async fn the_database_of_every_release_is_brought_up_to_date() {
    let latest = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite")).unwrap().count();
    assert_eq!(released().len(), latest, "each schema has a database that its release left");
    for release in released() {
        let dir = restored(&release).await;
        let at = dir.path();
        assert_eq!(said(at, &["user", "list"]), "Ada\tactive\t2 devices\nBob\tdisabled\t1 devices\n", "{}", release.display());
        // What was sealed then is opened now, and what is written is read again.
        said(at, &["keys", "rotate"]);
        assert_eq!(said(at, &["user", "enable", "bob"]), "Done: enabled.\n");
        assert!(said(at, &["user", "list"]).contains("Bob\tactive"));
        assert!(said(at, &["doctor"]).contains("registrations: 5 entries"), "{}", said(at, &["doctor"]));
    }
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_left_alone() {
    let dir = restored(&released()[0]).await;
    let later = "INSERT INTO _sqlx_migrations SELECT 9999, 'later', installed_on, 1, checksum, 0 FROM _sqlx_migrations";
    sql(&dir.path().join("bootstrap-data/bootstrap.db"), later).await;
    let refused = output(dir.path(), &["user", "list"]);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("9999"), "{refused:?}");
}

/// How a release's database comes to be: by its own program, with people in it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes the database of a release"]
async fn write_the_database_of_this_release() {
    use crate::program::Program;
    use crate::support::{Person, Place};
    let team = Program::start(&[]);
    let link = team.invite(2).await;
    let (ada, bob) = (Person::new("Ada"), Person::new("Bob"));
    ada.register(&team, &link, Some("correct horse")).await.unwrap();
    bob.register(&team, &link, None).await.unwrap();
    assert_eq!(team.add_devices(&ada, link.root, 1).await.len(), 1);
    let at = team.stop();
    said(at.path(), &["user", "disable", "bob"]);
    let last = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite")).unwrap().flatten();
    let last = last.map(|file| file.file_name().to_string_lossy()[..4].to_owned()).max().unwrap();
    let to = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/released").join(last);
    std::fs::create_dir_all(&to).unwrap();
    for file in ["bootstrap-data/master.key", "bootstrap-data/peer.key", "bootstrap.toml", "team-root.key"] {
        std::fs::copy(at.path().join(file), to.join(Path::new(file).file_name().unwrap())).unwrap();
    }
    let script = "import sqlite3, sys; open(sys.argv[2], 'w').write('\\n'.join(sqlite3.connect(sys.argv[1]).iterdump()))";
    let mut dump = Command::new("python3");
    dump.args(["-c", script]).arg(at.path().join("bootstrap-data/bootstrap.db")).arg(to.join("bootstrap.sql"));
    assert!(dump.status().unwrap().success());
}
