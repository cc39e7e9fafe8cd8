//! Envoys: connections, TLS, certificates, memory, overload.

use grafana_dashboard_builder::promql::{increase, max_by, min, min_by, rate, sum, sum_by, time};
use grafana_dashboard_builder::{Color, Dashboard, Row, Stat, Table, TimeSeries, Transformation, Unit};

use crate::envoy;
use crate::select::{envoy_board, of_gateway};

pub(super) fn board() -> Dashboard {
    let about = "Envoys by their own figures: connections, TLS and certificates, memory and overload, configuration.";
    envoy_board("portcullis-gateway", "Gateway & Envoy", about)
        .row(now())
        .row(connections())
        .row(tls())
        .row(overload())
        .row(configuration())
}

fn now() -> Row {
    Row::new("Now")
        .height(5)
        .panel(
            Stat::new("Envoys", Unit::Full, "Envoys that serve, by gateway.")
                .query(sum_by(["gateway"], of_gateway(envoy::LIVE)), "{{gateway}}")
                .plain(),
        )
        .panel(
            Stat::new("Connections", Unit::Number, "Open connections of clients.")
                .query(sum(of_gateway(envoy::CONNECTIONS)), ""),
        )
        .panel(
            Stat::new("Next certificate expires", Unit::Seconds, "How long until the first certificate expires.")
                .query(min(of_gateway(envoy::CERTIFICATE_EXPIRY)) - time(), "")
                .base(Color::Red)
                .from(7.0 * 86_400.0, Color::Yellow)
                .from(21.0 * 86_400.0, Color::Green)
                .plain(),
        )
        .panel(
            Stat::new(
                "Connected to the control plane",
                Unit::Full,
                "Envoys whose stream from the controller is up. Without, they keep what they have.",
            )
            .query(sum(of_gateway(envoy::CONTROL_PLANE)), "")
            .plain(),
        )
}

fn connections() -> Row {
    let by_listener = |metric| sum_by(["envoy_http_conn_manager_prefix"], rate(of_gateway(metric)));
    Row::new("Connections and requests")
        .panel(
            TimeSeries::new("Open connections", Unit::Number, "Open connections of clients, by listener's port.")
                .query(
                    sum_by(["envoy_http_conn_manager_prefix"], of_gateway(envoy::CONNECTIONS)),
                    "{{envoy_http_conn_manager_prefix}}",
                ),
        )
        .panel(
            TimeSeries::new(
                "New connections",
                Unit::CountsPerSecond,
                "New connections. Many beside few requests: clients do not keep them.",
            )
            .query(by_listener(envoy::CONNECTIONS_TOTAL), "{{envoy_http_conn_manager_prefix}}"),
        )
        .panel(
            TimeSeries::new(
                "Closed when idle",
                Unit::CountsPerSecond,
                "Connections that Envoy closed for nothing came.",
            )
            .query(by_listener(envoy::CONNECTIONS_IDLE), "{{envoy_http_conn_manager_prefix}}"),
        )
        .panel(
            TimeSeries::new("Requests being answered", Unit::Number, "Requests in flight, by Envoy.")
                .query(sum_by(["instance"], of_gateway(envoy::REQUESTS_ACTIVE)), "{{instance}}"),
        )
        .panel(
            TimeSeries::new("Answers", Unit::RequestsPerSecond, "Answers by class of status, as Envoys count them.")
                .query(
                    sum_by(["envoy_response_code_class"], rate(of_gateway(envoy::RESPONSES))),
                    "{{envoy_response_code_class}}xx",
                )
                .stacked(),
        )
        .panel(
            TimeSeries::new("Requests by Envoy", Unit::RequestsPerSecond, "Whether the load is spread.")
                .query(sum_by(["instance"], rate(of_gateway(envoy::RESPONSES))), "{{instance}}"),
        )
}

fn tls() -> Row {
    let left =
        min_by(["gateway", "envoy_listener_address", "envoy_tls_certificate"], of_gateway(envoy::CERTIFICATE_EXPIRY))
            - time();
    Row::new("TLS")
        .panel(
            TimeSeries::new(
                "Handshakes",
                Unit::CountsPerSecond,
                "TLS handshakes, and how many of them resumed a session.",
            )
            .query(sum(rate(of_gateway(envoy::HANDSHAKES))), "all")
            .query(sum(rate(of_gateway(envoy::SESSIONS_RESUMED))), "resumed"),
        )
        .panel(
            TimeSeries::new(
                "Failed handshakes",
                Unit::CountsPerSecond,
                "No common version or cipher, a client that gave up, a client certificate that was refused.",
            )
            .query(
                sum_by(["envoy_listener_address"], rate(of_gateway(envoy::HANDSHAKES_FAILED))),
                "{{envoy_listener_address}}",
            )
            .query(sum(rate(of_gateway(envoy::CLIENT_CERTIFICATES_REFUSED))), "client certificates refused"),
        )
        .panel(
            TimeSeries::new("Versions", Unit::CountsPerSecond, "Handshakes by version of TLS.")
                .query(sum_by(["envoy_ssl_version"], rate(of_gateway(envoy::TLS_VERSIONS))), "{{envoy_ssl_version}}")
                .stacked(),
        )
        .panel(
            Table::new("Certificates", Unit::Seconds, "How long each listener's certificates are still valid.")
                .query(left, "")
                .transform(Transformation::hide(["Time"]))
                .transform(Transformation::rename([
                    ("envoy_listener_address", "Listener"),
                    ("envoy_tls_certificate", "Certificate"),
                    ("Value", "Left"),
                ])),
        )
}

