//! The description of the API as programs read it: valid by the specification and by the validators in use, true of the
//! server's answers, and good enough to generate clients of.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::{Server, packages, send};

const ROOM: &str = "tests/suite/openapi";

fn python(purpose: &str, server: &Server, script: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(packages::python(ROOM));
    command.arg(packages::source(ROOM).join(script)).args(arguments);
    packages::run(purpose, command.args([&server.url, &server.key, &server.app]))
}

fn saved(server: &Server, place: &Path) -> String {
    let file = place.join("openapi.json");
    fs::write(&file, server.get("/openapi.json").text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn the_document_is_valid_complete_and_true_of_the_answers() {
    let server = Server::start();
    let faults = python("the document is checked", &server, "check.py", &[]);
    assert_eq!(faults.trim(), "");
}

#[test]
fn the_client_that_is_generated_for_python_works() {
    let server = Server::start();
    let place = TempDir::new().unwrap();
    let document = saved(&server, place.path());
    let interpreter = packages::python(ROOM);
    let programs = interpreter.parent().unwrap();
    let output = place.path().join("meter");
    let mut generate = Command::new(programs.join("openapi-python-client"));
    generate
        .args(["generate", "--meta", "none", "--path", &document, "--output-path"])
        .arg(&output)
        .env("PATH", programs);
    packages::run("a client for Python is generated", &mut generate);
    let mut compile = Command::new(&interpreter);
    compile.args(["-m", "compileall", "-q"]).arg(&output);
    packages::run("the client for Python compiles", &mut compile);
    let place = place.path().to_str().unwrap();
    python("the client for Python is used", &server, "client.py", &[place]);
    assert_eq!(server.counts("length=1&ending_at=2024-01-01"), [2]);
}

#[test]
fn the_types_that_are_generated_for_typescript_compile_and_work() {
    let server = Server::start();
    let room = packages::node(ROOM);
    let document = saved(&server, &room);
    let program = |name: &str| Command::new(room.join("node_modules/.bin").join(name));
    let types = room.join("meter.d.ts");
    let mut generate = program("openapi-typescript");
    generate.arg(document).arg("--output").arg(&types);
    packages::run("types are generated", &mut generate);
    let script = room.join("client.mts");
    fs::copy(packages::source(ROOM).join("client.mts"), &script).unwrap();
    let mut compile = program("tsc");
    compile
        .args(["--strict", "--target", "es2022", "--module", "nodenext"])
        .args(["--lib", "es2022,dom,dom.iterable"])
        .args([&types, &script]);
    packages::run("the types compile", &mut compile);
    let mut node = Command::new("node");
    node.arg(room.join("client.mjs"));
    packages::run(
        "the client in TypeScript is used",
        node.args([&server.url, &server.key, &server.app]),
    );
    assert_eq!(server.counts("length=1&ending_at=2024-02-01"), [2]);
}

#[test]
fn its_address_is_the_one_that_was_asked() {
    let server = Server::start();
    let address = |headers: &[(&str, &str)]| {
        let request = server.client().get(format!("{}/openapi.json", server.url));
        let with = |request: reqwest::blocking::RequestBuilder, (name, value): &(&str, &str)| {
            request.header(*name, *value)
        };
        let document = send(headers.iter().fold(request, with)).json();
        document["servers"][0]["url"].as_str().unwrap().to_owned()
    };
    assert_eq!(address(&[]), server.url);
    assert_eq!(
        address(&[("host", "sessions.example.com:81")]),
        "http://sessions.example.com:81"
    );
    // Relative to the document: right whatever a proxy has made of name, protocol and path.
    for forwarded in [
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-prefix",
        "forwarded",
        "via",
    ] {
        assert_eq!(address(&[(forwarded, "1")]), ".", "{forwarded}");
    }
}
