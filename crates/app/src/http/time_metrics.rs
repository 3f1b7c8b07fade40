//! Metrics of times: of requests, of waits, and of the spans of the cache and the store.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, gauge::ConstGauge},
};

use crate::{
    bounds::WAIT_BOUNDS,
    http_latencies::BOUNDS,
    span_times::{self, MEASURED},
    state::AppHandle,
};

/// The histograms of all times, and the requests that are being handled.
pub(super) struct TimeMetrics(pub(super) AppHandle);

impl fmt::Debug for TimeMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeMetrics").finish_non_exhaustive()
    }
}

impl Collector for TimeMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_requests(&mut encoder)?;
        self.encode_waits(&mut encoder)?;
        encode_spans(&mut encoder)
    }
}

impl TimeMetrics {
    fn encode_requests(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) = (
            "http_server_request_duration_seconds",
            "time from a request's head to its response's head, without streams and waits",
        );
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for latency in self.0.latencies.figures() {
            let status = match latency.status {
                0 => "_OTHER".to_owned(),
                status => status.to_string(),
            };
            let labels = [
                ("http_request_method", latency.method),
                ("http_route", self.0.routes.path(latency.route)),
                ("http_response_status_code", &status),
            ];
            let histogram = family.encode_family(&labels)?;
            encode_histogram(histogram, &BOUNDS, &latency.buckets, latency.seconds)?;
        }
        let (name, help) = ("http_server_active_requests", "requests being handled");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (method, count) in self.0.latencies.active() {
            let label = [("http_request_method", method)];
            ConstGauge::new(count).encode(family.encode_family(&label)?)?;
        }
        Ok(())
    }

    fn encode_waits(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) = (
            "greenroom_http_wait_seconds",
            "time that polls waited for a message",
        );
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (outcome, times) in self.0.bounds.waits.times() {
            let label = [("outcome", outcome)];
            let histogram = family.encode_family(&label)?;
            encode_histogram(histogram, &WAIT_BOUNDS, &times.buckets, times.seconds)?;
        }
        Ok(())
    }
}

fn encode_spans(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    for measured in &MEASURED {
        let kind = MetricType::Histogram;
        let mut family = encoder.encode_descriptor(measured.metric, measured.help, None, kind)?;
        for (labels, times) in span_times::of(measured) {
            let histogram = family.encode_family(&labels)?;
            let bounds = &span_times::BOUNDS;
            encode_histogram(histogram, bounds, &times.buckets, times.seconds)?;
        }
    }
    Ok(())
}

/// Writes a histogram. `buckets` are not cumulated, and are one more than the bounds.
pub(super) fn encode_histogram(
    mut histogram: MetricEncoder<'_>,
    bounds: &[f64],
    buckets: &[u64],
    seconds: f64,
) -> fmt::Result {
    let bounds = bounds.iter().copied().chain([f64::MAX]);
    let counted: Vec<_> = bounds.zip(buckets.iter().copied()).collect();
    let count = buckets.iter().sum();
    histogram.encode_histogram::<NoLabelSet>(seconds, count, &counted, None)
}
