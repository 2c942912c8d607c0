//! A recorder that writes the text format of Prometheus. In earnest the crate `metrics-exporter-prometheus` is one, with
//! histograms and labels.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// The metrics of a process, by name.
#[derive(Clone, Default)]
pub(super) struct Text(Arc<Mutex<BTreeMap<String, Metric>>>);

#[derive(Default)]
struct Metric {
    kind: &'static str,
    help: SharedString,
    /// Bits of a floating-point number if it is a gauge.
    value: Arc<AtomicU64>,
}

impl Text {
    /// Returns all metrics that have been recorded.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        let metrics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, Metric { kind, help, value }) in metrics.iter() {
            let value = value.load(Ordering::Relaxed);
            // Writing to a string does not fail.
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} ");
            let _ = match *kind {
                "gauge" => writeln!(text, "{}", f64::from_bits(value)),
                _ => writeln!(text, "{value}"),
            };
        }
        text
    }

    fn change<T>(&self, name: &str, change: impl FnOnce(&mut Metric) -> T) -> T {
        let mut metrics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(metrics.entry(name.to_owned()).or_default())
    }

    fn describe(&self, name: &KeyName, kind: &'static str, help: SharedString) {
        self.change(name.as_str(), |metric| (metric.kind, metric.help) = (kind, help));
    }

    fn register(&self, key: &Key, kind: &'static str) -> Arc<AtomicU64> {
        self.change(key.name(), |metric| {
            metric.kind = kind;
            Arc::clone(&metric.value)
        })
    }
}

impl Recorder for Text {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(&name, "counter", help);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(&name, "gauge", help);
    }

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.register(key, "counter"))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.register(key, "gauge"))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
