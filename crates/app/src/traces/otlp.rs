//! The exporter of traces: OTLP with protobuf over HTTP.

use std::{env, net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::http::{HeaderMap, Request, Response};
use bytes::{Bytes, BytesMut};
use opentelemetry::{
    Context, KeyValue,
    propagation::TextMapPropagator as _,
    trace::{SpanContext, TraceContextExt as _, TracerProvider as _},
};
use opentelemetry_http::{
    HeaderExtractor, HeaderInjector, HttpClient, HttpError, ResponseBodyTooLarge,
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource, propagation::TraceContextPropagator, resource::EnvResourceDetector,
    trace::SdkTracerProvider,
};
use reqwest::{Client, Url, redirect::Policy};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::runtime::Handle;
use tracing::{Level, Metadata, Span, Subscriber, level_filters::LevelFilter};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

use super::{error::TracesError, sampler::TraceSampler};

/// The path of traces below the address of a collector.
const TRACES_PATH: &str = "/v1/traces";
/// The longest wait for the last spans to be exported at the end of the program.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest export of one batch.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer of a collector. It is empty, or says how many spans were refused.
const MOST_ANSWER_BYTES: usize = 64 << 10;
/// The targets of the spans that are exported.
const TARGETS: [&str; 4] = ["cache", "persistence", "conversation", "http"];

/// The export of traces to a collector.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Checks the address of a collector.
    pub fn check(address: &str) -> Result<(), TracesError> {
        endpoint(address).map(drop)
    }

    /// Starts the export to a collector at this address. `runtime` sends the requests.
    ///
    /// Spans wait in a queue for the next export. If the queue is full, they are dropped.
    pub fn start(address: &str, runtime: Handle) -> Result<Self, TracesError> {
        let failed = |error: &dyn ToString| TracesError::Exporter(error.to_string());
        let url = endpoint(address)?;
        let sender = Sender {
            http: http_client(&url).map_err(|error| failed(&error))?,
            runtime,
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(sender)
            .with_endpoint(url)
            .build()
            .map_err(|error| failed(&error))?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_sampler(TraceSampler::of_environment()?)
            .with_batch_exporter(exporter)
            .build();
        Ok(Self { provider })
    }

    /// Returns a layer of a tracing subscriber that exports spans.
    ///
    /// It takes no lines of the log, whose fields may be keys, and only spans of the level info.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        let is_ours = |metadata: &Metadata<'_>| {
            let is_info = *metadata.level() == Level::INFO;
            is_info && metadata.is_span() && TARGETS.contains(&metadata.target())
        };
        // Without the hint, tracing would ask about every level, and each hit would write a line.
        let ours = filter_fn(is_ours).with_max_level_hint(LevelFilter::INFO);
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("greenroom"))
            // These describe the program's source and threads.
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(ours)
    }

    /// Exports the spans that wait, and ends the export. Blocks the thread, for a few seconds if
    /// the collector does not answer.
    pub fn stop(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(STOP_TIMEOUT) {
            tracing::warn!(%error, "the last traces were not exported");
        }
    }
}

/// Returns the address to which traces are sent.
fn endpoint(address: &str) -> Result<Url, TracesError> {
    let refused = |reason: &str| TracesError::Address(reason.to_owned());
    let mut url = Url::parse(address).map_err(|error| refused(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused("the scheme must be http or https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused(
            "credentials belong into OTEL_EXPORTER_OTLP_HEADERS",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("it must have no query and no fragment"));
    }
    let path = url.path().trim_end_matches('/');
    let base = path.strip_suffix(TRACES_PATH).unwrap_or(path);
    url.set_path(&format!("{base}{TRACES_PATH}"));
    Ok(url)
}

/// Describes this process. The environment may replace each part.
fn resource() -> Resource {
    let instance = format!("{:016x}", rand::random::<u64>());
    let resource = Resource::builder_empty()
        .with_service_name("greenroom")
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance),
        ])
        .with_detector(Box::new(EnvResourceDetector::new()));
    match env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => resource.with_service_name(name),
        _ => resource,
    }
    .build()
}

