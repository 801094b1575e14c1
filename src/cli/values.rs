//! Values that flags take, checked while the command line is read, so that a wrong one is a usage error.

use std::io::Write as _;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use crate::model::{Permissions, is_invisible};
use crate::series::Zone;

const MAX_PLATFORM_BYTES: usize = 64;

/// A network in CIDR notation, or one address.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let wrong =
        || format!("'{text}' is neither an address such as 203.0.113.7 nor a network such as 10.0.0.0/8");
    if !text.contains('/') {
        return text
            .parse::<IpAddr>()
            .map(|address| address.to_canonical().into())
            .map_err(|_| wrong());
    }
    let network: IpNet = text.parse().map_err(|_| wrong())?;
    if network.trunc() != network {
        return Err(format!(
            "'{text}' is an address inside a network; the network is {}",
            network.trunc()
        ));
    }
    Ok(unmapped(network))
}

/// `::ffff:10.0.0.0/104` as `10.0.0.0/8`: addresses are compared as IPv4 wherever they can be.
fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(six) = network else { return network };
    let four = six.addr().to_ipv4_mapped();
    let length = six.prefix_len().checked_sub(96);
    match (four, length) {
        (Some(address), Some(length)) => Ipv4Net::new(address, length).map_or(network, IpNet::V4),
        _ => network,
    }
}

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

/// Free text such as `ios`.
pub(super) fn platform(text: &str) -> Result<String, String> {
    if text.len() > MAX_PLATFORM_BYTES || text.chars().any(is_invisible) {
        return Err(format!(
            "a platform has at most {MAX_PLATFORM_BYTES} bytes, of characters that can be seen"
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_single_addresses_are_read() {
        for (text, network_text) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("203.0.113.7", "203.0.113.7/32"),
            ("203.0.113.7/32", "203.0.113.7/32"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
            ("::ffff:203.0.113.7", "203.0.113.7/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ] {
            assert_eq!(
                network(text).map(|net| net.to_string()).as_deref(),
                Ok(network_text),
                "{text}"
            );
        }
    }

    #[test]
    fn host_bits_are_answered_with_the_network() {
        assert_eq!(
            network("10.0.0.1/8"),
            Err("'10.0.0.1/8' is an address inside a network; the network is 10.0.0.0/8".to_owned())
        );
        assert!(network("2001:db8::1/64").unwrap_err().ends_with("2001:db8::/64"));
    }

    #[test]
    fn other_texts_are_no_networks() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "10.0.0.0/",
            "example.com",
            "10.0.0.0/255.0.0.0",
            "1.2.3.4:80",
        ] {
            assert!(
                network(text).unwrap_err().contains("neither an address"),
                "{text}"
            );
        }
    }

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
