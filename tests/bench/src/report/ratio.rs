//! Figures with their goals. Most are ratios, which do not depend on the speed of the machine.

use serde::{Deserialize, Serialize};

use crate::measure::Estimate;

/// A figure with a goal. `--check` compares it with the committed one, unless it is a plain figure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ratio {
    /// The key by which `--check` finds the committed ratio. It must not change between commits.
    pub name: String,
    /// The measured value.
    pub estimate: Estimate,
    /// The direction that is better, and the bound if there is one.
    pub goal: Goal,
    /// `true` for a time or a rate, which depends on the speed of the machine.
    #[serde(default)]
    pub is_plain: bool,
}

/// The direction in which a ratio is better, with or without a bound.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// Less is better. The ratio must not be above this bound.
    AtMost(f64),
    /// More is better. The ratio must not be below this bound.
    AtLeast(f64),
    /// Less is better, without a bound.
    Less,
    /// More is better, without a bound.
    More,
}

impl Ratio {
    /// Creates a ratio.
    pub fn new(name: impl Into<String>, estimate: Estimate, goal: Goal) -> Self {
        Self {
            name: name.into(),
            estimate,
            goal,
            is_plain: false,
        }
    }

    /// Creates a time or a rate, which depends on the speed of the machine.
    pub fn plain(name: impl Into<String>, estimate: Estimate, goal: Goal) -> Self {
        Self {
            is_plain: true,
            ..Self::new(name, estimate, goal)
        }
    }

    /// Returns a Markdown list item that says whether the goal is met; `None` if the goal has no
    /// bound.
    pub fn verdict(&self) -> Option<String> {
        let Estimate {
            median, low, high, ..
        } = self.estimate;
        let undecided = "undecided, the interval contains the goal";
        let (goal, verdict) = match self.goal {
            Goal::AtMost(bound) => {
                let verdict = if high <= bound {
                    "met"
                } else if low > bound {
                    "missed"
                } else {
                    undecided
                };
                (format!("at most {}", format_value(bound)), verdict)
            }
            Goal::AtLeast(bound) => {
                let verdict = if low >= bound {
                    "met"
                } else if high < bound {
                    "missed"
                } else {
                    undecided
                };
                (format!("at least {}", format_value(bound)), verdict)
            }
            Goal::Less | Goal::More => return None,
        };
        let interval = if low < high {
            format!(" ({} to {})", format_value(low), format_value(high))
        } else {
            String::new()
        };
        Some(format!(
            "* {}: {}{interval}, goal {goal}: {verdict}",
            self.name,
            format_value(median)
        ))
    }

    /// Compares this ratio with the committed one. Returns a description if it is worse by more
    /// than both intervals and the drift between runs, otherwise `None`.
    pub fn regression_from(&self, committed: &Self) -> Option<String> {
        let Estimate {
            median,
            low,
            high,
            drift,
        } = self.estimate;
        let before = committed.estimate;
        let is_worse = match self.goal {
            Goal::AtMost(_) | Goal::Less => low > before.high + drift,
            Goal::AtLeast(_) | Goal::More => high < before.low - drift,
        };
        is_worse.then(|| {
            format!(
                "{}: {} ({} to {}), committed: {} to {}",
                self.name,
                format_value(median),
                format_value(low),
                format_value(high),
                format_value(before.low),
                format_value(before.high)
            )
        })
    }
}

/// Formats a value with two or three decimals, without trailing zeros.
fn format_value(value: f64) -> String {
    let digits = if value.abs() < 20.0 { 3 } else { 2 };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_by_the_interval() {
        let ratio = |low, high, goal| {
            let estimate = Estimate {
                low,
                high,
                ..Estimate::exact(f64::midpoint(low, high))
            };
            Ratio::new("a figure", estimate, goal)
        };
        let verdict = |low, high| ratio(low, high, Goal::AtMost(1.1)).verdict().unwrap();
        assert!(
            verdict(1.0, 1.1).ends_with("goal at most 1.1: met"),
            "{}",
            verdict(1.0, 1.1)
        );
        assert!(verdict(1.2, 1.3).ends_with(": missed"));
        assert!(verdict(1.0, 1.3).ends_with(": undecided, the interval contains the goal"));
        assert_eq!(ratio(1.0, 1.1, Goal::Less).verdict(), None);
    }
}
