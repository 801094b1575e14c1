//! The rules, as tables: a catalog, a change, and what comes of it.

use super::*;
use crate::model::{
    DEFAULT_RATE_LIMIT, Filter, Name, NewApp, NewKey, NewSegment, NewWorkspace, Permission, Permissions,
    SegmentChange, SegmentNotes,
};

const NOW: i64 = 1_700_000_000_000;
const FILTER: &str = r#"{"field":"country","op":"eq","value":"BR"}"#;

/// Ids that tests can read: the number in the last digits.
fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(number: u32) -> T {
    format!("00000000-0000-4000-8000-{number:012}").parse().unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn workspace(number: u32, called: &str) -> Change {
    Change::CreateWorkspace(new_workspace(number, called))
}

fn new_workspace(number: u32, called: &str) -> NewWorkspace {
    NewWorkspace {
        id: id(number),
        name: name(called),
        time_zone: "UTC".into(),
    }
}

fn new_app(number: u32, called: &str) -> NewApp {
    NewApp {
        id: id(number),
        name: name(called),
        platform: "ios".into(),
    }
}

fn app(owner: u32, number: u32, called: &str) -> Change {
    Change::CreateApp(id(owner), new_app(number, called))
}

fn new_key(number: u32, called: &str) -> NewKey {
    NewKey {
        id: id(number),
        name: name(called),
        hash: KeyHash::from_bytes(&[number.to_le_bytes()[0]; 32]).unwrap(),
        permissions: Permissions::Only(vec![Permission::SessionsTrack]),
        allow: Vec::new(),
    }
}

fn key(owner: u32, number: u32, called: &str) -> Change {
    Change::CreateKey(id(owner), new_key(number, called))
}

fn segment(owner: u32, number: u32, called: &str, track: bool) -> Change {
    let new = NewSegment {
        id: id(number),
        name: name(called),
        notes: SegmentNotes::default(),
        filter: FILTER.parse().unwrap(),
        track,
    };
    Change::CreateSegment(id(owner), new)
}

fn limit(owner: u32, segments: u32) -> Change {
    let change = WorkspaceChange {
        segment_limit: Some(segments),
        ..WorkspaceChange::default()
    };
    Change::ChangeWorkspace(id(owner), change)
}

fn rename(owner: u32, to: &str) -> Change {
    let change = WorkspaceChange {
        name: Some(name(to)),
        ..WorkspaceChange::default()
    };
    Change::ChangeWorkspace(id(owner), change)
}

fn track(number: u32, on: bool) -> Change {
    let change = SegmentChange {
        track: Some(on),
        ..SegmentChange::default()
    };
    Change::ChangeSegment(id(number), change)
}

fn rename_segment(number: u32, to: &str) -> Change {
    let change = SegmentChange {
        name: Some(name(to)),
        ..SegmentChange::default()
    };
    Change::ChangeSegment(id(number), change)
}

fn made(changes: Vec<Change>) -> Records {
    let make = |records, change: Change| change.apply(records, NOW).unwrap().0;
    changes.into_iter().fold(Records::default(), make)
}

/// Two workspaces: the first has one of everything and a revoked key, the second an app and a segment.
fn two() -> Records {
    made(vec![
        workspace(1, "acme"),
        app(1, 11, "web"),
        key(1, 12, "server"),
        key(1, 13, "old"),
        Change::RevokeKey(id(13)),
        segment(1, 14, "Brazil", true),
        workspace(2, "other"),
        app(2, 21, "web"),
        segment(2, 24, "Brazil", false),
    ])
}

#[test]
fn what_is_taken_or_unknown_is_refused() {
    let taken = |noun, name: &str| Refusal::NameTaken {
        noun,
        name: name.into(),
    };
    let unknown = |noun, number| Refusal::Unknown {
        noun,
        id: id::<AppId>(number).to_string(),
    };
    let id_taken = |number| Refusal::IdTaken(id::<AppId>(number).to_string());
    let table = [
        (workspace(3, "acme"), taken("workspace", "acme")),
        (rename(2, "acme"), taken("workspace", "acme")),
        (app(1, 15, "web"), taken("app", "web")),
        (key(1, 15, "server"), taken("key", "server")),
        (segment(1, 15, "Brazil", false), taken("segment", "Brazil")),
        // Ids are unique whatever they name, and whoever has them.
        (workspace(11, "new"), id_taken(11)),
        (app(1, 24, "new"), id_taken(24)),
        (key(1, 2, "new"), id_taken(2)),
        (key(1, 13, "new"), id_taken(13)),
        (segment(1, 12, "new", false), id_taken(12)),
        (app(9, 15, "new"), unknown("workspace", 9)),
        (key(9, 15, "new"), unknown("workspace", 9)),
        (segment(9, 15, "new", false), unknown("workspace", 9)),
        (limit(9, 1), unknown("workspace", 9)),
        (Change::RenameApp(id(9), name("new")), unknown("app", 9)),
        (Change::RevokeKey(id(9)), unknown("key", 9)),
        (track(9, true), unknown("segment", 9)),
        (Change::DeleteWorkspace(id(9)), unknown("workspace", 9)),
        (Change::DeleteApp(id(1)), unknown("app", 1)),
        (Change::DeleteSegment(id(9)), unknown("segment", 9)),
    ];
    for (change, refusal) in table {
        assert_eq!(change.clone().apply(two(), NOW), Err(refusal), "{change:?}");
    }
}

#[test]
fn names_are_free_elsewhere_and_where_nobody_has_them_any_more() {
    for change in [
        app(2, 31, "server"),
        key(2, 31, "server"),
        key(1, 31, "old"),
        segment(2, 31, "Mexico", false),
        rename(1, "acme"),
        Change::RenameApp(id(11), name("web")),
        rename_segment(14, "Brazil"),
    ] {
        assert!(change.clone().apply(two(), NOW).is_ok(), "{change:?}");
    }
    let mut changes = [
        Change::RenameApp(id(11), name("site")),
        app(1, 31, "web"),
        Change::RevokeKey(id(12)),
        key(1, 32, "server"),
        Change::DeleteSegment(id(14)),
        segment(1, 33, "Brazil", true),
    ]
    .into_iter();
    let after = changes.try_fold(two(), |records, change| {
        change.apply(records, NOW).map(|(after, _)| after)
    });
    assert_eq!(after.unwrap().apps.len(), 3);
    let renamed = Change::RenameApp(id(31), name("site")).apply(
        made(vec![workspace(1, "acme"), app(1, 11, "site"), app(1, 31, "web")]),
        NOW,
    );
    assert!(matches!(renamed, Err(Refusal::NameTaken { noun: "app", .. })));
}

#[test]
fn a_limit_refuses_one_more_tracked_segment_and_takes_none_away() {
    let limited = |limited_to| {
        let mut changes = vec![workspace(1, "acme"), segment(1, 11, "a", true)];
        changes.extend([segment(1, 12, "b", true), segment(1, 13, "c", false)]);
        changes.extend([
            workspace(2, "other"),
            segment(2, 21, "a", true),
            limit(1, limited_to),
        ]);
        made(changes)
    };
    let full = Refusal::TooManyTracked { tracked: 2, limit: 2 };
    assert_eq!(track(13, true).apply(limited(2), NOW), Err(full.clone()));
    assert_eq!(segment(1, 14, "d", true).apply(limited(2), NOW), Err(full));
    for (change, limited_to) in [
        (segment(1, 14, "d", false), 2),
        (track(12, true), 1),
        (rename_segment(12, "e"), 1),
        (track(12, false), 1),
        (segment(2, 14, "d", true), 1),
        (track(13, true), 3),
        (segment(1, 14, "d", true), 0),
    ] {
        let result = change.clone().apply(limited(limited_to), NOW);
        assert!(result.is_ok(), "{change:?}: {result:?}");
    }
}

#[test]
fn a_change_names_the_rows_that_are_different() {
    let later = NOW + 1;
    let apply = |change: Change| change.apply(two(), later).unwrap().1;
    assert!(apply(rename(1, "acme")).is_empty());
    assert!(apply(Change::RevokeKey(id(13))).is_empty(), "revoked before");
    assert!(apply(Change::Adopt(two())).is_empty());
    let revoked = apply(Change::RevokeKey(id(12)));
    let [key] = &revoked.saved.keys[..] else {
        panic!("{revoked:?}")
    };
    assert_eq!((key.revoked_at, key.created_at), (Some(later), NOW));
    let tracked = apply(track(14, false));
    let [segment] = &tracked.saved.segments[..] else {
        panic!("{tracked:?}")
    };
    let at = (segment.tracked, segment.created_at, segment.updated_at);
    assert_eq!(at, (false, NOW, later));
    let (after, deleted) = Change::DeleteWorkspace(id(1)).apply(two(), later).unwrap();
    assert!(deleted.saved.is_empty());
    let removed = &deleted.removed;
    let counts = [
        removed.workspaces.len(),
        removed.apps.len(),
        removed.keys.len(),
        removed.segments.len(),
    ];
    assert_eq!(counts, [1, 1, 2, 1]);
    assert_eq!(
        (after.workspaces.len(), after.apps.len(), after.segments.len()),
        (1, 1, 1)
    );
    // Put back, as a store does where a session came meanwhile.
    let (back, _) = Change::Adopt(deleted.removed).apply(after, later).unwrap();
    assert_eq!(Catalog::new(&back).0.workspaces().len(), 2);
}

#[test]
fn limits_of_requests_change_one_by_one() {
    let change = WorkspaceChange {
        recording_limit: Some(0),
        time_zone: Some("Asia/Tokyo".into()),
        ..WorkspaceChange::default()
    };
    let (after, _) = Change::ChangeWorkspace(id(1), change).apply(two(), NOW).unwrap();
    let changed = &after.workspaces[0];
    assert_eq!(
        (changed.export_limit, changed.recording_limit),
        (DEFAULT_RATE_LIMIT, 0)
    );
    assert_eq!(
        (changed.time_zone.as_str(), changed.name.as_str()),
        ("Asia/Tokyo", "acme")
    );
}

#[test]
fn only_an_empty_store_gets_its_first_workspace_whole() {
    let first = || Change::First(new_workspace(1, "w"), new_app(2, "a"), new_key(3, "k"));
    let (after, changed) = first().apply(Records::default(), NOW).unwrap();
    assert_eq!(after, changed.saved);
    assert_eq!(
        (after.workspaces.len(), after.apps.len(), after.keys.len()),
        (1, 1, 1)
    );
    assert!(first().apply(two(), NOW).unwrap().1.is_empty());
    let clash = Change::First(new_workspace(1, "w"), new_app(2, "a"), new_key(1, "k"));
    assert!(matches!(
        clash.apply(Records::default(), NOW),
        Err(Refusal::IdTaken(_))
    ));
    let unreadable = LeftOut {
        noun: "workspace",
        id: id::<AppId>(1).to_string(),
        why: "it is from tomorrow".into(),
    };
    let records = Records {
        unreadable: vec![unreadable],
        ..Records::default()
    };
    assert!(first().apply(records.clone(), NOW).unwrap().1.is_empty());
    // What can't be read keeps its id.
    assert!(matches!(
        workspace(1, "w").apply(records, NOW),
        Err(Refusal::IdTaken(_))
    ));
}

#[test]
fn what_can_not_be_read_is_left_out_and_the_rest_is_there() {
    type Spoil = fn(&mut Records);
    let table: [(Spoil, &str, &str); 7] = [
        (
            |all| all.workspaces[0].time_zone = "Mars/Olympus".into(),
            "workspace",
            "time zone",
        ),
        (
            |all| all.workspaces[0].name = String::new(),
            "workspace",
            "characters",
        ),
        (|all| all.apps[0].id = "nothing".into(), "app", "no id"),
        (
            |all| all.keys[0].permissions = vec!["sessions.dream".into()],
            "key",
            "sessions.dream",
        ),
        (|all| all.keys[0].hash = vec![1], "key", "32 bytes"),
        (
            |all| all.segments[0].filter = r#"{"field":"mood"}"#.into(),
            "segment",
            "no filter",
        ),
        (
            |all| all.segments[0].tags = vec![String::new()],
            "segment",
            "a tag",
        ),
    ];
    for (spoil, noun, why) in table {
        let mut records = two();
        spoil(&mut records);
        let (catalog, left_out) = Catalog::new(&records);
        let [one] = &left_out[..] else {
            panic!("{left_out:?}")
        };
        assert_eq!(one.noun, noun);
        assert!(one.to_string().contains(why), "{one}");
        let rest = catalog.workspaces().last().unwrap();
        assert_eq!((rest.apps.len(), rest.segments.len()), (1, 1));
        assert_eq!(
            catalog.workspaces().len(),
            if noun == "workspace" { 1 } else { 2 }
        );
        let readable = catalog.app(id(11)).is_some();
        assert_eq!(readable, !matches!(noun, "workspace" | "app"), "{one}");
        assert_eq!(one.hides_sessions(), !readable);
        let authenticates = catalog.authenticate(&new_key(12, "server").hash).is_some();
        assert_eq!(authenticates, !matches!(noun, "workspace" | "key"), "{one}");
        assert!(
            catalog.authenticate(&new_key(13, "old").hash).is_none(),
            "revoked"
        );
    }
}

#[test]
fn filters_are_kept_as_they_are_written() {
    let change = SegmentChange {
        filter: Some(r#"{"field":"country","op":"in","value":["MX"]}"#.parse::<Filter>().unwrap()),
        notes: Some(SegmentNotes::new("far".into(), vec!["t".into()]).unwrap()),
        ..SegmentChange::default()
    };
    let (after, _) = Change::ChangeSegment(id(14), change).apply(two(), NOW).unwrap();
    let (catalog, _) = Catalog::new(&after);
    let segment = catalog.workspaces()[0].segment(id(14)).unwrap().clone();
    assert!(segment.filter.to_json().contains("MX") && segment.tracked);
    assert_eq!(segment.notes.description(), "far");
}
