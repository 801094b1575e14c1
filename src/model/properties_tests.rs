//! What is canonical, and what is refused.

use super::*;

fn text(value: &str) -> AttributeValue<'_> {
    AttributeValue::Text(value.into())
}

#[test]
fn the_canonical_text_does_not_depend_on_the_order_of_attributes() {
    let fields = PropertyFields {
        country: Some("br"),
        platform: Some("ios"),
        ..Default::default()
    };
    let one = Properties::new(
        &fields,
        vec![
            ("b".into(), text("x\"\n")),
            ("a".into(), AttributeValue::Bool(true)),
        ],
    )
    .unwrap();
    let two = Properties::new(
        &fields,
        vec![
            ("a".into(), AttributeValue::Bool(true)),
            ("b".into(), text("x\"\n")),
        ],
    )
    .unwrap();
    assert_eq!(one, two);
    assert_eq!(
        one.as_str(),
        r#"{"platform":"ios","country":"BR","attributes":{"a":true,"b":"x\"\u000a"}}"#
    );
    assert!(serde_json::from_str::<serde_json::Value>(one.as_str()).is_ok());
    assert_eq!(
        Properties::new(&PropertyFields::default(), vec![])
            .unwrap()
            .as_str(),
        "{}"
    );
}

#[test]
fn what_a_store_found_out_is_no_property() {
    for (stored, own) in [
        ("{}", "{}"),
        (r#"{"first_session":true}"#, "{}"),
        (
            r#"{"platform":"ios","first_session":false}"#,
            r#"{"platform":"ios"}"#,
        ),
        (
            r#"{"attributes":{"first_session":true},"first_session":true}"#,
            r#"{"attributes":{"first_session":true}}"#,
        ),
        (
            r#"{"attributes":{"first_session":true}}"#,
            r#"{"attributes":{"first_session":true}}"#,
        ),
        (
            r#"{"platform":"\"first_session\":true}"}"#,
            r#"{"platform":"\"first_session\":true}"}"#,
        ),
    ] {
        assert_eq!(Properties::from_stored(stored).as_str(), own);
    }
}

#[test]
fn language_tags_by_shape() {
    for good in [
        "en",
        "pt-BR",
        "zh-Hant-TW",
        "x-klingon",
        "sr-Latn-RS",
        "de-CH-1996",
        "es-419",
    ] {
        assert!(is_language_tag(good), "{good}");
    }
    for bad in [
        "",
        "e",
        "en_US",
        "en-",
        "-en",
        "toolonglanguage",
        "x",
        "en-toolongsubtag",
        "日本",
    ] {
        assert!(!is_language_tag(bad), "{bad}");
    }
}

#[test]
fn an_empty_field_is_as_good_as_absent() {
    let empty = Some("");
    let fields = PropertyFields {
        platform: empty,
        os_version: empty,
        app_version: empty,
        device_model: empty,
        ..Default::default()
    };
    assert_eq!(Properties::new(&fields, vec![]).unwrap().as_str(), "{}");
}

#[test]
fn limits_are_in_bytes_and_named() {
    let long = "é".repeat(33);
    let fields = PropertyFields {
        platform: Some(&long),
        ..Default::default()
    };
    assert_eq!(
        Properties::new(&fields, vec![]).unwrap_err().to_string(),
        "'platform' must have at most 64 bytes, received 66"
    );
    let none = PropertyFields::default();
    let long_value = "x".repeat(257);
    let cases = [
        (
            vec![("a".into(), text(&long_value))],
            "'attributes.a' must have at most 256 bytes, received 257",
        ),
        (
            vec![("".into(), text("x"))],
            "a name in 'attributes' must have 1 to 64 bytes, received 0",
        ),
        (
            vec![("a".into(), text("x")), ("a".into(), text("y"))],
            "'attributes.a' is given twice",
        ),
        (
            (0..33).map(|n| (n.to_string().into(), text("x"))).collect(),
            "'attributes' must have at most 32 entries, received 33",
        ),
    ];
    for (attributes, message) in cases {
        assert_eq!(
            Properties::new(&none, attributes).unwrap_err().to_string(),
            message
        );
    }
}
