//! Packages of other people that tests run: installed once for each list of them, below `target`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file or folder of this repository.
pub fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A folder in which Node.js finds what `package.json` in the folder `of` lists.
pub fn node(of: &str) -> PathBuf {
    installed(of, "package.json", |room, list| {
        fs::copy(list, room.join("package.json")).unwrap();
        run(
            "this test needs Node.js and npm, and installs packages with them",
            Command::new(program(&["npm"], "npm"))
                .args(["install", "--no-audit", "--no-fund", "--no-package-lock"])
                .current_dir(room),
        );
    })
}

/// A Python interpreter that has what `requirements.txt` in the folder `of` lists.
pub fn python(of: &str) -> PathBuf {
    let room = installed(of, "requirements.txt", |room, list| {
        let purpose = "this test needs python3 with venv and pip, and installs packages with them";
        let python = program(&["python3"], "python3-venv");
        run(purpose, Command::new(python).args(["-m", "venv"]).arg(room));
        let mut pip = Command::new(room.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        run(purpose, pip.arg("-r").arg(list));
    });
    room.join("bin/python")
}

/// A program that is on this machine. On Debian and Ubuntu it is installed where it is missing.
pub fn program(names: &[&str], package: &str) -> PathBuf {
    let find = || {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .flat_map(|directory| names.iter().map(move |name| directory.join(name)))
            .find(|program| program.is_file())
    };
    find().unwrap_or_else(|| {
        // Where two install at one time, one of them fails.
        let _turn = turn("apt");
        for arguments in [
            &["update"][..],
            &["install", "-y", "--no-install-recommends", package],
        ] {
            // What went wrong shows in what is still missing.
            let _ = Command::new("apt-get")
                .args(arguments)
                .stdout(Stdio::null())
                .status();
        }
        find().unwrap_or_else(|| {
            panic!("this test needs {names:?}: install it, for example with 'apt-get install {package}'")
        })
    })
}

/// A program that is on this machine, or in `folder` of a package of Debian or Ubuntu. The package is unpacked below
/// `target` and not installed: so no service of it starts, and nobody has to be root.
pub fn unpacked(name: &str, folder: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_this_machine = std::env::split_paths(&path)
        .chain([Path::new("/").join(folder)])
        .map(|directory| directory.join(name))
        .find(|program| program.is_file());
    on_this_machine.unwrap_or_else(|| {
        let room = made(&format!("deb-{package}"), package.as_bytes(), |room| {
            let purpose =
                format!("this test needs {name}: install it, for example with 'apt-get install {package}'");
            let download = || {
                Command::new("apt-get")
                    .args(["download", package])
                    .current_dir(room)
                    .output()
            };
            if !download().is_ok_and(|output| output.status.success()) {
                // The lists of packages may be missing.
                let _ = Command::new("apt-get").arg("update").output();
                run(
                    &purpose,
                    Command::new("apt-get")
                        .args(["download", package])
                        .current_dir(room),
                );
            }
            let files = fs::read_dir(room).unwrap().map(|file| file.unwrap().path());
            let archive = files.filter(|file| file.extension().is_some_and(|end| end == "deb"));
            for archive in archive.collect::<Vec<_>>() {
                run(
                    &purpose,
                    Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(room),
                );
                fs::remove_file(archive).unwrap();
            }
        });
        room.join(folder).join(name)
    })
}

/// Runs a program to its end and expects success; `purpose` is what a failure says first. Returns what it printed.
pub fn run(purpose: &str, command: &mut Command) -> String {
    let output = command
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .unwrap_or_else(|error| panic!("{purpose}: {:?} can't be started: {error}", command.get_program()));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{purpose}: {command:?} failed\n{printed}{errors}"
    );
    printed
}

/// Makes the room of a list anew unless it was made for the same one. One process at a time.
fn installed(of: &str, list: &str, make: impl FnOnce(&Path, &Path)) -> PathBuf {
    let list = source(of).join(list);
    let wanted = fs::read(&list).unwrap();
    made(&of.replace('/', "-"), &wanted, |room| make(room, &list))
}

fn made(name: &str, wanted: &[u8], make: impl FnOnce(&Path)) -> PathBuf {
    let _turn = turn(name);
    let room = rooms().join(name);
    let done = room.join("installed");
    if fs::read(&done).ok().as_deref() != Some(wanted) {
        let _ = fs::remove_dir_all(&room);
        fs::create_dir_all(&room).unwrap();
        make(&room);
        fs::write(done, wanted).unwrap();
    }
    room
}

fn rooms() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages")
}

/// Waits until no other process installs what has this name; whoever holds the file is alone with it.
fn turn(name: &str) -> File {
    fs::create_dir_all(rooms()).unwrap();
    let turn = File::create(rooms().join(name).with_extension("lock")).unwrap();
    turn.lock().unwrap();
    turn
}
