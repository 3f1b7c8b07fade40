//! Extractor for the query.

use std::{borrow::Cow, convert::Infallible, fmt::Display, str::FromStr};

use axum::{
    extract::{FromRequest, Request},
    http::Uri,
};

use super::error::{ApiError, ApiResult};

/// The query of a request, whose parameters are read by name.
pub(crate) struct Query(pub(crate) Uri);

/// Takes the address out of the request instead of cloning it, so it must be the last of a
/// handler's extractors.
impl<S: Send + Sync> FromRequest<S> for Query {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        Ok(Self(request.into_parts().0.uri))
    }
}

impl Query {
    /// Returns the parameters with these names; the last one counts if a name occurs twice.
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

/// A parameter of the query; its value is `None` if the query does not have it.
pub(crate) struct Param<'a> {
    name: &'static str,
    pub(crate) value: Option<Cow<'a, str>>,
}

impl Param<'_> {
    /// Parses a number. A number above `most` counts as `most`; anything below `least` or not a
    /// number is refused with 422.
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
            ApiError::unprocessable(format!("`{name}` must be a number of at least {least}"))
        };
        // More than 18 digits may not fit `T`, but are a number above `most` all the same.
        let is_huge = value.len() > 18 && value.bytes().all(|digit| digit.is_ascii_digit());
        let number = match value.parse::<T>() {
            Ok(number) => number,
            Err(_) if is_huge => return Ok(Some(most)),
            Err(_) => return Err(refuse()),
        };
        // A float that is not a number compares with nothing, and is refused as well.
        match number {
            number if number > most => Ok(Some(most)),
            number if number >= least => Ok(Some(number)),
            _ => Err(refuse()),
        }
    }
}

/// Splits a pair. Most pairs are plain text, for which the general decoder would be slow.
fn decode(pair: &str) -> (Cow<'_, str>, Cow<'_, str>) {
    if pair.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return form_urlencoded::parse(pair.as_bytes())
            .next()
            .unwrap_or_default();
    }
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    (Cow::Borrowed(name), Cow::Borrowed(value))
}
