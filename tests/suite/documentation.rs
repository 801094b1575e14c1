//! README and the pages of `docs/` can't drift: their console blocks are run as they stand, in order, each page in an
//! empty directory, and what is printed has the form that the page shows.
//!
//! Numbers, times, ids and keys may differ, and `…` stands for anything. Of a command without output in the page only
//! its success counts. Comments in a page's source say more:
//!
//! - `<!-- not run: REASON -->` stands before a block that can't be run.
//! - `<!-- runs on -->` stands before a block whose last command is a server.
//! - `<!-- file NAME -->` stands before a block that readers keep in a file of this name.
//! - `<!-- prepare`, lines of shell and `-->` are what readers have done already, or do elsewhere; `prelude.sh` has
//!   functions for them.
//!
//! Pages in Spanish have the same blocks as those in English. `SESSIONMETER_PAGES=count.md` chooses pages.

mod page;
mod shape;
mod shell;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Mutex;

use tempfile::TempDir;

use crate::support::{binary, packages};
use page::{Expected, Page};
use shape::{has_shape, shape};
use shell::Shell;

/// Pages that are run at the same time.
const AT_ONCE: usize = 4;
/// Addresses that pages use; free ones stand for them.
const ADDRESSES: [&str; 5] = [
    "127.0.0.1:8080",
    "127.0.0.1:8081",
    "127.0.0.1:8090",
    "127.0.0.1:8092",
    "127.0.0.1:9090",
];

