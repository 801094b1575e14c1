//! In which language a page speaks, and how it writes numbers: chosen by the browser's language and region, since Spanish
//! numbers are not written alike everywhere.

use std::fmt::Write as _;

/// A language that pages speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// English.
    English,
    /// Spanish.
    Spanish,
}

impl Language {
    /// Its code, as `lang` attributes have it.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Spanish => "es",
        }
    }

    /// Of a language tag such as `es-MX`.
    pub(super) fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next().unwrap_or(tag);
        [Self::English, Self::Spanish]
            .into_iter()
            .find(|language| primary.eq_ignore_ascii_case(language.code()))
    }
}

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Locale {
    /// The language of texts.
    pub(super) language: Language,
    group: char,
    decimal: char,
    /// Digits from which on a number is grouped.
    grouped_from: usize,
    percent: &'static str,
}

const NO_BREAK_SPACE: char = '\u{a0}';

/// Where Spanish numbers are written as English ones are.
const LIKE_ENGLISH: [&str; 12] = [
    "419", "MX", "US", "PE", "GT", "HN", "NI", "PA", "PR", "SV", "DO", "CU",
];
/// Where they are written with points and without a space before the percent sign.
const SOUTHERN: [&str; 8] = ["AR", "BO", "CL", "CO", "EC", "PY", "UY", "VE"];

impl Locale {
    /// For a language and a region such as `MX`; an unknown region is the language's usual one.
    pub(super) fn new(language: Language, region: &str) -> Self {
        let like_english = Self {
            language,
            group: ',',
            decimal: '.',
            grouped_from: 4,
            percent: "%",
        };
        let region = region.to_ascii_uppercase();
        if language == Language::English || LIKE_ENGLISH.contains(&region.as_str()) {
            return like_english;
        }
        let southern = Self {
            group: '.',
            decimal: ',',
            ..like_english
        };
        if SOUTHERN.contains(&region.as_str()) {
            return southern;
        }
        if region == "CR" {
            return Self {
                group: NO_BREAK_SPACE,
                ..southern
            };
        }
        Self {
            grouped_from: 5,
            percent: "\u{a0}%",
            ..southern
        }
    }

    /// By what somebody chose before, and by the header `Accept-Language`.
    pub(super) fn choose(chosen: Option<Language>, accepted: &str) -> Self {
        let mut tags: Vec<(f32, &str)> = accepted.split(',').filter_map(weighted).collect();
        tags.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let found = tags.into_iter().find_map(|(_, tag)| {
            let language = Language::of_tag(tag)?;
            let is_chosen = chosen.is_none_or(|chosen| chosen == language);
            is_chosen.then(|| (language, region(tag)))
        });
        match found {
            Some((language, region)) => Self::new(language, region),
            None => Self::new(chosen.unwrap_or(Language::English), ""),
        }
    }

    /// A whole number, never rounded.
    pub(super) fn whole(self, number: u64) -> String {
        let digits = number.to_string();
        if digits.len() < self.grouped_from {
            return digits;
        }
        let mut text = String::with_capacity(digits.len() + digits.len() / 3);
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push(self.group);
            }
            text.push(digit);
        }
        text
    }

    /// A number that is not negative, with this many decimals.
    pub(super) fn decimals(self, number: f64, decimals: usize) -> String {
        let rounded = format!("{number:.decimals$}");
        let (whole, fraction) = rounded.split_once('.').unwrap_or((&rounded, ""));
        let mut text = whole
            .parse()
            .map_or_else(|_| whole.to_owned(), |whole| self.whole(whole));
        if !fraction.is_empty() {
            let _ = write!(text, "{}{fraction}", self.decimal);
        }
        text
    }

    /// A share such as 0.056, as `5.6%`.
    pub(super) fn percent(self, share: f64) -> String {
        format!("{}{}", self.decimals(share * 100.0, 1), self.percent)
    }

    /// For an axis, where large numbers are told short: `2.5 m`.
    pub(super) fn short(self, number: f64) -> String {
        let (shown, unit) = match (number, self.language) {
            (number, _) if number < 10_000_000.0 => {
                let decimals = if number.fract() == 0.0 { 0 } else { 2 };
                let text = self.decimals(number, decimals);
                return match decimals {
                    0 => text,
                    _ => text.trim_end_matches('0').to_owned(),
                };
            }
            (number, Language::English) if number >= 1e9 => (number / 1e9, "bn"),
            (number, Language::English) => (number / 1e6, "m"),
            (number, Language::Spanish) => (number / 1e6, "mill."),
        };
        let decimals = if shown.fract() == 0.0 { 0 } else { 1 };
        format!("{}{NO_BREAK_SPACE}{unit}", self.decimals(shown, decimals))
    }
}

