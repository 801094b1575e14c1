//! Windows against hand-checked cases, and against [`super::super::naive`].

use proptest::prelude::*;

use super::*;
use crate::series::{ending_at, naive};

fn zone(name: &str) -> Zone {
    Zone::new(name).unwrap()
}

fn window(zone_name: &str, unit: Unit, length: u32, ending_at: &str) -> Window {
    let last = ending_at::parse(ending_at).unwrap();
    Window::new(
        &zone(zone_name),
        unit,
        Length::new(length).unwrap(),
        Some(&last),
        0,
    )
}

fn labels(window: &Window) -> Vec<String> {
    window.labels().map(|label| label.to_string()).collect()
}

fn lengths(window: &Window) -> Vec<i64> {
    window.edges().windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn days_of_23_and_25_hours_are_one_point() {
    let spring = window("America/New_York", Unit::Day, 3, "2024-03-11");
    assert_eq!(labels(&spring), ["2024-03-09", "2024-03-10", "2024-03-11"]);
    assert_eq!(lengths(&spring), [86_400, 82_800, 86_400]);
    let autumn = window("America/New_York", Unit::Day, 2, "2024-11-03T23:59:59-05:00");
    assert_eq!(labels(&autumn), ["2024-11-02", "2024-11-03"]);
    assert_eq!(lengths(&autumn), [86_400, 90_000]);
}

#[test]
fn a_skipped_hour_is_no_point_and_a_repeated_one_is_two() {
    let spring = window("America/New_York", Unit::Hour, 3, "2024-03-10T03:30");
    assert_eq!(
        labels(&spring),
        [
            "2024-03-10T00:00:00-05:00",
            "2024-03-10T01:00:00-05:00",
            "2024-03-10T03:00:00-04:00"
        ]
    );
    let autumn = window("America/New_York", Unit::Hour, 3, "2024-11-03T02:00");
    assert_eq!(
        labels(&autumn),
        [
            "2024-11-03T01:00:00-04:00",
            "2024-11-03T01:00:00-05:00",
            "2024-11-03T02:00:00-05:00"
        ]
    );
    assert_eq!(
        labels(&window("America/New_York", Unit::Hour, 1, "2024-11-03T01:30")),
        ["2024-11-03T01:00:00-04:00"],
        "without an offset the first of two"
    );
    assert_eq!(
        labels(&window("America/New_York", Unit::Hour, 1, "2024-03-10T02:30")),
        ["2024-03-10T03:00:00-04:00"],
        "after the gap"
    );
}

#[test]
fn offsets_of_30_and_45_minutes_are_exact() {
    let kathmandu = window("Asia/Kathmandu", Unit::Hour, 2, "2024-01-01T00:10:00+05:45");
    assert_eq!(
        labels(&kathmandu),
        ["2023-12-31T23:00:00+05:45", "2024-01-01T00:00:00+05:45"]
    );
    assert_eq!(kathmandu.edges()[1] % 3600, 900);
    assert_eq!(
        window("Asia/Kolkata", Unit::Day, 1, "2024-01-01").edges()[0] % 3600,
        1800
    );
}

#[test]
fn lord_howes_half_hour_change_makes_short_points() {
    let autumn = window("Australia/Lord_Howe", Unit::Hour, 3, "2024-04-07T02:10");
    assert_eq!(
        labels(&autumn),
        [
            "2024-04-07T01:00:00+11:00",
            "2024-04-07T01:30:00+10:30",
            "2024-04-07T02:00:00+10:30"
        ]
    );
    assert_eq!(lengths(&autumn), [3600, 1800, 3600]);
    let spring = window("Australia/Lord_Howe", Unit::Hour, 3, "2024-10-06T03:00");
    assert_eq!(
        labels(&spring),
        [
            "2024-10-06T01:00:00+10:30",
            "2024-10-06T02:30:00+11:00",
            "2024-10-06T03:00:00+11:00"
        ]
    );
    assert_eq!(lengths(&spring), [3600, 1800, 3600]);
}

#[test]
fn a_date_that_the_zone_skipped_is_no_point() {
    let apia = window("Pacific/Apia", Unit::Day, 3, "2011-12-31");
    assert_eq!(labels(&apia), ["2011-12-28", "2011-12-29", "2011-12-31"]);
    assert_eq!(lengths(&apia), [86_400; 3]);
    assert_eq!(
        labels(&window("Pacific/Apia", Unit::Day, 1, "2011-12-30")),
        ["2011-12-31"]
    );
    assert_eq!(
        labels(&window("Pacific/Apia", Unit::Hour, 1, "2011-12-29")),
        ["2011-12-29T23:00:00-10:00"]
    );
}

#[test]
fn a_day_without_midnight_begins_at_one() {
    let day = window("America/Sao_Paulo", Unit::Day, 2, "2018-11-04");
    assert_eq!(lengths(&day), [86_400, 82_800]);
    assert_eq!(
        labels(&window("America/Sao_Paulo", Unit::Hour, 2, "2018-11-04T00:30")),
        ["2018-11-03T23:00:00-03:00", "2018-11-04T01:00:00-02:00"]
    );
}

#[test]
fn a_change_off_the_quarter_hour_takes_effect_at_the_next() {
    let spring = window("America/St_Johns", Unit::Hour, 3, "2010-03-14T01:30");
    assert_eq!(
        labels(&spring),
        [
            "2010-03-13T23:00:00-03:30",
            "2010-03-14T00:00:00-03:30",
            "2010-03-14T01:15:00-02:30"
        ]
    );
    assert_eq!(lengths(&spring), [3600, 900, 2700]);
    let autumn = window("America/St_Johns", Unit::Hour, 4, "2010-11-07T00:30:00-03:30");
    assert_eq!(
        labels(&autumn),
        [
            "2010-11-06T23:00:00-02:30",
            "2010-11-07T00:00:00-02:30",
            "2010-11-06T23:15:00-03:30",
            "2010-11-07T00:00:00-03:30"
        ]
    );
    let days = window("America/St_Johns", Unit::Day, 2, "2010-11-07");
    assert_eq!(lengths(&days), [86_400, 90_000]);
    assert_eq!(
        labels(&window(
            "America/St_Johns",
            Unit::Day,
            1,
            "2010-11-06T23:30:00-03:30"
        )),
        ["2010-11-07"]
    );
}

#[test]
fn the_ends_of_the_calendar() {
    for name in [
        "UTC",
        "Pacific/Kiritimati",
        "Pacific/Pago_Pago",
        "America/New_York",
    ] {
        let last = window(name, Unit::Day, 100, "9999-12-31");
        assert_eq!(labels(&last).last().unwrap(), "9999-12-31", "{name}");
        assert_eq!(last.edges().len(), 101);
        assert!(labels(&window(name, Unit::Hour, 100, "9999-12-31"))[99].starts_with("9999-12-31T23:00:00"));
        let first = window(name, Unit::Day, 100, "1970-01-01");
        assert_eq!(labels(&first)[0], "1969-09-24", "{name}");
    }
    assert_eq!(
        labels(&window("UTC", Unit::Hour, 1, "2018-06-28")),
        ["2018-06-28T23:00:00+00:00"]
    );
    assert_eq!(
        labels(&window("Africa/Monrovia", Unit::Hour, 1, "1971-06-01")),
        ["1971-06-01T23:00:00-00:45"]
    );
}

#[test]
fn now_is_the_default_end() {
    let now = 1_530_248_399_123;
    let window = Window::new(
        &zone("America/New_York"),
        Unit::Day,
        Length::new(1).unwrap(),
        None,
        now,
    );
    assert_eq!(labels(&window), ["2018-06-29"]);
}

fn any_zone() -> impl Strategy<Value = Zone> {
    prop::sample::select(Zone::all_names().collect::<Vec<_>>()).prop_map(|name| Zone::new(&name).unwrap())
}

/// Seconds of 1970 to 2040, often close to a change of the zone's offset.
fn any_zone_and_second() -> impl Strategy<Value = (Zone, i64)> {
    (
        any_zone(),
        10_000_000_i64..2_208_988_800,
        -200_000_i64..200_000,
        any::<bool>(),
    )
        .prop_map(|(zone, second, near, at_change)| {
            let change = zone.changes_after(second).next().filter(|_| at_change);
            let second = change.map_or(second, |(at, _)| (at + near).clamp(10_000_000, 4_000_000_000));
            (zone, second)
        })
}

fn check(zone: &Zone, unit: Unit, length: usize, second: i64, window: &Window) -> Result<(), TestCaseError> {
    let span = (length as i64 + 3) * if unit == Unit::Day { 86_400 } else { 3_600 } + 2 * 86_400;
    let (from, to) = (second - span, second + 3 * 86_400);
    let units = match unit {
        Unit::Day => naive::days(zone, from, to),
        Unit::Hour => naive::hours(zone, from, to),
    };
    let last = units.iter().rposition(|(start, _)| *start <= second).unwrap();
    let expected = &units[last + 1 - length..=last];
    let edges: Vec<i64> = expected
        .iter()
        .map(|(start, _)| *start)
        .chain([units[last + 1].0])
        .collect();
    let names: Vec<&str> = expected.iter().map(|(_, label)| label.as_str()).collect();
    prop_assert_eq!(
        window.edges(),
        &edges[..],
        "{} {:?} {}",
        zone.name(),
        unit,
        second
    );
    prop_assert_eq!(labels(window), names);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn windows_are_those_of_the_naive_walk((zone, second) in any_zone_and_second(), day in any::<bool>(), length in 1_u32..=100) {
        let unit = if day { Unit::Day } else { Unit::Hour };
        let last = EndingAt::Second(second);
        let window = Window::new(&zone, unit, Length::new(length).unwrap(), Some(&last), 0);
        check(&zone, unit, length as usize, second, &window)?;
    }

    #[test]
    fn local_times_are_resolved_as_the_naive_walk_does((zone, second) in any_zone_and_second(), length in 1_u32..=30) {
        let last = EndingAt::Local(second);
        let window = Window::new(&zone, Unit::Hour, Length::new(length).unwrap(), Some(&last), 0);
        check(&zone, Unit::Hour, length as usize, naive::resolve(&zone, second), &window)?;
    }
}
