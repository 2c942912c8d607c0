//! Counts of servers for the [`metrics`](https://docs.rs/metrics) crate, and so for Prometheus and others.
//!
//! [`describe`] tells the recorder once what there is. `record_metrics` of a [`ServerHandle`] and of Socket.IO's `Io` give
//! it the counts of the moment: call them before each scrape, or at an interval if the exporter pushes. Between these
//! calls metrics cost nothing, because servers count for themselves.
//!
//! Names do not change within a major version. Those that end in `_total` are counters, the others gauges. The unit is
//! a count, or bytes where the name says so. Servers of one process that use the same recorder overwrite each other.
//! Give each of them a recorder then, with `metrics::with_local_recorder`.

use ::metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

#[cfg(feature = "tls-no-provider")]
use crate::tls::TlsStats;
use crate::{server::ServerHandle, stats::ServerStats};

/// Tells the recorder name, unit and description of every metric.
///
/// Call it once, after the recorder was installed.
pub fn describe() {
    SERVER.iter().for_each(Metric::describe);
    #[cfg(feature = "tls-no-provider")]
    TLS.iter().for_each(Metric::describe);
    #[cfg(feature = "socketio")]
    socketio::METRICS.iter().for_each(Metric::describe);
}

impl ServerHandle {
    /// Gives the recorder the counts of [`stats`](Self::stats), and of `tls_stats` with the feature for TLS.
    ///
    /// Their names begin with `enginewire_`, see [`metrics`](crate::metrics).
    pub fn record_metrics(&self) {
        let stats = self.stats();
        SERVER.iter().for_each(|metric| metric.record(&stats));
        #[cfg(feature = "tls-no-provider")]
        {
            let stats = self.tls_stats();
            TLS.iter().for_each(|metric| metric.record(&stats));
        }
    }
}

/// One count of `S`.
struct Metric<S> {
    name: &'static str,
    unit: Unit,
    description: &'static str,
    value: Value<S>,
}

enum Value<S> {
    Gauge(fn(&S) -> usize),
    Counter(fn(&S) -> u64),
}

impl<S> Metric<S> {
    const fn gauge(name: &'static str, description: &'static str, value: fn(&S) -> usize) -> Self {
        Self { name, unit: Unit::Count, description, value: Value::Gauge(value) }
    }

    const fn counter(name: &'static str, description: &'static str, value: fn(&S) -> u64) -> Self {
        Self { name, unit: Unit::Count, description, value: Value::Counter(value) }
    }

    fn describe(&self) {
        match self.value {
            Value::Gauge(_) => describe_gauge!(self.name, self.unit, self.description),
            Value::Counter(_) => describe_counter!(self.name, self.unit, self.description),
        }
    }

    fn record(&self, stats: &S) {
        match self.value {
            #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
            Value::Gauge(value) => gauge!(self.name).set(value(stats) as f64),
            Value::Counter(value) => counter!(self.name).absolute(value(stats)),
        }
    }
}

const SERVER: [Metric<ServerStats>; 8] = [
    Metric::gauge("enginewire_connections", "Open TCP connections", |stats| stats.connections),
    Metric::counter(
        "enginewire_connections_total",
        "TCP connections opened so far, those without a complete TLS handshake included",
        |stats| stats.connections_opened,
    ),
    Metric::counter(
        "enginewire_proxy_headers_failed_total",
        "Connections of proxies without a valid header of the PROXY protocol in time",
        |stats| stats.proxy_headers_failed,
    ),
    Metric::gauge("enginewire_sessions", "Open or closing sessions", |stats| stats.sessions),
    Metric::counter("enginewire_sessions_total", "Sessions opened so far", |stats| {
        stats.sessions_opened
    }),
    Metric::counter("enginewire_requests_refused_total", "Refused requests", |stats| {
        stats.requests_refused
    }),
    Metric::counter(
        "enginewire_requests_handed_over_total",
        "Requests handed over to another node",
        |stats| stats.requests_handed_over,
    ),
    Metric::counter(
        "enginewire_hand_overs_failed_total",
        "Requests handed over without a response, or without all of it",
        |stats| stats.hand_overs_failed,
    ),
];

#[cfg(feature = "tls-no-provider")]
const TLS: [Metric<TlsStats>; 4] = [
    Metric::gauge("enginewire_tls_handshakes", "TLS handshakes in flight", |stats| stats.in_flight),
    Metric::counter(
        "enginewire_tls_handshakes_completed_total",
        "TLS handshakes completed",
        |stats| stats.completed,
    ),
    Metric::counter(
        "enginewire_tls_handshakes_failed_total",
        "TLS handshakes of clients that were refused, that refused, or that were lost",
        |stats| stats.failed,
    ),
    Metric::counter(
        "enginewire_tls_handshakes_timed_out_total",
        "TLS handshakes that have taken too long",
        |stats| stats.timed_out,
    ),
];

