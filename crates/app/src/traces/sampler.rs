//! The choice of the traces that are exported.

use std::env;

use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanKind, TraceContextExt as _, TraceId},
};
use opentelemetry_sdk::trace::{Sampler, SamplingResult, ShouldSample};

use super::error::TracesError;

/// The share of traces that are exported, unless the environment says otherwise.
const SHARE: f64 = 0.05;

/// The name of the span of an agent's turn.
const TURN: &str = "invoke_agent";

/// Exports a share of requests and turns, with what belongs to them. Other work, such as that of
/// background jobs, begins no trace. A turn is exported if the request that caused it is.
#[derive(Clone, Debug)]
pub(super) struct TraceSampler(Sampler);

impl TraceSampler {
    /// Returns the sampler that the variables `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`
    /// describe.
    pub(super) fn of_environment() -> Result<Self, TracesError> {
        let value = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let (name, share) = (
            value("OTEL_TRACES_SAMPLER"),
            value("OTEL_TRACES_SAMPLER_ARG"),
        );
        Self::named(name.as_deref(), share.as_deref())
    }

    fn named(name: Option<&str>, share: Option<&str>) -> Result<Self, TracesError> {
        let share = match share.map(str::parse::<f64>) {
            None if name.is_none() => SHARE,
            None => 1.0,
            Some(Ok(share)) if (0.0..=1.0).contains(&share) => share,
            Some(_) => return Err(TracesError::Share),
        };
        let name = name.unwrap_or("parentbased_traceidratio");
        let (is_parent_based, name) = match name.strip_prefix("parentbased_") {
            Some(name) => (true, name),
            None => (false, name),
        };
        let sampler = match name {
            "always_on" => Sampler::AlwaysOn,
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => Sampler::TraceIdRatioBased(share),
            _ => return Err(TracesError::Sampler),
        };
        Ok(Self(if is_parent_based {
            Sampler::ParentBased(Box::new(sampler))
        } else {
            sampler
        }))
    }
}

impl ShouldSample for TraceSampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let has_parent = parent.is_some_and(|parent| parent.span().span_context().is_valid());
        let begins_trace = *kind == SpanKind::Server || name == TURN;
        let is_caused = links.iter().any(|link| link.span_context.is_sampled());
        let sampler = match (has_parent, begins_trace, is_caused) {
            (false, false, _) => &Sampler::AlwaysOff,
            (false, true, true) => &Sampler::AlwaysOn,
            (true, ..) | (false, true, false) => &self.0,
        };
        sampler.should_sample(parent, trace, name, kind, attributes, links)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags};
    use opentelemetry_sdk::trace::SamplingDecision;

    use super::*;

    fn named(name: Option<&str>, share: Option<&str>) -> String {
        match TraceSampler::named(name, share) {
            Ok(TraceSampler(sampler)) => format!("{sampler:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_environment_names_the_sampler_and_its_share() {
        let half = "TraceIdRatioBased(0.5)";
        assert_eq!(named(None, None), "ParentBased(TraceIdRatioBased(0.05))");
        assert_eq!(named(None, Some("0.5")), format!("ParentBased({half})"));
        assert_eq!(named(Some("traceidratio"), Some("0.5")), half);
        assert_eq!(named(Some("traceidratio"), None), "TraceIdRatioBased(1.0)");
        assert_eq!(named(Some("always_on"), None), "AlwaysOn");
        assert_eq!(
            named(Some("parentbased_always_off"), None),
            "ParentBased(AlwaysOff)"
        );
        assert!(named(Some("xray"), None).contains("OTEL_TRACES_SAMPLER"));
        assert!(named(None, Some("2")).contains("OTEL_TRACES_SAMPLER_ARG"));
    }

    #[test]
    fn only_requests_and_turns_begin_a_trace_and_a_turn_follows_its_cause() {
        let decide = |sampler: Sampler, name: &str, kind, links: &[Link]| {
            let sampler = TraceSampler(sampler);
            let result = sampler.should_sample(None, TraceId::INVALID, name, &kind, &[], links);
            result.decision == SamplingDecision::RecordAndSample
        };
        let (on, off) = (Sampler::AlwaysOn, Sampler::AlwaysOff);
        assert!(decide(on.clone(), "GET /rooms", SpanKind::Server, &[]));
        assert!(!decide(
            on.clone(),
            "load room_obj",
            SpanKind::Internal,
            &[]
        ));
        assert!(decide(on, TURN, SpanKind::Internal, &[]));
        let cause = |flags| {
            let (trace, span) = (TraceId::from_bytes([1; 16]), SpanId::from_bytes([1; 8]));
            let state = opentelemetry::trace::TraceState::default();
            Link::with_context(SpanContext::new(trace, span, flags, false, state))
        };
        let turn = |flags| decide(off.clone(), TURN, SpanKind::Internal, &[cause(flags)]);
        assert!(turn(TraceFlags::SAMPLED));
        assert!(!turn(TraceFlags::default()));
    }
}