/// Returns a client that connects to this address. Certificate authorities are loaded only for
/// HTTPS, so that a machine without any can use a collector of its own.
fn http_client(url: &Url) -> Result<Client, HttpError> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    let config = if url.scheme() == "https" {
        config.with_platform_verifier()?.with_no_client_auth()
    } else {
        let no_roots = config.with_root_certificates(RootCertStore::empty());
        no_roots.with_no_client_auth()
    };
    let mut client = Client::builder()
        .timeout(EXPORT_TIMEOUT)
        // A redirect would send the headers, which may contain a key, to another host.
        .redirect(Policy::none())
        .tls_backend_preconfigured(config);
    // The proxy of the environment is for other machines.
    if is_this_machine(url) {
        client = client.no_proxy();
    }
    Ok(client.build()?)
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Sends the requests of the exporter, whose own thread has no runtime.
#[derive(Debug)]
struct Sender {
    http: Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let http = self.http.clone();
        let sending = self.runtime.spawn(async move {
            let mut response = http.execute(request).await?;
            let mut body = BytesMut::new();
            while let Some(chunk) = response.chunk().await? {
                if body.len() + chunk.len() > MOST_ANSWER_BYTES {
                    return Err(ResponseBodyTooLarge::new().into());
                }
                body.extend_from_slice(&chunk);
            }
            let mut answer = Response::new(body.freeze());
            *answer.status_mut() = response.status();
            *answer.headers_mut() = response.headers().clone();
            Ok::<_, HttpError>(answer)
        });
        Ok(sending.await??)
    }
}

/// The span that caused something that happens later.
#[derive(Clone, Debug, Default)]
pub(crate) struct TraceCause(Option<SpanContext>);

impl TraceCause {
    /// Returns the current span as a cause, if it is exported.
    pub(crate) fn current() -> Self {
        let span = Span::current().context().span().span_context().clone();
        Self(span.is_sampled().then_some(span))
    }

    /// Links a span to its cause, which may have ended.
    pub(crate) fn link_to(&self, span: &Span) {
        if let Some(cause) = &self.0 {
            span.add_link(cause.clone());
        }
    }
}

/// Returns the remote span that a request's header `traceparent` names.
fn remote_parent(headers: &HeaderMap) -> Context {
    TraceContextPropagator::new().extract(&HeaderExtractor(headers))
}

/// Returns `true` if a request belongs to a trace that is exported.
pub(crate) fn is_sampled(headers: &HeaderMap) -> bool {
    remote_parent(headers).span().span_context().is_sampled()
}

/// Makes the span of a request a part of the trace that its headers name.
pub(crate) fn set_parent(span: &Span, headers: &HeaderMap) {
    // Fails if the span is not exported.
    let _ = span.set_parent(remote_parent(headers));
}

/// Returns the header `traceparent` for requests that belong to this span; `None` if it is not
/// exported.
pub(crate) fn traceparent(span: &Span) -> Option<String> {
    let mut headers = HeaderMap::new();
    let context = span.context();
    if !context.span().span_context().is_sampled() {
        return None;
    }
    TraceContextPropagator::new().inject_context(&context, &mut HeaderInjector(&mut headers));
    let value = headers.get("traceparent")?.to_str().ok()?;
    Some(value.to_owned())
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::Registry;

    use super::*;

    #[test]
    fn the_path_of_traces_is_added_once_and_credentials_are_refused() {
        let sent_to = |address| endpoint(address).map(String::from).unwrap_or_default();
        assert_eq!(sent_to("http://a:4318"), "http://a:4318/v1/traces");
        assert_eq!(sent_to("http://a/otel/"), "http://a/otel/v1/traces");
        assert_eq!(sent_to("https://a/v1/traces"), "https://a/v1/traces");
        for refused in [
            "a:4318",
            "ftp://a",
            "http://me:key@a",
            "http://a?key=x",
            "http://a#x",
        ] {
            assert!(endpoint(refused).is_err(), "{refused}");
        }
    }

    #[tokio::test]
    async fn the_export_asks_for_no_more_than_the_level_info() {
        let traces = Traces::start("http://127.0.0.1:1", Handle::current()).unwrap();
        let hint = traces.layer::<Registry>().max_level_hint();
        assert_eq!(hint, Some(LevelFilter::INFO));
        tokio::task::spawn_blocking(|| traces.stop()).await.unwrap();
    }
}