fn overload() -> Row {
    let refused = |metric| sum(rate(of_gateway(metric)));
    Row::new("Memory and overload")
        .panel(
            TimeSeries::new("Memory", Unit::Bytes, "Memory as the system sees it, by Envoy.")
                .query(max_by(["instance"], of_gateway(envoy::MEMORY_PHYSICAL)), "{{instance}}")
                .min(0.0),
        )
        .panel(
            TimeSeries::new("Heap", Unit::Bytes, "Memory that is reserved, and of it in use, in all Envoys.")
                .query(sum(of_gateway(envoy::MEMORY_HEAP)), "reserved")
                .query(sum(of_gateway(envoy::MEMORY_ALLOCATED)), "in use")
                .min(0.0),
        )
        .panel(
            TimeSeries::new(
                "Heap of its limit",
                Unit::Percent,
                "Where the overload manager has a limit of the heap. \
             Near 100 % requests are refused.",
            )
            .query(max_by(["instance"], of_gateway(envoy::HEAP_PRESSURE)), "{{instance}}")
            .from(90.0, Color::Red)
            .threshold_lines()
            .min(0.0)
            .max(100.0)
            .nothing("no limit"),
        )
        .panel(
            TimeSeries::new(
                "Connections refused",
                Unit::CountsPerSecond,
                "Connections that were closed at once: too \
             many on a listener, too many in all, no memory.",
            )
            .query(refused(envoy::CONNECTIONS_REFUSED), "too many on the listener")
            .query(refused(envoy::CONNECTIONS_REFUSED_GLOBAL), "too many in all")
            .query(refused(envoy::CONNECTIONS_OVERLOAD), "overload"),
        )
        .panel(
            TimeSeries::new("Not accepting", Unit::YesNo, "Envoys that accept no connections for want of memory.")
                .query(max_by(["instance"], of_gateway(envoy::STOP_ACCEPTING)), "{{instance}}")
                .nothing("no limit"),
        )
        .panel(
            TimeSeries::new(
                "Workers stuck",
                Unit::Number,
                "Times that a worker did nothing for 200 ms: a processor \
             that is too small, or a filter that is too slow.",
            )
            .query(sum_by(["instance"], increase(of_gateway(envoy::WORKER_STUCK))), "{{instance}}"),
        )
}

fn configuration() -> Row {
    Row::new("Configuration")
        .panel(
            TimeSeries::new(
                "Listeners and clusters",
                Unit::Number,
                "What each Envoy has. Envoys of one gateway have \
             the same.",
            )
            .query(max_by(["instance"], of_gateway(envoy::LISTENERS)), "{{instance}} listeners")
            .query(max_by(["instance"], of_gateway(envoy::CLUSTERS)), "{{instance}} clusters"),
        )
        .panel(
            TimeSeries::new(
                "Waiting",
                Unit::Number,
                "Listeners and clusters that wait for what they need, such as a \
             certificate. It should be over in a moment.",
            )
            .query(sum_by(["instance"], of_gateway(envoy::LISTENERS_WARMING)), "{{instance}} listeners")
            .query(sum_by(["instance"], of_gateway(envoy::CLUSTERS_WARMING)), "{{instance}} clusters"),
        )
        .panel(
            TimeSeries::new(
                "Listeners refused",
                Unit::Number,
                "Listeners that Envoy could not create. The \
             controller's log says which.",
            )
            .query(sum_by(["instance"], increase(of_gateway(envoy::LISTENERS_REFUSED))), "{{instance}}"),
        )
        .panel(
            Table::new("Uptime", Unit::Seconds, "How long each Envoy runs.")
                .query(max_by(["gateway", "instance"], of_gateway(envoy::UPTIME)), "")
                .transform(Transformation::hide(["Time"]))
                .transform(Transformation::rename([("Value", "Up for")])),
        )
}
