//! Versions: compared by their numeric parts.

use std::cmp::Ordering;

/// `17.4.1-beta` as the parts 17, 4, 1 and the rest `-beta`. A `v` in front of the first digit is passed over.
#[derive(Debug)]
pub(super) struct Version<'a> {
    /// Digits without leading zeros, so that they can be as long as they like; zeros at the end are left out.
    parts: Vec<&'a str>,
    rest: &'a str,
}

impl<'a> Version<'a> {
    pub(super) fn read(text: &'a str) -> Self {
        let mut rest = match text.strip_prefix(['v', 'V']) {
            Some(number) if starts_with_digit(number) => number,
            _ => text,
        };
        let mut parts = Vec::new();
        while starts_with_digit(rest) {
            let end = rest
                .find(|character: char| !character.is_ascii_digit())
                .unwrap_or(rest.len());
            let (digits, after) = rest.split_at(end);
            parts.push(digits.trim_start_matches('0'));
            rest = match after.strip_prefix('.') {
                Some(next) if starts_with_digit(next) => next,
                _ => {
                    rest = after;
                    break;
                }
            };
        }
        // `4.10` and `4.10.0` are one version; a first part of zero stays, since it makes this a version.
        while parts.len() > 1 && parts.last() == Some(&"") {
            parts.pop();
        }
        Self { parts, rest }
    }

    /// Whether there is a number to compare.
    pub(super) fn is_numeric(&self) -> bool {
        !self.parts.is_empty()
    }

    /// By numeric parts; `None` where one of the two has none.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        if !self.is_numeric() || !other.is_numeric() {
            return None;
        }
        let length = self.parts.len().max(other.parts.len());
        let part = |version: &Self, at: usize| version.parts.get(at).copied().unwrap_or("");
        let by_part = |at: usize| {
            let (one, two) = (part(self, at), part(other, at));
            one.len().cmp(&two.len()).then_with(|| one.cmp(two))
        };
        Some(
            (0..length)
                .map(by_part)
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal),
        )
    }

    /// The same numeric parts and the same rest.
    pub(super) fn equals(&self, other: &Self) -> bool {
        self.parts == other.parts && self.rest == other.rest
    }
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|character: char| character.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(one: &str, two: &str) -> Option<Ordering> {
        let (one, two) = (Version::read(one), Version::read(two));
        let order = one.compare(&two);
        assert_eq!(two.compare(&one), order.map(Ordering::reverse));
        order
    }

    #[test]
    fn numeric_parts_decide() {
        for (less, more) in [
            ("4.9", "4.10"),
            ("4.9.9", "4.10"),
            ("9", "10.0.0"),
            ("0.9", "1"),
            ("4.10", "4.10.1"),
            ("v4.9", "4.10"),
            ("1.99999999999999999999999", "1.100000000000000000000000"),
            ("17.4.1 (21E236)", "17.5"),
            ("4.9-rc1", "4.10-rc1"),
        ] {
            assert_eq!(compare(less, more), Some(Ordering::Less), "{less} {more}");
        }
        for (one, two) in [
            ("4.10", "4.10.0"),
            ("4.010", "4.10"),
            ("4.10-rc1", "4.10"),
            ("4.10.", "4.10"),
            ("0", "0.0"),
        ] {
            assert_eq!(compare(one, two), Some(Ordering::Equal), "{one} {two}");
        }
    }

    #[test]
    fn a_text_without_a_number_is_neither_more_nor_less() {
        for text in ["", "beta", "x1.2", "-1", "v", ".5", "٤"] {
            assert_eq!(compare(text, "1"), None, "{text}");
            assert!(Version::read(text).equals(&Version::read(text)));
        }
    }

    #[test]
    fn equal_means_the_rest_as_well() {
        let equal = |one, two| Version::read(one).equals(&Version::read(two));
        assert!(equal("4.10", "4.10.0") && equal("4.10-beta", "4.10.0-beta"));
        assert!(!equal("4.10", "4.10-beta") && !equal("4.1", "4.10") && !equal("beta", "Beta"));
    }
}
