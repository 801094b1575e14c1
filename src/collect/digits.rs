//! Numbers that lost digits: spreadsheets show long ones in scientific notation, and write them into files as they show
//! them.

use super::ItemError;

/// Digits that spreadsheets and other formatters keep where nobody says how many.
const KEPT: usize = 6;
/// Longer texts are no such numbers.
const LONGEST: usize = 24;

/// Whether a number in scientific notation says less than all digits before its point: `1.79546E+12` may be any of a
/// hundred million numbers. What programs write without a sign in the exponent is exact, unless it is that short.
pub(super) fn are_missing(text: &str) -> bool {
    if text.len() > LONGEST {
        return false;
    }
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let Some((mantissa, exponent)) = unsigned.split_once(['e', 'E']) else {
        return false;
    };
    let (whole, fraction) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, ""));
    let is_number = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return false;
    }
    let (digits, has_sign) = match exponent.strip_prefix('+') {
        Some(digits) => (digits, true),
        None => (exponent, false),
    };
    let Ok(exponent) = digits.parse::<usize>() else {
        return false;
    };
    let written = whole.len() + fraction.len();
    let needed = whole.len().saturating_add(exponent);
    written < needed && (has_sign || (written <= KEPT && (10..=16).contains(&needed)))
}

/// Refuses an id that is such a number: many ids look the same then, and sessions would be taken for one.
pub(super) fn check_id(name: &str, id: &str) -> Result<(), ItemError> {
    // Nobody's own ids look like this, programs' don't either.
    if id.contains('+') && are_missing(id) {
        Err(ItemError::new(format!(
            "'{name}' is a number whose digits are missing, as spreadsheets shorten long ones (format the column as text), \
             received '{id}'"
        )))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_spreadsheets_shorten_is_told_from_what_programs_write() {
        for text in [
            "1.79546E+12",
            "1,79546E+12",
            "1.79546e+09",
            "1.8E+12",
            "-1E+05",
            "17954.6E+8",
            "1.79546E12",
        ] {
            assert!(are_missing(text), "{text}");
        }
        for text in [
            "1.795461909123E+12",
            "1.530248399e9",
            "1.7954619E9",
            "1.795461909E+09",
            "0E+00",
            "1e3",
            "1795461909",
            "1.5",
            "E+12",
            "1E+",
            "1.2.3E+12",
            "abcE+12",
            "-1.5e300",
        ] {
            assert!(!are_missing(text), "{text}");
        }
    }
}
