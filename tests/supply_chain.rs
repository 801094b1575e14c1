//! What may enter the dependency tree, checked without a network and without an extra tool:
//!
//! - every crate's licence can be satisfied from the list in `deny.toml`;
//! - every locked crate comes from the default registry and has a checksum;
//! - no locked version is in a vulnerable range of `supply_chain/advisories.toml`.
//!
//! The checks are plain functions over parsed data, so that tests can hand them forged packages
//! (`forged`) and see them fail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "supply_chain/forged.rs"]
mod forged;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use semver::{Prerelease, Version, VersionReq};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use spdx::{Expression, Licensee, ParseMode};

// ---- what is read ----

/// The part of `cargo metadata` that is looked at.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Manifest>,
}

#[derive(Deserialize)]
struct Manifest {
    name: String,
    dependencies: Vec<Dependency>,
}

/// A package of the tree, as `cargo tree` shows it.
struct Package {
    name: String,
    version: String,
    license: Option<String>,
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
    graph: DenyGraph,
    licenses: DenyLicenses,
}

/// The platforms for which the product is built.
#[derive(Deserialize)]
struct DenyGraph {
    targets: Vec<String>,
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

/// This package alone.
fn metadata() -> Result<Metadata, String> {
    let text = cargo(&[
        "metadata",
        "--format-version=1",
        "--no-deps",
        "--locked",
        "--offline",
    ])?;
    serde_json::from_str(&text).map_err(|e| format!("`cargo metadata` can't be read: {e}"))
}

/// Every package of the tree, for all platforms that `deny.toml` names: what is asked for on others only is in no binary.
/// A developer's machine may have fetched only the packages of its own platform; those are then looked at alone. CI
/// fetches everything and takes no such short cut.
fn tree() -> Result<Vec<Package>, String> {
    const ASK: [&str; 8] = [
        "tree",
        "--locked",
        "--offline",
        "--all-features",
        "--edges=normal,build,dev",
        "--prefix=none",
        "--format={p}|{l}",
        "--no-dedupe",
    ];
    let config: DenyConfig = read_toml("deny.toml")?;
    let targets: Vec<String> = config
        .graph
        .targets
        .iter()
        .map(|target| format!("--target={target}"))
        .collect();
    let everything: Vec<&str> = ASK
        .into_iter()
        .chain(targets.iter().map(String::as_str))
        .collect();
    let fetch = |why| format!("run `cargo fetch --locked` first; cargo says: {why}");
    let text = match cargo(&everything) {
        Ok(text) => text,
        Err(why) if env::var_os("CI").is_some() => return Err(fetch(why)),
        Err(_) => cargo(&ASK).map_err(fetch)?,
    };
    let lines: BTreeSet<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    lines.into_iter().map(package_of).collect()
}

/// `name v1.2.3 (proc-macro)|MIT`
fn package_of(line: &str) -> Result<Package, String> {
    let parts = || {
        let (package, license) = line.split_once('|')?;
        let mut words = package.split(' ');
        let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
        Some(Package {
            name: name.into(),
            version: version.into(),
            license: (!license.is_empty()).then(|| license.into()),
        })
    };
    parts().ok_or_else(|| format!("`cargo tree` printed `{line}`"))
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
    let packages = tree().unwrap_or_else(|why| panic!("{why}"));
    let allowed = allow_list().unwrap_or_else(|why| panic!("{why}"));
    assert!(
        packages.len() > 50,
        "the tree looks too small to be true: {} packages",
        packages.len()
    );

    let problems: Vec<String> = packages
        .iter()
        .filter_map(|package| licence_problem(package, &allowed))
        .collect();
    assert!(problems.is_empty(), "{}", bullets(&problems));
}

#[test]
fn every_locked_package_comes_from_the_default_registry_with_a_checksum() {
    let metadata = metadata().unwrap_or_else(|why| panic!("{why}"));
    let lockfile: Lockfile = read_toml("Cargo.lock").unwrap_or_else(|why| panic!("{why}"));
    let registry = default_registry(&metadata).unwrap_or_else(|why| panic!("{why}"));
    let own = metadata
        .packages
        .iter()
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
