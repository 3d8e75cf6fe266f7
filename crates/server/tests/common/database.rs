//! Databases to test with: SQLite always; PostgreSQL at `HIRESCAM_POSTGRES` (an address without a database's name, whose user may make
//! databases), or else one of this machine's own programs, started for the tests alone.

use super::wait;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A server of PostgreSQL that ends with this process.
pub struct Postgres {
    pub address: String,
    data: PathBuf,
    port: u16,
    program: PathBuf,
    child: Option<Child>,
}

static SHARED: LazyLock<Option<String>> = LazyLock::new(|| match std::env::var("HIRESCAM_POSTGRES") {
    Ok(address) => Some(address.trim_end_matches('/').to_owned()),
    // It ends when this process does, for then nobody holds its input any more.
    Err(_) => Postgres::start().map(|server| std::mem::ManuallyDrop::new(server).address.clone()),
});
static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// The databases that there are, by name, each empty.
pub fn each(folder: &Path) -> Vec<(&'static str, String)> {
    let sqlite = hirescam_server::study::store::address_of(&folder.join("answers.sqlite")).unwrap();
    let mut all = vec![("SQLite", sqlite)];
    match &*SHARED {
        Some(server) => all.push(("PostgreSQL", new_in(server))),
        None if std::env::var_os("CI").is_some() => panic!("CI has to test with PostgreSQL"),
        None => eprintln!("SKIPPED with PostgreSQL: neither HIRESCAM_POSTGRES nor initdb and postgres are there"),
    }
    all
}

/// A new database of a server.
pub fn new_in(server: &str) -> String {
    let name = format!("test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    wait(async {
        sqlx::any::install_default_drivers();
        use sqlx::Connection;
        let mut admin = sqlx::AnyConnection::connect(&format!("{server}/postgres")).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await.unwrap();
        admin.close().await.unwrap();
    });
    format!("{server}/{name}")
}

fn program(name: &str) -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    folders.extend(debian.map(|version| version.path().join("bin")));
    folders.into_iter().map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A command as a user whom PostgreSQL runs as: it refuses to run as root.
fn unprivileged(program: &Path) -> Command {
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if !root {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "nobody", "--"]).arg(program);
    command
}

impl Postgres {
    /// Starts a server, where there are the programs.
    pub fn start() -> Option<Self> {
        let (initdb, program) = (program("initdb")?, program("postgres")?);
        let data = std::env::temp_dir().join(format!(
            "hirescam-postgres-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        ));
        std::fs::create_dir_all(&data).ok()?;
        let _ = Command::new("chown").arg("nobody").arg(&data).stderr(Stdio::null()).status();
        let made = unprivileged(&initdb)
            .args(["--no-sync", "--auth=trust", "--username=test", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(&data)
            .current_dir("/")
            .output()
            .ok()?;
        if !made.status.success() {
            eprintln!("initdb: {}", String::from_utf8_lossy(&made.stderr));
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let address = format!("postgres://test@127.0.0.1:{port}");
        let mut server = Postgres { address, data, port, program, child: None };
        server.run();
        Some(server)
    }

    /// Starts it (again), and waits until it answers.
    pub fn run(&mut self) {
        // When this process ends, however it does, the shell's input does too, and takes the server and its data with it.
        let script = r#"echo $$ > "$DATA/shell"; "$@" & cat > /dev/null; kill -QUIT $!; wait $!; rm -rf "$DATA""#;
        let mut shell = unprivileged(Path::new("/bin/sh"));
        shell.args(["-c", script, "sh"]).arg(&self.program).arg("-D").arg(&self.data);
        shell.args([
            "-p",
            &self.port.to_string(),
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "unix_socket_directories=",
        ]);
        shell
            .env("DATA", &self.data)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.child = Some(shell.spawn().unwrap());
        let until = Instant::now() + Duration::from_secs(60);
        let admin = format!("{}/postgres", self.address);
        wait(async {
            sqlx::any::install_default_drivers();
            use sqlx::Connection;
            while sqlx::AnyConnection::connect(&admin).await.is_err() {
                assert!(Instant::now() < until, "PostgreSQL does not start");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }

    /// Kills all of it without a warning, as a machine that loses its power does (but for the disk's own cache).
    pub fn kill(&mut self) {
        let pid = std::fs::read_to_string(self.data.join("postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap().to_owned();
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", &pid]).output().unwrap();
        let children = String::from_utf8_lossy(&children.stdout).into_owned();
        // The shell first, or it would take the data along.
        let shell = std::fs::read_to_string(self.data.join("shell")).unwrap();
        Command::new("kill").args(["-9", shell.trim()]).status().unwrap();
        Command::new("kill")
            .arg("-9")
            .arg(&pid)
            .args(children.split_whitespace())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
        std::thread::sleep(Duration::from_millis(300));
        let _ = std::fs::remove_file(self.data.join("postmaster.pid"));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut shell) = self.child.take() {
            drop(shell.stdin.take());
            let _ = shell.wait();
        }
    }
}
