//! Networks that people write into allow-lists.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// A network in CIDR notation, or one address.
///
/// # Errors
/// Says what would be right.
pub fn network(text: &str) -> Result<IpNet, String> {
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
}
