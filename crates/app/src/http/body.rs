//! Extractor for JSON bodies. A body is parsed straight into its type, so it takes no more memory
//! than a small multiple of its bytes.

use axum::{
    extract::{FromRequest, Request},
    http::StatusCode,
};
use http_body_util::BodyExt as _;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::error::Category;
use serde_path_to_error::Segment;
use tokio::time::timeout;

use super::{
    access::bounded_network,
    error::{ApiError, Place},
};
use crate::{
    bounds::BodyPermit,
    settings::SMALL_BODY_BYTES,
    state::{App, AppHandle},
};

/// A type of body, with its largest size.
pub(crate) trait RequestBody: DeserializeOwned {
    /// Returns the largest size of the body, in bytes.
    fn max_bytes(_: &App) -> usize {
        SMALL_BODY_BYTES
    }
}

/// The body of a request, parsed from a JSON object, and the permit for its memory. A handler holds
/// the permit as long as it uses the body.
///
/// A body that is not JSON is refused with 400. A wrong or missing field is refused with 422.
/// Unknown fields are ignored.
pub(crate) struct Body<T>(pub(crate) T, pub(crate) BodyPermit);

/// The bytes of a body.
pub(crate) struct BodyBytes {
    pub(crate) bytes: Vec<u8>,
    pub(crate) permit: BodyPermit,
}

impl<T: RequestBody> FromRequest<AppHandle> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &AppHandle) -> Result<Self, ApiError> {
        let BodyBytes { bytes, permit } = read::<T>(request, app).await?;
        Ok(Self(parse(&bytes)?, permit))
    }
}

/// Reads the bytes of a body of the type `T`.
///
/// A body that is announced to be too large is refused before it is read.
pub(crate) async fn read<T: RequestBody>(
    request: Request,
    app: &App,
) -> Result<BodyBytes, ApiError> {
    let most = T::max_bytes(app);
    let (bodies, sender) = (&app.bounds.bodies, bounded_network(app, &request));
    let permit = if most > SMALL_BODY_BYTES {
        bodies.begin_large(sender)
    } else {
        bodies.begin_small(sender)
    };
    let body = request.into_body();
    let announced = http_body::Body::size_hint(&body).lower();
    if announced > u64::try_from(most).unwrap_or(u64::MAX) {
        return Err(too_large(most));
    }
    let announced = usize::try_from(announced).unwrap_or(0);
    let read = timeout(
        app.limits().body_timeout,
        collect(body, announced, most, permit),
    )
    .await;
    read.unwrap_or_else(|_| {
        Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "the body did not arrive in time; send it again",
        ))
    })
}

async fn collect(
    mut body: axum::body::Body,
    announced: usize,
    most: usize,
    mut permit: BodyPermit,
) -> Result<BodyBytes, ApiError> {
    // A growing vector would be copied, and would have up to twice the capacity. Memory that is
    // reserved and not written takes no room, so a client that sends less takes less.
    let mut bytes = Vec::with_capacity(announced);
    while let Some(frame) = body.frame().await {
        let unreadable = |_| ApiError::new(StatusCode::BAD_REQUEST, "the body could not be read");
        let Ok(data) = frame.map_err(unreadable)?.into_data() else {
            continue;
        };
        let length = bytes.len() + data.len();
        if length > most {
            return Err(too_large(most));
        }
        let raised = permit.raise_to(length);
        raised.map_err(|_| ApiError::busy("too many large requests at the same time"))?;
        bytes.extend_from_slice(&data);
    }
    Ok(BodyBytes { bytes, permit })
}

fn too_large(most: usize) -> ApiError {
    let detail = format!("the body is too large; it must have at most {most} bytes");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

/// Parses a JSON object.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // A derived `Deserialize` also accepts an array of the fields, so it cannot refuse other types.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(match serde_json::from_slice::<IgnoredAny>(bytes) {
            Ok(_) => ApiError::unprocessable("the body must be a JSON object"),
            Err(_) => malformed(),
        });
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut deserializer);
    let parsed = parsed.map_err(|error| match error.inner().classify() {
        Category::Data => wrong_field(&error),
        Category::Io | Category::Syntax | Category::Eof => malformed(),
    })?;
    deserializer.end().map_err(|_| malformed())?;
    Ok(parsed)
}

fn malformed() -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "the body must be JSON")
}

/// Converts the error of a field. Its text names the field, and so does its place.
fn wrong_field(error: &serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    let mut place = vec![Place::name("body")];
    for segment in error.path() {
        match segment {
            Segment::Seq { index } => place.push(Place::Index(*index)),
            Segment::Map { key } => place.push(Place::name(key)),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    let text = error.inner().to_string();
    // The parser adds the position in the text, which is of no use if a program wrote the text.
    let reason = text.split(" at line ").next().unwrap_or(&text);
    let missing = reason.strip_prefix("missing field `");
    if let Some(name) = missing.and_then(|name| name.strip_suffix('`')) {
        place.push(Place::name(name));
        return ApiError::unprocessable(reason).at(place);
    }
    let detail = format!("`{}`: {reason}", error.path());
    ApiError::unprocessable(detail).at(place)
}

/// Deserializes a field to `Some`, even if its value is `null`. With `#[serde(default)]`, an absent
/// field becomes `None`, so the two cases differ.
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Order {
        name: String,
        #[serde(default)]
        ids: Vec<i64>,
    }

    fn refused(text: &str) -> (u16, String, serde_json::Value) {
        let error = parse::<Order>(text.as_bytes()).unwrap_err();
        (error.status.as_u16(), error.detail.clone(), error.loc())
    }

    #[test]
    fn a_wrong_field_is_named_with_its_place() {
        let order = parse::<Order>(br#" {"name": "a", "other": [{}], "ids": [1]} "#).unwrap();
        assert_eq!(order.ids, [1]);
        for (text, status, detail, loc) in [
            ("", 400, "the body must be JSON", json!(null)),
            ("{", 400, "the body must be JSON", json!(null)),
            (
                r#"{"name": "a"} x"#,
                400,
                "the body must be JSON",
                json!(null),
            ),
            (
                r#"["a", [1]]"#,
                422,
                "the body must be a JSON object",
                json!(null),
            ),
            ("7", 422, "the body must be a JSON object", json!(null)),
            ("{}", 422, "missing field `name`", json!(["body", "name"])),
            (
                r#"{"name": 5}"#,
                422,
                "`name`: invalid type: integer `5`, expected a string",
                json!(["body", "name"]),
            ),
            (
                r#"{"name": "a", "ids": [1, "x"]}"#,
                422,
                "`ids[1]`: invalid type: string \"x\", expected i64",
                json!(["body", "ids", 1]),
            ),
        ] {
            assert_eq!(refused(text), (status, detail.to_owned(), loc), "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_read_without_recursion() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(refused(&deep).0, 422);
        let ignored = format!(r#"{{"name": "a", "other": {deep}}}"#);
        assert!(parse::<Order>(ignored.as_bytes()).is_ok());
    }
}
