//! What we use of Envoy's own metrics. Envoy has no catalogue to compile against: a test looks each of them up in a running one.
//!
//! `gateway` is not Envoy's: the scrape configuration makes it from the labels of Envoy's pods, as `namespace/name`.

use grafana_dashboard_builder::Metric;

macro_rules! catalogue {
    ($($(#[$doc:meta])* $name:ident: $metric:literal [$($label:literal),*];)*) => {
        $($(#[$doc])* pub const $name: Metric = Metric::new($metric, &["gateway", $($label),*]);)*

        /// All of them.
        pub const ALL: &[Metric] = &[$($name),*];
    };
}

catalogue! {
    /// Open connections of clients.
    CONNECTIONS: "envoy_http_downstream_cx_active" ["envoy_http_conn_manager_prefix"];
    /// New connections of clients.
    CONNECTIONS_TOTAL: "envoy_http_downstream_cx_total" ["envoy_http_conn_manager_prefix"];
    /// Connections of clients that were closed for they sent nothing.
    CONNECTIONS_IDLE: "envoy_http_downstream_cx_idle_timeout" ["envoy_http_conn_manager_prefix"];
    /// Requests that are being answered.
    REQUESTS_ACTIVE: "envoy_http_downstream_rq_active" ["envoy_http_conn_manager_prefix"];
    /// Answers, by class of status.
    RESPONSES: "envoy_http_downstream_rq_xx" ["envoy_http_conn_manager_prefix", "envoy_response_code_class"];
    /// Connections that were refused for there were too many on a listener.
    CONNECTIONS_REFUSED: "envoy_listener_downstream_cx_overflow" ["envoy_listener_address"];
    /// Connections that were refused for there were too many in all.
    CONNECTIONS_REFUSED_GLOBAL: "envoy_listener_downstream_global_cx_overflow" ["envoy_listener_address"];
    /// Connections that were refused by the overload manager.
    CONNECTIONS_OVERLOAD: "envoy_listener_downstream_cx_overload_reject" ["envoy_listener_address"];
    /// TLS handshakes.
    HANDSHAKES: "envoy_listener_ssl_handshake" ["envoy_listener_address"];
    /// TLS connections that failed.
    HANDSHAKES_FAILED: "envoy_listener_ssl_connection_error" ["envoy_listener_address"];
    /// Client certificates that were refused.
    CLIENT_CERTIFICATES_REFUSED: "envoy_listener_ssl_fail_verify_error" ["envoy_listener_address"];
    /// TLS handshakes that resumed a session.
    SESSIONS_RESUMED: "envoy_listener_ssl_session_reused" ["envoy_listener_address"];
    /// Handshakes by version of TLS.
    TLS_VERSIONS: "envoy_listener_ssl_versions" ["envoy_listener_address", "envoy_ssl_version"];
    /// When a listener's certificate expires, in seconds since 1970.
    CERTIFICATE_EXPIRY: "envoy_listener_ssl_certificate_expiration_unix_time_seconds"
        ["envoy_listener_address", "envoy_tls_certificate"];

    /// Whether it serves.
    LIVE: "envoy_server_live" [];
    /// Seconds since it started.
    UPTIME: "envoy_server_uptime" [];
    /// Memory in use.
    MEMORY_ALLOCATED: "envoy_server_memory_allocated" [];
    /// Memory reserved of the system.
    MEMORY_HEAP: "envoy_server_memory_heap_size" [];
    /// Memory in use as the system sees it.
    MEMORY_PHYSICAL: "envoy_server_memory_physical_size" [];
    /// How full the heap is of what it may be, in percent.
    HEAP_PRESSURE: "envoy_overload_envoy_resource_monitors_fixed_heap_pressure" [];
    /// Whether new connections are left waiting for want of memory.
    STOP_ACCEPTING: "envoy_overload_envoy_overload_actions_stop_accepting_requests_active" [];
    /// Times that a worker was stuck.
    WORKER_STUCK: "envoy_server_worker_watchdog_miss" ["envoy_worker_id"];
    /// Listeners that are up.
    LISTENERS: "envoy_listener_manager_total_listeners_active" [];
    /// Listeners that wait for what they need.
    LISTENERS_WARMING: "envoy_listener_manager_total_listeners_warming" [];
    /// Listeners that were refused.
    LISTENERS_REFUSED: "envoy_listener_manager_listener_create_failure" [];
    /// Clusters.
    CLUSTERS: "envoy_cluster_manager_active_clusters" [];
    /// Clusters that wait for what they need.
    CLUSTERS_WARMING: "envoy_cluster_manager_warming_clusters" [];
    /// Whether the stream from the control plane is up.
    CONTROL_PLANE: "envoy_control_plane_connected_state" [];

    /// End points of a cluster.
    MEMBERS: "envoy_cluster_membership_total" ["envoy_cluster_name"];
    /// End points that may get requests.
    MEMBERS_HEALTHY: "envoy_cluster_membership_healthy" ["envoy_cluster_name"];
    /// End points that are out because they fail.
    EJECTED: "envoy_cluster_outlier_detection_ejections_active" ["envoy_cluster_name"];
    /// Ejections.
    EJECTIONS: "envoy_cluster_outlier_detection_ejections_enforced_total" ["envoy_cluster_name"];
    /// Requests that went to unhealthy end points for there were too few others.
    PANIC: "envoy_cluster_lb_healthy_panic" ["envoy_cluster_name"];
    /// Answers of a cluster, by class of status.
    UPSTREAM_RESPONSES: "envoy_cluster_upstream_rq_xx" ["envoy_cluster_name", "envoy_response_code_class"];
    /// Time of a request to a cluster, in milliseconds.
    UPSTREAM_MILLISECONDS: "envoy_cluster_upstream_rq_time" ["envoy_cluster_name"];
    /// Requests to a cluster that are being answered.
    UPSTREAM_ACTIVE: "envoy_cluster_upstream_rq_active" ["envoy_cluster_name"];
    /// Requests that took too long.
    UPSTREAM_TIMEOUTS: "envoy_cluster_upstream_rq_timeout" ["envoy_cluster_name"];
    /// Requests that were tried again.
    RETRIES: "envoy_cluster_upstream_rq_retry" ["envoy_cluster_name"];
    /// Requests that succeeded when they were tried again.
    RETRIES_SUCCESSFUL: "envoy_cluster_upstream_rq_retry_success" ["envoy_cluster_name"];
    /// Requests that were not tried again, for too many others were.
    RETRIES_REFUSED: "envoy_cluster_upstream_rq_retry_overflow" ["envoy_cluster_name"];
    /// Requests that were refused, for too many were waiting.
    PENDING_REFUSED: "envoy_cluster_upstream_rq_pending_overflow" ["envoy_cluster_name"];
    /// Connections to a cluster.
    UPSTREAM_CONNECTIONS: "envoy_cluster_upstream_cx_active" ["envoy_cluster_name"];
    /// Connections that could not be made.
    CONNECT_FAILURES: "envoy_cluster_upstream_cx_connect_fail" ["envoy_cluster_name"];
    /// Whether the limit of connections is reached.
    BREAKER_CONNECTIONS: "envoy_cluster_circuit_breakers_default_cx_open" ["envoy_cluster_name"];
    /// Whether the limit of requests is reached.
    BREAKER_REQUESTS: "envoy_cluster_circuit_breakers_default_rq_open" ["envoy_cluster_name"];
    /// Active health checks that failed.
    HEALTH_CHECKS_FAILED: "envoy_cluster_health_check_failure" ["envoy_cluster_name"];

    /// Requests that passed without a limit, for the service did not answer.
    RATE_LIMIT_FAIL_OPEN: "envoy_cluster_ratelimit_failure_mode_allowed" ["envoy_cluster_name"];
    /// Calls to the rate limit service that failed.
    RATE_LIMIT_ERRORS: "envoy_cluster_ratelimit_error" ["envoy_cluster_name"];
    /// Calls to an authorization service that failed.
    AUTHORIZATION_ERRORS: "envoy_http_ext_authz_error" ["envoy_http_conn_manager_prefix", "envoy_ext_authz_prefix"];
    /// Requests that passed without authorization, for the service did not answer.
    AUTHORIZATION_FAIL_OPEN: "envoy_http_ext_authz_failure_mode_allowed"
        ["envoy_http_conn_manager_prefix", "envoy_ext_authz_prefix"];
    /// Streams to a processor, such as the firewall, that failed.
    PROCESSOR_ERRORS: "envoy_http_ext_proc_streams_failed" ["envoy_http_conn_manager_prefix"];
    /// Requests that passed without the processor, for it did not answer.
    PROCESSOR_FAIL_OPEN: "envoy_http_ext_proc_failure_mode_allowed" ["envoy_http_conn_manager_prefix"];
    /// Messages that a processor did not answer in time.
    PROCESSOR_TIMEOUTS: "envoy_http_ext_proc_message_timeouts" ["envoy_http_conn_manager_prefix"];

    /// Entries of the access log that were sent.
    LOG_WRITTEN: "envoy_access_logs_grpc_access_log_logs_written" [];
    /// Entries of the access log that were dropped.
    LOG_DROPPED: "envoy_access_logs_grpc_access_log_logs_dropped" [];
}