/// The pages in a folder of this repository.
fn pages_in(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(packages::source(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.ends_with(".md"))
        .map(|name| Path::new(folder).join(name).display().to_string())
        .collect()
}

/// README and the pages of `docs/`, in English.
fn pages() -> BTreeSet<String> {
    let mut pages = pages_in("docs");
    pages.insert("README.md".to_owned());
    pages
}

fn source(page: &str) -> String {
    fs::read_to_string(packages::source(page)).unwrap()
}

/// What a page writes, with what stands for it while the page is run.
struct Names(Vec<(String, String)>);

impl Names {
    fn new(root: &Path) -> Self {
        let held = ADDRESSES.map(|address| (address, TcpListener::bind("127.0.0.1:0").unwrap()));
        let mut names: Vec<(String, String)> =
            [("/tmp/", "tmp/"), ("/var/lib/", "var/"), ("/home/me/", "page/")]
                .map(|(name, here)| (name.to_owned(), root.join(here).display().to_string()))
                .to_vec();
        names
            .extend(held.map(|(address, held)| (address.to_owned(), held.local_addr().unwrap().to_string())));
        Self(names)
    }

    /// The text of a page, to be run here.
    fn here(&self, text: &str) -> String {
        let public = format!("http://{}", ADDRESSES[0]);
        let text = text.replace("https://sessions.example.com", &public);
        let text = self
            .0
            .iter()
            .fold(text, |text, (name, here)| text.replace(name, here));
        text.replace("cargo run --release -- ", "sessionmeter ")
    }

    /// What was printed here, as the page would have it.
    fn there(&self, text: &str) -> String {
        self.0
            .iter()
            .fold(text.to_owned(), |text, (name, here)| text.replace(here, name))
    }
}

/// A room with a shell in which pages, or what they share, are run.
struct Room {
    shell: Shell,
    names: Names,
    root: TempDir,
}

impl Room {
    fn new(more: &[(&str, String)]) -> Self {
        let root = TempDir::new().unwrap();
        // The page's own directory is empty; curl finds in the home that it draws no progress.
        let folder = |name: &str| {
            let folder = root.path().join(name);
            fs::create_dir(&folder).unwrap();
            folder
        };
        let [here, out, home, tmp, _] = ["page", "out", "home", "tmp", "var"].map(folder);
        fs::write(home.join(".curlrc"), "silent\nshow-error\nnoproxy = *\n").unwrap();
        let names = Names::new(root.path());
        let programs = Path::new(binary()).parent().unwrap().display();
        let mut environment = vec![
            ("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap())),
            ("HOME", home.display().to_string()),
            ("TMPDIR", tmp.display().to_string()),
            ("TZ", "America/New_York".to_owned()),
            ("LC_ALL", "C.UTF-8".to_owned()),
            ("COLUMNS", "200".to_owned()),
            ("SESSIONMETER_LISTEN", names.here(ADDRESSES[0])),
            ("SESSIONMETER_OPS_LISTEN", names.here(ADDRESSES[1])),
        ];
        environment.extend_from_slice(more);
        let shell = Shell::start(&here, &out, &environment);
        Self { shell, names, root }
    }
}

/// Runs a page over a copy of the store `acme`, where it asks for one; what is not as it shows.
fn run(page: &str, acme: &Path) -> Vec<String> {
    let steps = Page::read(&source(page)).steps;
    if steps.is_empty() {
        return Vec::new();
    }
    let mut room = Room::new(&[("ACME", acme.display().to_string())]);
    let (shell, names) = (&mut room.shell, &room.names);
    let mut wrong = Vec::new();
    // Ids and keys that the page shows, with those that were made here.
    let mut made: BTreeMap<String, String> = BTreeMap::new();
    for step in steps {
        let command = made
            .iter()
            .fold(names.here(&step.command), |command, (shown, here)| {
                command.replace(shown, here)
            });
        let outcome = match &step.expected {
            Expected::Success | Expected::Prints(_) => shell.run(&command),
            Expected::RunsOn(shown) => shell
                .start_server(&command, |printed| has_shape(&names.there(printed), shown))
                .map(|printed| (0, printed)),
        };
        let shown = match &step.expected {
            Expected::Success => "",
            Expected::Prints(shown) | Expected::RunsOn(shown) => shown,
        };
        let place = format!("{page}:{}: $ {}", step.line, step.command);
        let (status, printed) = match outcome {
            Ok((status, printed)) => (status, names.there(&printed)),
            Err(reason) => {
                let reason = names.there(&reason);
                wrong.push(format!("{place}\n--- the page shows\n{shown}\n--- but\n{reason}"));
                return wrong;
            }
        };
        let is_right = match step.expected {
            Expected::Success => status == 0,
            _ => has_shape(&printed, shown),
        };
        if !is_right {
            let shown = shape(shown);
            wrong.push(format!(
                "{place}\n--- the page shows\n{shown}\n--- printed, with exit code {status}\n{printed}"
            ));
            continue;
        }
        made.extend(shape::ids(shown).into_iter().zip(shape::ids(&printed)));
        if let Some(key) = shape::key(&printed).filter(|_| !shown.is_empty()) {
            shell.set("KEY", &key).unwrap();
            made.insert("smk_…".to_owned(), key);
        }
    }
    wrong
}

#[test]
fn console_blocks_print_what_the_pages_show() {
    for program in ["bash", "awk", "curl", "zstd", "sqlite3"] {
        packages::program(&[program], program);
    }
    let chosen = std::env::var("SESSIONMETER_PAGES").ok();
    let is_chosen = |page: &String| {
        let mut chosen = chosen.iter().flat_map(|chosen| chosen.split(','));
        chosen.clone().next().is_none() || chosen.any(|one| page.ends_with(one))
    };
    // README takes longest and comes first.
    let pages = Mutex::new(pages().into_iter().filter(is_chosen));
    let mut room = Room::new(&[]);
    let (status, printed) = room.shell.run("make_acme").unwrap();
    assert_eq!(status, 0, "{printed}");
    let acme = room.root.path().join("page/sessionmeter-data");
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let next = || pages.lock().unwrap().next();
                while let Some(page) = next() {
                    let found = run(&page, &acme);
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn most_console_blocks_are_run() {
    let pages = pages().into_iter().map(|page| Page::read(&source(&page)));
    let (run, marked) = pages.fold((0, 0), |(run, marked), page| {
        (run + page.run, marked + page.marked)
    });
    assert!(
        marked * 3 < run + marked,
        "{marked} blocks are not run, {run} are"
    );
}

#[test]
fn spanish_pages_have_the_blocks_of_the_english_ones() {
    for spanish in pages_in("docs/es") {
        let name = Path::new(&spanish).file_name().unwrap().to_str().unwrap();
        let english = match name {
            "README.md" => name.to_owned(),
            name => format!("docs/{name}"),
        };
        let (ours, theirs) = (source(&spanish), source(&english));
        let (ours, theirs) = (page::blocks(&ours), page::blocks(&theirs));
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "{spanish} differs from {english}");
        }
        assert_eq!(ours.len(), theirs.len(), "{spanish} lacks blocks of {english}");
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut pages = pages();
    pages.extend(pages_in("docs/es"));
    pages.extend(pages_in(".").into_iter().map(|page| page.replace("./", "")));
    let mut broken = Vec::new();
    for page in pages {
        let file = packages::source(&page);
        let text = source(&page);
        for link in page::links(&text) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => file.clone(),
                path => file.parent().unwrap().join(path),
            };
            let is_there = match fs::read_to_string(&target) {
                Ok(text) => anchor.is_empty() || page::anchors(&text).contains(anchor),
                Err(_) => target.exists() && anchor.is_empty(),
            };
            if !is_there {
                broken.push(format!("{page}: {link}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
