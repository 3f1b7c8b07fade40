//! Prices of the tokens that answers use.

use domain::Usage;
use serde::Deserialize;

use super::value::{self, SettingValue};

/// The price of a million tokens of a model.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The currency of the amounts.
    #[serde(deserialize_with = "value::required")]
    pub currency: Currency,
    /// The price of the tokens that the model reads.
    #[serde(deserialize_with = "value::required")]
    pub input: f64,
    /// The price of those that the server had kept from an earlier prompt. By default, that of the
    /// others.
    #[serde(default, deserialize_with = "value::optional")]
    pub cached: Option<f64>,
    /// The price of the tokens that the model writes.
    #[serde(deserialize_with = "value::required")]
    pub output: f64,
}

/// The code of a currency, such as `EUR`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Currency(pub String);

impl Price {
    /// Returns the price of these tokens.
    #[expect(clippy::cast_precision_loss, reason = "no model uses 2^53 tokens")]
    pub(crate) fn of(&self, usage: Usage) -> f64 {
        // The cached tokens are a part of the input.
        let input = usage.input.saturating_sub(usage.cached);
        let parts = [
            (input, self.input),
            (usage.cached, self.cached.unwrap_or(self.input)),
            (usage.output, self.output),
        ];
        let amounts = parts.map(|(tokens, price)| tokens as f64 * price);
        amounts.iter().sum::<f64>() / 1e6
    }
}

impl SettingValue for Currency {
    const EXPECTED: &'static str = "the code of a currency such as `EUR`";

    fn parse(text: &str) -> Option<Self> {
        let is_code = text.len() == 3 && text.bytes().all(|letter| letter.is_ascii_uppercase());
        is_code.then(|| Self(text.to_owned()))
    }
}

impl SettingValue for f64 {
    const EXPECTED: &'static str = "an amount such as `2.5`";

    fn parse(text: &str) -> Option<Self> {
        let amount: Self = text.parse().ok()?;
        (amount.is_finite() && amount >= 0.0).then_some(amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(text: &str) -> Result<Price, serde_yaml::Error> {
        serde_yaml::from_str(text)
    }

    #[test]
    fn cached_tokens_have_their_own_price_or_that_of_the_input() {
        let usage = Usage {
            input: 1_000_000,
            cached: 400_000,
            output: 100_000,
            requests: 1,
        };
        let whole = price("{currency: EUR, input: 2, output: 10}").unwrap();
        let cached = price("{currency: EUR, input: 2, cached: 0.5, output: 10}").unwrap();
        assert!((whole.of(usage) - 3.0).abs() < 1e-9);
        assert!((cached.of(usage) - 2.4).abs() < 1e-9);
    }

    #[test]
    fn a_wrong_price_is_refused_with_what_is_expected() {
        for (text, expected) in [
            (
                "{currency: euro, input: 1, output: 1}",
                "the code of a currency",
            ),
            ("{currency: EUR, input: -1, output: 1}", "an amount"),
            ("{currency: EUR, input: .nan, output: 1}", "an amount"),
            ("{currency: EUR, input: 1}", "missing field `output`"),
            (
                "{currency: EUR, input: 1, output: 1, cache: 1}",
                "unknown field `cache`",
            ),
        ] {
            let error = price(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
