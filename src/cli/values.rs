//! Values that flags take, checked while the command line is read, so that a wrong one is a usage error.

use std::io::Write as _;

use crate::model::Permissions;
pub(super) use crate::model::{network, platform};
use crate::series::Zone;

/// The canonical name of an IANA time zone.
pub(super) fn time_zone(text: &str) -> Result<String, String> {
    match Zone::new(text) {
        Some(zone) => Ok(zone.name().to_owned()),
        None => Err(match similar_zone(text) {
            Some(name) => format!("unknown time zone; did you mean {name}?"),
            None => "unknown time zone; give an IANA name such as Europe/Berlin or UTC".to_owned(),
        }),
    }
}

/// Says what a zone without rules means, where another is more likely meant.
pub(super) fn warn_of_zone(name: &str) {
    if let Some(warning) = zone_without_rules(name) {
        // Nobody is left to be warned if that fails.
        let _ = writeln!(std::io::stderr(), "sessionmeter: warning: {warning}");
    }
}

/// What is to be known of a zone whose clocks never change although those of the people who live there do.
fn zone_without_rules(name: &str) -> Option<String> {
    let city = match name {
        "EST" => Some("America/New_York"),
        "MST" => Some("America/Denver"),
        "HST" => Some("Pacific/Honolulu"),
        _ => None,
    };
    if let Some(city) = city {
        return Some(format!(
            "{name} has one offset all year and no daylight saving time; give the zone of a city, such as {city}, for the \
             clocks of people"
        ));
    }
    let hours = name
        .strip_prefix("Etc/GMT")
        .filter(|hours| hours.trim_start_matches(['+', '-']) != "0")?;
    let (side, hours) = match (hours.strip_prefix('+'), hours.strip_prefix('-')) {
        (Some(hours), _) => ("behind", hours),
        (_, Some(hours)) => ("ahead of", hours),
        _ => return None,
    };
    Some(format!(
        "{name} is {hours} hours {side} UTC all year, without daylight saving time; give the zone of a city, such as \
         America/New_York, for the clocks of people"
    ))
}

/// The zone of the city that was named: people write `Berlin`, or `New York`.
fn similar_zone(text: &str) -> Option<String> {
    let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let wanted = last(text).replace([' ', '-'], "_");
    Zone::all_names().find(|name| last(name) == wanted)
}

/// One name of a permission, or `all`.
pub(super) fn permission(text: &str) -> Result<String, String> {
    match Permissions::parse([text]) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_city_alone_is_answered_with_its_zone() {
        assert_eq!(time_zone("UTC").as_deref(), Ok("UTC"));
        assert_eq!(
            time_zone("New York"),
            Err("unknown time zone; did you mean America/New_York?".to_owned())
        );
        assert!(time_zone("Mars/Olympus").unwrap_err().contains("IANA name"));
    }

    #[test]
    fn zones_without_rules_are_told_from_those_with() {
        for name in ["EST", "MST", "HST", "Etc/GMT+5", "Etc/GMT-3"] {
            assert!(time_zone(name).is_ok());
            assert!(zone_without_rules(name).is_some(), "{name}");
        }
        for name in [
            "UTC",
            "Etc/UTC",
            "Etc/GMT",
            "Etc/GMT+0",
            "GMT",
            "EST5EDT",
            "CET",
            "Japan",
            "America/Phoenix",
        ] {
            assert!(zone_without_rules(name).is_none(), "{name}");
        }
        let ahead = zone_without_rules("Etc/GMT-3").unwrap();
        assert!(ahead.contains("3 hours ahead of UTC"), "{ahead}");
    }

    #[test]
    fn permissions_are_checked_one_by_one() {
        assert!(permission("all").is_ok());
        assert!(permission("sessions.track").is_ok());
        assert!(permission("sessions").unwrap_err().contains("'sessions.track'"));
    }
}
