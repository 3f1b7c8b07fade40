//! Extractor for the query string.

use std::{borrow::Cow, convert::Infallible, fmt::Display, str::FromStr};

use axum::{
    extract::{FromRequest, Request},
    http::Uri,
};

use utoipa::IntoParams;

use super::error::{ApiError, ApiResult};

/// The query string of a request. Its parameters are read by name.
pub(crate) struct Query(pub(crate) Uri);

/// Moves the URI out of the request instead of cloning it. So `Query` must be the last extractor of
/// a handler.
impl<S: Send + Sync> FromRequest<S> for Query {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        Ok(Self(request.into_parts().0.uri))
    }
}

impl Query {
    /// Returns the parameters with these names. If a name occurs twice, its last value is used.
    pub(crate) fn params<const N: usize>(&self, names: [&'static str; N]) -> [Param<'_>; N] {
        let mut found = names.map(|name| Param { name, value: None });
        for pair in self.0.query().unwrap_or_default().split('&') {
            let (name, value) = decode(pair);
            if let Some(param) = found.iter_mut().find(|param| param.name == name) {
                param.value = Some(value);
            }
        }
        found
    }
}

impl Query {
    /// Returns `true` unless the request asks for messages without images, with `images=none`.
    pub(crate) fn wants_images(&self) -> ApiResult<bool> {
        let [images] = self.params(["images"]);
        match images.value.as_deref() {
            None | Some("inline") => Ok(true),
            Some("none") => Ok(false),
            Some(_) => {
                let detail = "`images` must be `inline` or `none`";
                Err(ApiError::unprocessable(detail).in_query("images"))
            }
        }
    }
}

/// The query parameter `images`, used only for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what `wants_images` reads")]
pub(crate) struct ImagesQuery {
    /// `inline` by default; `none` returns messages with `image_url` only
    images: Option<String>,
}

/// A parameter of the query. Its value is `None` if the query does not contain the parameter.
pub(crate) struct Param<'a> {
    name: &'static str,
    pub(crate) value: Option<Cow<'a, str>>,
}

impl Param<'_> {
    /// Parses the value as a number; returns `None` if there is no value.
    ///
    /// A number above `most` is lowered to `most`. A number below `least`, or a value that is not a
    /// number, is refused with 422.
    pub(crate) fn number<T: FromStr + PartialOrd + Display>(
        &self,
        least: T,
        most: T,
    ) -> ApiResult<Option<T>> {
        let Some(value) = &self.value else {
            return Ok(None);
        };
        let refuse = || {
            let name = self.name;
            let detail = format!("`{name}` must be a number of at least {least}");
            ApiError::unprocessable(detail).in_query(name)
        };
        // A number of more than 18 digits may not fit into `T`, but is above `most` in any case.
        let is_huge = value.len() > 18 && value.bytes().all(|digit| digit.is_ascii_digit());
        let number = match value.parse::<T>() {
            Ok(number) => number,
            Err(_) if is_huge => return Ok(Some(most)),
            Err(_) => return Err(refuse()),
        };
        // Every comparison with a float `NaN` is false, so `NaN` is refused.
        match number {
            number if number > most => Ok(Some(most)),
            number if number >= least => Ok(Some(number)),
            _ => Err(refuse()),
        }
    }
}

/// Splits a pair into its decoded name and value. Most pairs have no escapes and skip the general
/// decoder, which is slower.
fn decode(pair: &str) -> (Cow<'_, str>, Cow<'_, str>) {
    if pair.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return form_urlencoded::parse(pair.as_bytes())
            .next()
            .unwrap_or_default();
    }
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    (Cow::Borrowed(name), Cow::Borrowed(value))
}
