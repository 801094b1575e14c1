//! The checks can fail: they find what is wrong with forged packages.

use std::collections::BTreeSet;

use super::{
    Advisory, AdvisoryList, Locked, Package, advisory_problems, allow_list, licence_problem, read_toml,
    source_problem,
};

fn forged(license: Option<&str>) -> Package {
    Package {
        name: "forged".into(),
        version: "1.2.3".into(),
        license: license.map(Into::into),
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
