//! Output that nobody reads, or that goes to another program.

use super::*;

/// A file that is always full.
fn full() -> Stdio {
    std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}

#[test]
fn a_key_that_nobody_could_see_is_revoked_again() {
    let place = Place::new();
    let create = ["key", "create", "k", "--permission", "all"];
    for more in [&[][..], &["--json"]] {
        let mut key = place.start(&[&create[..], more].concat());
        let output = key.stdout(full()).stderr(Stdio::piped()).spawn().unwrap();
        let output = output.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let expected = "the key could not be shown, and was revoked again: can't write to standard output: No space left";
        assert!(said(&output).contains(expected), "{}", said(&output));
    }
    // The same where the reader went away.
    let mut child = place
        .start(&create)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(said(&output).contains("was revoked again"), "{}", said(&output));
    let keys = place.json(&["key", "list"]);
    let revoked: Vec<&Value> = keys
        .as_array()
        .unwrap()
        .iter()
        .map(|key| &key["revoked"])
        .collect();
    assert_eq!(revoked, [&json!(true), &json!(true), &json!(true)]);
    place.json(&create);
}

#[test]
fn a_first_key_that_nobody_could_see_is_revoked_and_the_log_says_so() {
    let directory = TempDir::new().unwrap();
    let store = directory.path().join("store");
    let mut child = Command::new(binary())
        .args(["serve", "--listen", "127.0.0.1:0", "--ops-listen", "off"])
        .args(store_arguments(&store))
        .stdout(full())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let told = lines
        .map_while(Result::ok)
        .find(|line| line.contains("the key could not be shown, and was revoked again"));
    let told = told.unwrap();
    assert!(
        told.contains("'sessionmeter key create NAME --permission all'"),
        "{told}"
    );
    let keys = command(&store, &["key", "list"]);
    assert_eq!(
        (&keys[0]["name"], &keys[0]["revoked"]),
        (&json!("default"), &json!(true))
    );
    let again = command(&store, &["key", "create", "default", "--permission", "all"]);
    assert!(again["key"].as_str().unwrap().starts_with("smk_"));
    terminate(child.id());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_pipe_that_nobody_reads_any_more_is_no_success() {
    let place = Place::with(10_000);
    let mut child = place
        .start(&["export"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = BufReader::with_capacity(1_024, child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"app_id\""), "{line}");
    drop(reader);
    let output = child.wait_with_output().unwrap();
    // As a shell says of a program that SIGPIPE ended, and as quietly.
    assert_eq!((output.status.code(), said(&output).as_str()), (Some(141), ""));
}

#[test]
fn backups_and_exports_go_through_pipes() {
    let place = Place::with(1_000);
    let backup = run(&place.store, &["backup", "-"]);
    assert!(backup.status.success(), "{}", said(&backup));
    assert!(backup.stdout.starts_with(b"SQLite format 3\0"));
    let restored = place.directory.path().join("restored");
    let restore = |content: &[u8]| {
        let mut child = Command::new(binary())
            .args(["restore", "-", "--data"])
            .arg(&restored)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(content).unwrap();
        child.wait_with_output().unwrap()
    };
    let damaged = restore(b"no backup at all");
    assert_eq!(damaged.status.code(), Some(1), "{}", said(&damaged));
    let output = restore(&backup.stdout);
    assert!(output.status.success(), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("restored standard input into "));
    let (there, here) = (
        run(&restored, &["export"]),
        run(&place.store, &["export", "--output", "-"]),
    );
    assert!(there.status.success() && there.stdout == here.stdout && !here.stdout.is_empty());
    // Nothing is left behind, and nothing was written under the name `-`.
    let mut names: Vec<String> = std::fs::read_dir(place.directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["in.ndjson", "restored", "store"]);
    assert!(!std::path::Path::new("-").exists());
}

#[test]
fn no_key_is_made_where_it_could_not_be_shown() {
    let server = support::Server::start();
    for output in [">&-", "> /dev/null"] {
        let ended = Command::new("sh")
            .args(["-c", &format!("exec \"$0\" \"$@\" {output}")])
            .arg(binary())
            .args(["key", "create", "unseen", "--permission", "all"])
            .args(store_arguments(&server.data))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{output}: {said}");
        assert!(said.contains("no key is made"), "{output}: {said}");
    }
    let keys = command(&server.data, &["key", "list"]);
    assert_eq!(keys.as_array().unwrap().len(), 1, "{keys}");
}
