//! Metrics of the models, with the names of OpenTelemetry's conventions for generative AI.

use std::{collections::BTreeMap, fmt};

use domain::FailureKind;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter},
};

use super::time_metrics::encode_histogram;
use crate::conversation::{ANSWER_BOUNDS, AnswerTimes, ModelCounts};

/// The label of the model.
const MODEL: &str = "gen_ai_request_model";

/// The figures of all models at one moment.
#[derive(Debug)]
pub(super) struct ModelMetrics(pub(super) BTreeMap<String, ModelCounts>);

impl Collector for ModelMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_operations(&mut encoder)?;
        self.encode_tokens(&mut encoder)?;
        self.encode_requests(&mut encoder)?;
        self.encode_cost(&mut encoder)?;
        self.encode_times(
            &mut encoder,
            "gen_ai_server_time_to_first_token_seconds",
            "time to the first thought or word",
            |counts| &counts.first_token,
        )?;
        self.encode_times(
            &mut encoder,
            "gen_ai_client_operation_duration_seconds",
            "time to the end of the answer",
            |counts| &counts.duration,
        )
    }
}

impl ModelMetrics {
    fn encode_operations(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) = (
            "gen_ai_client_operations",
            "prompts that were sent, by error",
        );
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (model, counts) in &self.0 {
            let failures = FailureKind::ALL.into_iter().zip(counts.failures);
            let answered = counts.asks - counts.failures.iter().sum::<u64>();
            let answered = [("", answered)].into_iter();
            for (error, asks) in answered.chain(failures.map(|(kind, asks)| (kind.name(), asks))) {
                let labels = [(MODEL, model.as_str()), ("error_type", error)];
                ConstCounter::new(asks).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn encode_tokens(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) = (
            "gen_ai_client_token_usage",
            "tokens; those of the type cached are a part of the input",
        );
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (model, counts) in &self.0 {
            let usage = counts.usage;
            for (kind, tokens) in [
                ("input", usage.input),
                ("cached", usage.cached),
                ("output", usage.output),
            ] {
                let labels = [(MODEL, model.as_str()), ("gen_ai_token_type", kind)];
                ConstCounter::new(tokens).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn encode_requests(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) = (
            "gen_ai_client_requests",
            "requests to the server, with retries",
        );
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (model, counts) in &self.0 {
            let labels = [(MODEL, model.as_str())];
            ConstCounter::new(counts.usage.requests).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn encode_cost(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) = (
            "greenroom_model_cost",
            "price of the tokens of the models that have one in the settings",
        );
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (model, counts) in &self.0 {
            for (currency, cost) in &counts.cost {
                let labels = [(MODEL, model.as_str()), ("currency", currency)];
                ConstCounter::new(*cost).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn encode_times(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        times: fn(&ModelCounts) -> &AnswerTimes,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (model, counts) in &self.0 {
            let times = times(counts);
            let label = [(MODEL, model.as_str())];
            let histogram = family.encode_family(&label)?;
            encode_histogram(histogram, &ANSWER_BOUNDS, &times.buckets, times.seconds)?;
        }
        Ok(())
    }
}