/// A tag of `Accept-Language` with its weight.
fn weighted(entry: &str) -> Option<(f32, &str)> {
    let mut parts = entry.split(';').map(str::trim);
    let tag = parts.next().filter(|tag| !tag.is_empty())?;
    let weight = parts.find_map(|part| part.strip_prefix("q="));
    let weight = weight.map_or(Some(1.0), |weight| weight.parse::<f32>().ok())?;
    (weight > 0.0).then_some((weight, tag))
}

/// The region of a tag, after a script if there is one.
fn region(tag: &str) -> &str {
    let mut parts = tag.split('-').skip(1);
    let is_region =
        |part: &&str| part.len() == 2 || (part.len() == 3 && part.bytes().all(|b| b.is_ascii_digit()));
    parts.find(is_region).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(accepted: &str) -> [String; 4] {
        let locale = Locale::choose(None, accepted);
        [
            locale.whole(1_234),
            locale.decimals(12_345.6, 1),
            locale.whole(1_234_567),
            locale.percent(0.056),
        ]
    }

    // As ICU writes them.
    #[test]
    fn numbers_are_written_as_the_region_writes_them() {
        for (accepted, expected) in [
            ("en", ["1,234", "12,345.6", "1,234,567", "5.6%"]),
            ("en-GB", ["1,234", "12,345.6", "1,234,567", "5.6%"]),
            ("es", ["1234", "12.345,6", "1.234.567", "5,6\u{a0}%"]),
            ("es-ES,es;q=0.9", ["1234", "12.345,6", "1.234.567", "5,6\u{a0}%"]),
            ("es-MX", ["1,234", "12,345.6", "1,234,567", "5.6%"]),
            ("es-Latn-US", ["1,234", "12,345.6", "1,234,567", "5.6%"]),
            ("es-419", ["1,234", "12,345.6", "1,234,567", "5.6%"]),
            ("es-ar", ["1.234", "12.345,6", "1.234.567", "5,6%"]),
            (
                "es-CR",
                ["1\u{a0}234", "12\u{a0}345,6", "1\u{a0}234\u{a0}567", "5,6%"],
            ),
        ] {
            assert_eq!(written(accepted), expected, "{accepted}");
        }
    }

    #[test]
    fn what_was_chosen_comes_before_what_the_browser_prefers() {
        let language = |chosen, accepted| Locale::choose(chosen, accepted).language;
        assert_eq!(language(None, ""), Language::English);
        assert_eq!(language(None, "fr, es;q=0.5, en;q=0.4"), Language::Spanish);
        assert_eq!(language(None, "en;q=0.4,es;q=0.5"), Language::Spanish);
        assert_eq!(language(None, "es;q=0"), Language::English);
        assert_eq!(language(None, "de-DE;q=x,;;,"), Language::English);
        let mexican = Locale::choose(Some(Language::Spanish), "en-US, es-MX;q=0.5");
        assert_eq!(mexican.percent(0.5), "50.0%");
        assert_eq!(language(Some(Language::Spanish), "en"), Language::Spanish);
    }

    #[test]
    fn axes_tell_large_numbers_short() {
        let english = Locale::new(Language::English, "");
        let spanish = Locale::new(Language::Spanish, "");
        for (number, short) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (0.5, "0.5"),
            (2_500.0, "2,500"),
            (9_500_000.0, "9,500,000"),
            (12_500_000.0, "12.5\u{a0}m"),
            (20_000_000.0, "20\u{a0}m"),
            (2_500_000_000.0, "2.5\u{a0}bn"),
        ] {
            assert_eq!(english.short(number), short);
        }
        assert_eq!(spanish.short(12_500_000.0), "12,5\u{a0}mill.");
        assert_eq!(spanish.short(0.5), "0,5");
    }
}