#[cfg(feature = "socketio")]
mod socketio {
    use ::metrics::Unit;

    use super::{Metric, Value};
    use crate::socketio::{Io, Stats};

    impl Io {
        /// Gives the recorder of the `metrics` crate the counts of [`stats`](Self::stats).
        ///
        /// Their names begin with `enginewire_socketio_`, see [`metrics`](crate::metrics). It visits every socket.
        pub fn record_metrics(&self) {
            let stats = self.stats();
            METRICS.iter().for_each(|metric| metric.record(&stats));
        }
    }

    pub(super) const METRICS: [Metric<Stats>; 12] = [
        Metric::gauge("enginewire_socketio_namespaces", "Namespaces", |stats| stats.namespaces),
        Metric::gauge("enginewire_socketio_sockets", "Connected sockets", |stats| stats.sockets),
        Metric::gauge("enginewire_socketio_rooms", "Rooms with members", |stats| stats.rooms),
        Metric {
            name: "enginewire_socketio_queued_bytes",
            unit: Unit::Bytes,
            description: "Bytes that wait for clients",
            value: Value::Gauge(|stats| stats.queued),
        },
        Metric::gauge("enginewire_socketio_nodes", "Other nodes of the cluster", |stats| {
            stats.nodes
        }),
        Metric::counter(
            "enginewire_socketio_volatile_dropped_total",
            "Volatile events that a socket could not take",
            |stats| stats.volatile_dropped,
        ),
        Metric::counter(
            "enginewire_socketio_skipped_total",
            "Events of broadcasts that a socket has missed",
            |stats| stats.skipped,
        ),
        Metric::counter(
            "enginewire_socketio_overflows_total",
            "Clients disconnected because a broadcast found no room",
            |stats| stats.overflows,
        ),
        Metric::counter(
            "enginewire_socketio_ack_timeouts_total",
            "Events that were not acknowledged in time",
            |stats| stats.ack_timeouts,
        ),
        Metric::counter(
            "enginewire_socketio_acks_dropped_total",
            "Acknowledgements that the application has dropped",
            |stats| stats.acks_dropped,
        ),
        Metric::counter(
            "enginewire_socketio_rejections_total",
            "Events and sockets that an extractor has rejected",
            |stats| stats.rejections,
        ),
        Metric::counter(
            "enginewire_socketio_cluster_dropped_total",
            "Operations of the cluster that were dropped",
            |stats| stats.cluster_dropped,
        ),
    ];
}

#[cfg(all(test, feature = "tls-no-provider"))]
mod tests {
    use super::*;

    /// The names and values of all that is recorded.
    fn values<S>(metrics: &[Metric<S>], stats: &S) -> Vec<(&'static str, u64)> {
        let value = |metric: &Metric<S>| match metric.value {
            Value::Gauge(value) => value(stats) as u64,
            Value::Counter(value) => value(stats),
        };
        metrics.iter().map(|metric| (metric.name, value(metric))).collect()
    }

    #[test]
    fn each_metric_has_the_count_of_its_name() {
        let server = ServerStats {
            connections: 1,
            sessions: 2,
            connections_opened: 3,
            proxy_headers_failed: 4,
            sessions_opened: 5,
            requests_refused: 6,
            requests_handed_over: 7,
            hand_overs_failed: 8,
        };
        let expected = [
            ("enginewire_connections", 1),
            ("enginewire_connections_total", 3),
            ("enginewire_proxy_headers_failed_total", 4),
            ("enginewire_sessions", 2),
            ("enginewire_sessions_total", 5),
            ("enginewire_requests_refused_total", 6),
            ("enginewire_requests_handed_over_total", 7),
            ("enginewire_hand_overs_failed_total", 8),
        ];
        assert_eq!(values(&SERVER, &server), expected);
        let tls = TlsStats { in_flight: 1, completed: 2, failed: 3, timed_out: 4 };
        let expected = [
            ("enginewire_tls_handshakes", 1),
            ("enginewire_tls_handshakes_completed_total", 2),
            ("enginewire_tls_handshakes_failed_total", 3),
            ("enginewire_tls_handshakes_timed_out_total", 4),
        ];
        assert_eq!(values(&TLS, &tls), expected);
    }
}
