//! Values as literals of the server's SQL.

use crate::model::AppId;

/// A text as a literal.
pub(super) fn quoted(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('\'');
    for character in text.chars() {
        match character {
            '\\' => literal.push_str("\\\\"),
            '\'' => literal.push_str("\\'"),
            '\0' => literal.push_str("\\0"),
            other => literal.push(other),
        }
    }
    literal.push('\'');
    literal
}

/// Texts as an array. The server reads one long literal several times as fast as many short ones.
pub(super) fn array<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts: Vec<&str> = texts.into_iter().collect();
    if texts.is_empty() || texts.iter().any(|text| text.contains('\n')) {
        return format!("[{}]", list(texts.into_iter().map(quoted)));
    }
    format!("splitByChar('\\n', {})", quoted(&texts.join("\n")))
}

/// Apps as literals.
pub(super) fn literals(apps: impl IntoIterator<Item = AppId>) -> String {
    list(apps.into_iter().map(|app| format!("toUUID('{app}')")))
}

/// Literals with commas between them.
pub(super) fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    texts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_literals_that_say_the_same() {
        assert_eq!(quoted("a'b\\c\0d"), r"'a\'b\\c\0d'");
        assert_eq!(list([1, 2, 3]), "1,2,3");
        assert_eq!(array(["a", "b'"]), "splitByChar('\\n', 'a\nb\\'')");
        assert_eq!(array(["a", "b\n"]), "['a','b\n']");
    }
}
