//! The queries of a node in its metrics: what they do now, and what became of those before.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use query::{QueryEngine, QueryStatistics};

use super::{encode_one, gauge};

#[derive(Debug)]
pub(super) struct QueryCollector(pub(super) Arc<QueryEngine>);

impl Collector for QueryCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        encode_statistics(&self.0.statistics(), encoder)
    }
}

fn encode_statistics(now: &QueryStatistics, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
    for (name, help, value) in [
        (
            "influxdb3_queries_running",
            "Queries received and not ended, those that wait included",
            now.running,
        ),
        (
            "influxdb3_queries_waiting",
            "Queries that wait for others to end",
            now.waiting,
        ),
        (
            "influxdb3_queries_concurrent_max",
            "Queries that run at once",
            now.places,
        ),
    ] {
        encode_one(&mut encoder, name, help, &gauge(value))?;
    }
    let mut family = encoder.encode_descriptor(
        "influxdb3_queries",
        "Queries by how they ended",
        None,
        MetricType::Counter,
    )?;
    for (outcome, count) in [
        ("success", now.succeeded),
        ("fail", now.failed),
        ("cancel", now.cancelled),
    ] {
        let labels = [("outcome", outcome)];
        ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
    }
    encode_one(
        &mut encoder,
        "influxdb3_queries_refused",
        "Queries that found no place in time",
        &ConstCounter::new(now.refused),
    )
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn queries_are_told_by_what_they_do_and_how_they_end() {
        #[derive(Debug)]
        struct Fixed;
        impl Collector for Fixed {
            fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
                let statistics = QueryStatistics {
                    running: 3,
                    waiting: 1,
                    succeeded: 4,
                    failed: 5,
                    cancelled: 6,
                    refused: 2,
                    places: 64,
                };
                encode_statistics(&statistics, encoder)
            }
        }
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Fixed));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("encodes");
        for line in [
            "influxdb3_queries_running 3",
            "influxdb3_queries_waiting 1",
            "influxdb3_queries_concurrent_max 64",
            "influxdb3_queries_total{outcome=\"success\"} 4",
            "influxdb3_queries_total{outcome=\"fail\"} 5",
            "influxdb3_queries_total{outcome=\"cancel\"} 6",
            "influxdb3_queries_refused_total 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
