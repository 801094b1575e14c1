//! JSON that is little else than brackets: a reader of JSON keeps a note for each one that is open.

/// How deep arrays and objects may stand in each other. Nothing that is accepted anywhere is deeper than ten.
const MAX_DEPTH: usize = 128;
/// Up to this size those notes are small.
const HARMLESS: usize = 4 * 1024 * 1024;
/// With fewer brackets they are, too. Sessions have at most two each.
const FEW: usize = 1_000_000;

/// Whether a body is nested too deeply to be given to a reader. Bodies that are no valid JSON may pass.
pub(super) fn is_too_deep(json: &[u8]) -> bool {
    let is_suspicious = json.len() > HARMLESS && memchr::memchr2_iter(b'[', b'{', json).nth(FEW).is_some();
    is_suspicious && depth(json) > MAX_DEPTH
}

fn depth(json: &[u8]) -> usize {
    let mut open = 0_usize;
    let mut deepest = 0;
    let mut is_text = false;
    let mut is_escaped = false;
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'[' | b'{' if !is_text => {
                open += 1;
                deepest = deepest.max(open);
            }
            b']' | b'}' if !is_text => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_depth_is_that_of_brackets_outside_texts() {
        for (json, expected) in [
            ("1", 0),
            ("[]", 1),
            (r#"[{"a":[]},[]]"#, 3),
            (r#"["[[[[", "\"[[[[", "\\", []]"#, 2),
            ("]]]][", 1),
        ] {
            assert_eq!(depth(json.as_bytes()), expected, "{json}");
        }
    }

    #[test]
    fn only_large_and_deep_bodies_are_refused() {
        assert!(is_too_deep("[".repeat(5 << 20).as_bytes()));
        assert!(!is_too_deep("[".repeat(1 << 20).as_bytes()));
        assert!(!is_too_deep("[],".repeat(2 << 20).as_bytes()));
        assert!(!is_too_deep(format!("\"{}\"", "[".repeat(5 << 20)).as_bytes()));
    }
}
