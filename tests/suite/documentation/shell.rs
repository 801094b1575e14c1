//! A shell in which a page's commands are run one after the other, as a reader would.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long a command may take on a machine that is busy with other tests: the demo makes up 150,000 sessions.
const LIMIT: Duration = Duration::from_secs(300);

/// What the preparations of pages share.
const PRELUDE: &str = include_str!("prelude.sh");

/// A `bash` in a process group of its own, which is killed when this is dropped.
pub struct Shell {
    child: Child,
    input: ChildStdin,
    statuses: Receiver<String>,
    out: PathBuf,
    steps: usize,
    limit: Duration,
}

impl Shell {
    /// Starts it in a directory. What its commands print is kept in the directory `out`.
    pub fn start(directory: &Path, out: &Path, environment: &[(&str, String)]) -> Self {
        let mut child = Command::new("bash")
            .args(["--noprofile", "--norc"])
            .current_dir(directory)
            .env_clear()
            .envs(environment.iter().cloned())
            .env("OUT", out)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (sender, statuses) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut shell = Self {
            input: child.stdin.take().unwrap(),
            child,
            statuses,
            out: out.to_owned(),
            steps: 0,
            limit: LIMIT,
        };
        shell.run(PRELUDE).unwrap();
        shell
    }

    /// Runs a command to its end; its exit status with what it printed. An error says why there is no end.
    pub fn run(&mut self, command: &str) -> Result<(i32, String), String> {
        let step = self.write(command);
        let status = self.tell(&format!(
            "source \"$OUT/{step}.sh\" > \"$OUT/{step}\" 2>&1 < /dev/null"
        ));
        let printed = self.printed(step);
        match status {
            Ok(status) => Ok((status, printed)),
            Err(reason) => Err(format!("{reason}; it printed:\n{printed}")),
        }
    }

    /// Starts a command that does not end by itself, and waits until it has printed what is awaited. An error has
    /// what it printed instead.
    pub fn start_server(
        &mut self,
        command: &str,
        is_awaited: impl Fn(&str) -> bool,
    ) -> Result<String, String> {
        let step = self.write(&format!("exec {command}"));
        let start = format!(
            "source \"$OUT/{step}.sh\" > \"$OUT/{step}\" 2> \"$OUT/{step}.log\" < /dev/null & started+=($!)"
        );
        self.tell(&start)?;
        let deadline = Instant::now() + self.limit;
        loop {
            let runs = self.tell("kill -0 $! && sleep 0.05")? == 0;
            let printed = self.printed(step);
            if is_awaited(&printed) {
                return Ok(printed);
            }
            if !runs || Instant::now() > deadline {
                let log = fs::read_to_string(self.out.join(format!("{step}.log"))).unwrap_or_default();
                return Err(format!("{printed}\n{log}"));
            }
        }
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.tell(&format!("{name}='{value}'")).map(drop)
    }

    /// Keeps a command in a file: whatever its quotes are, the shell goes on behind it.
    fn write(&mut self, command: &str) -> usize {
        self.steps += 1;
        let file = self.out.join(format!("{}.sh", self.steps));
        fs::write(file, command).unwrap();
        self.steps
    }

    fn printed(&self, step: usize) -> String {
        let printed = fs::read(self.out.join(step.to_string())).unwrap_or_default();
        String::from_utf8_lossy(&printed).into_owned()
    }

    /// Hands the shell a line; the exit status.
    fn tell(&mut self, line: &str) -> Result<i32, String> {
        let gone = || "the shell ended".to_owned();
        writeln!(self.input, "{line}\necho $?").map_err(|_| gone())?;
        match self.statuses.recv_timeout(self.limit) {
            Ok(status) => Ok(status.parse().unwrap()),
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
            Err(RecvTimeoutError::Timeout) => {
                Err(format!("it did not end within {} seconds", self.limit.as_secs()))
            }
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

#[test]
fn commands_without_an_end_are_said() {
    let room = tempfile::TempDir::new().unwrap();
    let path = ("PATH", std::env::var("PATH").unwrap());
    let mut shell = Shell::start(room.path(), room.path(), &[path]);
    assert_eq!(shell.run("echo one; false"), Ok((1, "one\n".to_owned())));
    let printed = shell.start_server("echo three", |_| false).unwrap_err();
    assert!(printed.starts_with("three\n"), "{printed}");
    shell.limit = Duration::from_secs(1);
    let reason = shell.run("echo two; sleep 600").unwrap_err();
    assert_eq!(reason, "it did not end within 1 seconds; it printed:\ntwo\n");
}
