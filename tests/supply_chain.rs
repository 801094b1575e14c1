//! What may enter the dependency tree, checked without a network and without an extra tool:
//!
//! - every crate's licence can be satisfied from the list in `deny.toml`;
//! - every locked crate comes from the default registry and has a checksum;
//! - no locked version is in a vulnerable range of `supply_chain/advisories.toml`.
//!
//! The checks are plain functions over parsed data, so that the tests at the end can hand them forged packages
//! and see them fail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::{env, fs};

use semver::{Prerelease, Version, VersionReq};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use spdx::{Expression, Licensee, ParseMode};

// ---- what is read ----

/// The part of `cargo metadata` that is looked at.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    dependencies: Vec<Dependency>,
}

/// A line of a manifest. `registry` is empty where the manifest asks for the default registry.
#[derive(Deserialize)]
struct Dependency {
    source: Option<String>,
    registry: Option<String>,
}

#[derive(Deserialize)]
struct Lockfile {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

#[derive(Deserialize)]
struct DenyConfig {
    licenses: DenyLicenses,
}

#[derive(Deserialize)]
struct DenyLicenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdvisoryList {
    advisory: Vec<Advisory>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advisory {
    id: String,
    #[serde(rename = "crate")]
    name: String,
    vulnerable: Vec<String>,
    title: String,
}

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read_toml<T: DeserializeOwned>(path: &str) -> Result<T, String> {
    let text = fs::read_to_string(in_repository(path)).map_err(|e| format!("{path}: {e}"))?;
    toml::from_str(&text).map_err(|e| format!("{path}: {e}"))
}

fn cargo(arguments: &[&str]) -> Result<String, String> {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .map_err(|e| format!("cargo can't be started: {e}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    String::from_utf8(output.stdout).map_err(|e| format!("cargo printed no UTF-8: {e}"))
}

/// Every package of the tree, for all platforms. A developer's machine may have fetched only the packages of
/// its own platform; those are then looked at alone. CI fetches everything and takes no such short cut.
static METADATA: LazyLock<Result<Metadata, String>> = LazyLock::new(ask_for_metadata);

fn metadata() -> Result<&'static Metadata, String> {
    METADATA.as_ref().map_err(Clone::clone)
}

fn ask_for_metadata() -> Result<Metadata, String> {
    const ASK: [&str; 5] = [
        "metadata",
        "--format-version=1",
        "--locked",
        "--offline",
        "--all-features",
    ];
    let text = match cargo(&ASK) {
        Ok(text) => text,
        Err(why) if env::var_os("CI").is_some() => {
            return Err(format!("run `cargo fetch --locked` first; cargo says: {why}"));
        }
        Err(_) => {
            let about = cargo(&["-vV"])?;
            let host = about
                .lines()
                .find_map(|line| line.strip_prefix("host: "))
                .ok_or("`cargo -vV` names no host")?;
            let mine = format!("--filter-platform={host}");
            let mut ask = ASK.to_vec();
            ask.push(&mine);
            cargo(&ask).map_err(|why| format!("run `cargo fetch --locked` first; cargo says: {why}"))?
        }
    };
    serde_json::from_str(&text).map_err(|e| format!("`cargo metadata` can't be read: {e}"))
}

// ---- the checks: each returns what is wrong, in words that say what to do ----

fn allow_list() -> Result<Vec<Licensee>, String> {
    let config: DenyConfig = read_toml("deny.toml")?;
    config
        .licenses
        .allow
        .iter()
        .map(|name| Licensee::parse(name).map_err(|e| format!("deny.toml allows `{name}`: {e}")))
        .collect()
}

fn licence_problem(package: &Package, allowed: &[Licensee]) -> Option<String> {
    let Package { name, version, .. } = package;
    let advice = "Use another crate, or a version under an allowed licence; a further permissive licence is \
                  added to `allow` in deny.toml, with the reason in the commit.";
    let Some(license) = &package.license else {
        return Some(format!(
            "{name} {version} names no licence in its manifest. {advice}"
        ));
    };
    let expression = match Expression::parse_mode(license, ParseMode::LAX) {
        Ok(expression) => expression,
        Err(e) => {
            let reason = e.reason;
            return Some(format!(
                "{name} {version} has the licence `{license}`, not SPDX: {reason}. {advice}"
            ));
        }
    };
    let satisfiable = expression.evaluate(|wanted| allowed.iter().any(|ours| ours.satisfies(wanted)));
    (!satisfiable)
        .then(|| format!("{name} {version} has the licence `{license}`, which is not allowed. {advice}"))
}

/// How the lock file spells the default registry: as the source of what our own manifest takes from it.
fn default_registry(metadata: &Metadata) -> Result<String, String> {
    let sources: BTreeSet<&String> = metadata
        .packages
        .iter()
        .filter(|package| metadata.workspace_members.contains(&package.id))
        .flat_map(|package| &package.dependencies)
        .filter(|dependency| dependency.registry.is_none())
        .filter_map(|dependency| dependency.source.as_ref())
        .filter(|source| source.starts_with("registry+"))
        .collect();
    let mut sources = sources.into_iter();
    match (sources.next(), sources.next()) {
        (Some(only), None) => Ok(only.clone()),
        (None, _) => Err("the manifest takes nothing from the default registry".into()),
        (Some(one), Some(two)) => Err(format!("two registries pass for the default one: {one}, {two}")),
    }
}

fn source_problem(locked: &Locked, own: &BTreeSet<&str>, default_registry: &str) -> Option<String> {
    let Locked { name, version, .. } = locked;
    match locked.source.as_deref() {
        None if own.contains(name.as_str()) => None,
        None => Some(format!(
            "{name} {version} is taken from a path. Publish it, or make it a module of this crate."
        )),
        Some(source) if source != default_registry => Some(format!(
            "{name} {version} comes from {source}, not from the default registry. Use a released version."
        )),
        Some(_) if locked.checksum.is_none() => Some(format!(
            "{name} {version} has no checksum in Cargo.lock. Run `cargo update --workspace` and commit the file."
        )),
        Some(_) => None,
    }
}

impl Advisory {
    fn ranges(&self) -> Result<Vec<VersionReq>, String> {
        let parse = |range: &String| {
            VersionReq::parse(range).map_err(|e| format!("{}: the range `{range}`: {e}", self.id))
        };
        self.vulnerable.iter().map(parse).collect()
    }
}

/// The advisories that a locked package falls under. A pre-release is judged like the release it precedes:
/// a version requirement would not match it at all.
fn advisory_problems(locked: &Locked, advisories: &[Advisory]) -> Result<Vec<String>, String> {
    let Locked { name, version, .. } = locked;
    let mut parsed = Version::parse(version).map_err(|e| format!("{name} {version}: {e}"))?;
    parsed.pre = Prerelease::EMPTY;
    let mut problems = Vec::new();
    for advisory in advisories.iter().filter(|advisory| advisory.name == *name) {
        if advisory.ranges()?.iter().any(|range| range.matches(&parsed)) {
            let Advisory {
                id,
                title,
                vulnerable,
                ..
            } = advisory;
            let ranges = vulnerable.join(" or ");
            problems.push(format!(
                "{name} {version} is vulnerable ({id}: {title}). Versions {ranges} are. \
                 Run `cargo update -p {name}@{version}`; if that changes nothing, raise the requirement of \
                 whatever asks for it (`cargo tree -i {name}@{version}`) or drop that crate."
            ));
        }
    }
    Ok(problems)
}

fn bullets(problems: &[String]) -> String {
    problems.iter().map(|problem| format!("\n- {problem}")).collect()
}

// ---- the tree as it is ----

#[test]
fn every_licence_can_be_satisfied_from_the_allow_list() {
    let metadata = metadata().unwrap_or_else(|why| panic!("{why}"));
    let allowed = allow_list().unwrap_or_else(|why| panic!("{why}"));
    let foreign = || {
        metadata
            .packages
            .iter()
            .filter(|package| !metadata.workspace_members.contains(&package.id))
    };
    assert!(
        foreign().count() > 50,
        "the tree looks too small to be true: {} packages",
        foreign().count()
    );

    let problems: Vec<String> = foreign()
        .filter_map(|package| licence_problem(package, &allowed))
        .collect();
    assert!(problems.is_empty(), "{}", bullets(&problems));
}

#[test]
fn every_locked_package_comes_from_the_default_registry_with_a_checksum() {
    let metadata = metadata().unwrap_or_else(|why| panic!("{why}"));
    let lockfile: Lockfile = read_toml("Cargo.lock").unwrap_or_else(|why| panic!("{why}"));
    let registry = default_registry(metadata).unwrap_or_else(|why| panic!("{why}"));
    let own = metadata
        .packages
        .iter()
        .filter(|package| metadata.workspace_members.contains(&package.id))
        .map(|package| package.name.as_str())
        .collect();

    let problems: Vec<String> = lockfile
        .package
        .iter()
        .filter_map(|locked| source_problem(locked, &own, &registry))
        .collect();
    assert!(problems.is_empty(), "{}", bullets(&problems));
}

#[test]
fn no_locked_version_has_a_known_vulnerability() {
    let lockfile: Lockfile = read_toml("Cargo.lock").unwrap_or_else(|why| panic!("{why}"));
    let list: AdvisoryList =
        read_toml("tests/supply_chain/advisories.toml").unwrap_or_else(|why| panic!("{why}"));

    let problems: Vec<String> = lockfile
        .package
        .iter()
        .flat_map(|locked| advisory_problems(locked, &list.advisory).expect("versions and ranges"))
        .collect();
    assert!(problems.is_empty(), "{}", bullets(&problems));
}

#[test]
fn the_advisory_list_is_well_formed() {
    let list: AdvisoryList =
        read_toml("tests/supply_chain/advisories.toml").unwrap_or_else(|why| panic!("{why}"));
    let mut last = (String::new(), String::new());
    for advisory in &list.advisory {
        let Advisory { id, name, title, .. } = advisory;
        assert!(
            id.starts_with("RUSTSEC-") || id.starts_with("GHSA-"),
            "{id} is not an advisory's id"
        );
        assert!(!title.is_empty(), "{id} has no title");
        assert!(
            !advisory.ranges().expect("ranges").is_empty(),
            "{id} names no vulnerable version"
        );
        let this = (name.clone(), id.clone());
        assert!(
            last < this,
            "{name} {id} is listed twice or out of order (by crate, then by id)"
        );
        last = this;
    }
}

// ---- the checks can fail ----

fn forged(license: Option<&str>) -> Package {
    Package {
        id: "forged".into(),
        name: "forged".into(),
        version: "1.2.3".into(),
        license: license.map(Into::into),
        dependencies: Vec::new(),
    }
}

fn forged_lock(name: &str, version: &str, source: Option<&str>, checksum: Option<&str>) -> Locked {
    Locked {
        name: name.into(),
        version: version.into(),
        source: source.map(Into::into),
        checksum: checksum.map(Into::into),
    }
}

#[test]
fn a_licence_outside_the_list_is_refused() {
    let allowed = allow_list().unwrap_or_else(|why| panic!("{why}"));
    let refused = [
        "GPL-3.0-only",
        "GPL-2.0-or-later",
        "AGPL-3.0-only",
        "LGPL-2.1-or-later",
        "MIT AND GPL-3.0-only",
        "Unlicense",
        "GPL-3.0-only WITH Classpath-exception-2.0",
        "MIT OR a licence of our own",
        "",
    ];
    for license in refused {
        let problem = licence_problem(&forged(Some(license)), &allowed);
        let problem = problem.unwrap_or_else(|| format!("`{license}` passed"));
        assert!(problem.starts_with("forged 1.2.3 has the licence"), "{problem}");
        assert!(problem.contains("deny.toml"), "{problem}");
    }
    let problem = licence_problem(&forged(None), &allowed).expect("a crate without a licence is refused");
    assert!(problem.starts_with("forged 1.2.3 names no licence"), "{problem}");
}

#[test]
fn a_licence_on_the_list_passes_however_it_is_written() {
    let allowed = allow_list().unwrap_or_else(|why| panic!("{why}"));
    let fine = [
        "MIT",
        "MIT/Apache-2.0",
        "Apache-2.0 / MIT",
        "MIT OR Apache-2.0 OR LGPL-2.1-or-later",
        "Unlicense OR MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception",
        "MIT AND (GPL-3.0-only OR BSD-3-Clause)",
    ];
    for license in fine {
        assert_eq!(licence_problem(&forged(Some(license)), &allowed), None);
    }
}

#[test]
fn a_foreign_source_or_a_missing_checksum_is_refused() {
    let own = BTreeSet::from(["ours"]);
    let problem = |source, checksum| {
        source_problem(
            &forged_lock("forged", "1.2.3", source, checksum),
            &own,
            "registry+default",
        )
    };
    assert_eq!(problem(Some("registry+default"), Some("00ff")), None);
    for (source, checksum, expected) in [
        (Some("registry+default"), None, "has no checksum"),
        (
            Some("registry+another"),
            Some("00ff"),
            "not from the default registry",
        ),
        (
            Some("git+https://example.org/forged?rev=1#1"),
            None,
            "not from the default registry",
        ),
        (None, None, "is taken from a path"),
    ] {
        let problem = problem(source, checksum).unwrap_or_else(|| format!("{source:?} passed"));
        assert!(
            problem.starts_with("forged 1.2.3 ") && problem.contains(expected),
            "{problem}"
        );
    }
    assert_eq!(
        source_problem(
            &forged_lock("ours", "0.1.0", None, None),
            &own,
            "registry+default"
        ),
        None
    );
}

#[test]
fn a_vulnerable_version_is_found() {
    let list: AdvisoryList =
        read_toml("tests/supply_chain/advisories.toml").unwrap_or_else(|why| panic!("{why}"));
    let found = |name, version| {
        let locked = forged_lock(name, version, None, None);
        advisory_problems(&locked, &list.advisory)
            .expect("a version")
            .join("\n")
    };
    let problem = found("h2", "0.4.3");
    assert!(
        problem.contains("h2 0.4.3 is vulnerable (RUSTSEC-2024-0332"),
        "{problem}"
    );
    assert!(
        problem.contains("RUSTSEC-2026-0258"),
        "every advisory is named: {problem}"
    );
    assert!(problem.contains("cargo update -p h2@0.4.3"), "{problem}");

    for (name, version) in [
        ("mio", "0.8.10"),
        ("tracing-subscriber", "0.3.19"),
        ("tokio", "1.38.0"),
        ("tokio", "1.43.0"),
        ("slab", "0.4.10"),
        ("slab", "0.4.10+metadata"),
    ] {
        assert_ne!(found(name, version), "", "{name} {version}");
    }
    for (name, version) in [
        ("mio", "0.8.11"),
        ("mio", "0.6.23"),
        ("tokio", "1.38.2"),
        ("slab", "0.4.9"),
    ] {
        assert_eq!(found(name, version), "");
    }
    assert_eq!(found("a-crate-nobody-warned-of", "0.1.0"), "");
}

#[test]
fn a_prerelease_of_a_vulnerable_version_is_found() {
    let list = [Advisory {
        id: "RUSTSEC-0000-0000".into(),
        name: "forged".into(),
        vulnerable: vec!["<1.0.0".into(), "=2.0.0".into()],
        title: "forged".into(),
    }];
    let problems = |version| advisory_problems(&forged_lock("forged", version, None, None), &list);
    assert_eq!(problems("2.0.0-rc.1").map(|found| found.len()), Ok(1));
    assert_eq!(problems("1.0.0").map(|found| found.len()), Ok(0));
    assert!(problems("not a version").is_err());
}
