//! Tests that invalid settings are refused, and that the key is never shown.

use responders::{Model, ModelError, ModelSettings};

use crate::server::KEY;

#[test]
fn a_key_is_never_printed() {
    for settings in [
        ModelSettings::anthropic("a-model", KEY.into()),
        ModelSettings::open_ai("http://host/v1", "a-model", Some(KEY.into())),
    ] {
        let mut printed = vec![format!("{settings:?}"), format!("{settings:#?}")];
        if let Ok(model) = Model::new(settings) {
            printed.push(format!("{model:?} {model:#?}"));
        }
        for printed in printed {
            let is_hidden = printed.contains("a-model") && !printed.contains(KEY);
            assert!(is_hidden, "{printed}");
        }
    }
}

#[test]
fn a_base_url_that_cannot_work_is_refused_and_not_repeated() {
    let invalid = "`base_url` is not a valid URL";
    let scheme = "`base_url` must begin with http:// or https://";
    let part = "`base_url` must have no user, password, query or fragment";
    for (url, message) in [
        ("", invalid),
        ("host", invalid),
        ("http://", invalid),
        ("ftp://host", scheme),
        ("http://ann:pass@host/v1", part),
        ("http://ann@host", part),
        ("http://host/v1?key=pass", part),
        ("http://host/#pass", part),
    ] {
        let error = Model::new(ModelSettings::open_ai(url, "a-model", None)).unwrap_err();
        assert_eq!(error.to_string(), message, "{url}");
    }
}

#[test]
fn a_key_that_no_header_can_carry_is_refused() {
    let key = Some("two\nlines".into());
    let settings = ModelSettings::open_ai("http://host/v1", "a-model", key);
    let error = Model::new(settings).unwrap_err();
    assert!(matches!(error, ModelError::InvalidKey), "{error}");
    assert_eq!(
        error.to_string(),
        "the API key must not contain control characters such as line breaks"
    );
}

#[test]
fn a_header_that_cannot_be_sent_is_refused_by_name() {
    for (name, value) in [("two words", "x"), ("X-Title", "two\nlines")] {
        let mut settings = ModelSettings::open_ai("http://host/v1", "a-model", None);
        settings.headers = [(name.to_owned(), value.to_owned().into())].into();
        let error = Model::new(settings).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("`headers.{name}` is not a valid header")
        );
    }
}
