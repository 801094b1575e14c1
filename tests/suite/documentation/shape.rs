//! The form of what a command prints, without what differs from run to run.

/// A text in which numbers, ids, keys and bars are all alike, and white space is one space.
pub fn shape(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let words = line.split_whitespace().map(word).filter(|word| !word.is_empty());
        let line = words.collect::<Vec<_>>().join(" ");
        // A command that took next to no time says no speed.
        line.replace("in less than 0 s", "in 0 s")
            .replace("in 0 s, 0 lines a second", "in 0 s")
    });
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// Whether what was printed has the form that is shown; `…` stands for anything.
pub fn has_shape(printed: &str, shown: &str) -> bool {
    let shape = |text: &str| shape(&text.replace("smk_…", "smk_"));
    let (printed, shown) = (shape(printed), shape(shown));
    let mut parts = shown.split('…').map(str::trim);
    let Some(first) = parts.next() else {
        return printed.is_empty();
    };
    let Some(mut rest) = printed.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in between {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The ids in a text, in their order.
pub fn ids(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let mut ids = Vec::new();
    let mut rest = letters.as_slice();
    while !rest.is_empty() {
        let length = uuid(rest).unwrap_or_default();
        let (id, behind) = rest.split_at(length.max(1));
        if length > 0 {
            ids.push(id.iter().collect());
        }
        rest = behind;
    }
    ids
}

/// The first API key in a text.
pub fn key(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("smk_")?;
    let secret: String = rest.chars().take_while(is_of_key).collect();
    (!secret.is_empty()).then(|| format!("smk_{secret}"))
}

fn is_of_key(letter: &char) -> bool {
    letter.is_ascii_alphanumeric() || "-_".contains(*letter)
}

fn word(word: &str) -> String {
    let letters: Vec<char> = word.chars().collect();
    let mut form = String::new();
    let mut rest = letters.as_slice();
    while let Some(letter) = rest.first() {
        let length = match (uuid(rest), letter) {
            (Some(length), _) => {
                form.push('U');
                length
            }
            (None, 's') if rest.starts_with(&['s', 'm', 'k', '_']) => {
                form.push_str("smk_");
                4 + rest.iter().skip(4).take_while(|letter| is_of_key(letter)).count()
            }
            (None, letter) if letter.is_ascii_digit() => {
                form.push('0');
                number(rest)
            }
            // Bars are as long as the numbers are large.
            (None, '▀'..='▟') => 1,
            (None, letter) => {
                form.push(*letter);
                1
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    form
}

/// The length of the number with which letters begin: `1,234.5` is one.
fn number(letters: &[char]) -> usize {
    let is_digit = |place: usize| letters.get(place).is_some_and(char::is_ascii_digit);
    let separates = |place: usize| matches!(letters.get(place), Some(',' | '.')) && is_digit(place + 1);
    (0..)
        .take_while(|place| is_digit(*place) || separates(*place))
        .count()
}

/// The length of the UUID with which letters begin.
fn uuid(letters: &[char]) -> Option<usize> {
    let text: String = letters.iter().take(36).collect();
    (text.len() == 36 && text.matches('-').count() == 4 && uuid::Uuid::parse_str(&text).is_ok()).then_some(36)
}

#[test]
fn forms_are_compared() {
    for (printed, shown) in [
        ("total 1,234  ████▍", "total  7 █"),
        (
            "key smk_aB-3_x id 84047196-ea33-4259-9a22-f60b2a8e5789",
            "key smk_… id ec51a1af-6ab8-4d86-abe5-c6a1d3604def",
        ),
        ("send 'Bearer smk_…'", "send 'Bearer smk_…'"),
        ("[{\"n\":1},{\"n\":2},{\"n\":3}]", "[{\"n\":5},…,{\"n\":6}]"),
        ("a\nb\nc\n", "a\n…"),
        ("in less than 0.1 s", "in 1.1 s, 141,278 lines a second"),
    ] {
        assert!(has_shape(printed, shown), "{printed:?} {shown:?}");
    }
    for (printed, shown) in [
        ("total 1", "total"),
        ("", "a"),
        ("a\nb", "a"),
        ("b\na", "a\n…"),
        ("[1,2]", "[1]x"),
    ] {
        assert!(!has_shape(printed, shown), "{printed:?} {shown:?}");
    }
}

#[test]
fn ids_and_keys_are_found() {
    let text = "id ec51a1af-6ab8-4d86-abe5-c6a1d3604def, key 'smk_aB-3_x'";
    assert_eq!(ids(text), ["ec51a1af-6ab8-4d86-abe5-c6a1d3604def"]);
    assert_eq!(key(text).as_deref(), Some("smk_aB-3_x"));
    assert_eq!(key("'Bearer smk_…'"), None);
}
