"""The agent's configuration, as monitors see it."""

import os
import socket

from scalyr_agent.json_lib.objects import JsonObject, SpaceAndCommaSeparatedArrayOfStrings, to_json_types


class GlobalConfig(object):
    """The agent's configuration: a setting is an attribute.

    One that is not given is that of its environment variable, SCALYR_ and the
    name in upper case, or has the agent's own default.
    """

    # When monitors are sampled is the bridge's business.
    global_monitor_sample_interval_enable_jitter = False

    def __init__(self, settings):
        for name, default in _DEFAULTS.items():
            setattr(self, name, _from_environment(name, default))
        self.__dict__.update(to_json_types(settings))
        attributes = self.__dict__.setdefault("server_attributes", JsonObject())
        if isinstance(attributes, dict) and "serverHost" not in attributes:
            attributes["serverHost"] = self._host_name()
        self.raw_scalyr_server = self.scalyr_server

    def _host_name(self):
        name = socket.gethostname()
        return name.partition(".")[0] if self.strip_domain_from_default_server_host else name

    def __getattr__(self, name):
        raise AttributeError("the agent's configuration that was given has no %s" % name)


def _from_environment(name, default):
    text = os.environ.get("SCALYR_" + name.upper())
    if isinstance(default, tuple):
        words = default if text is None else [word for word in text.replace(",", " ").split()]
        return SpaceAndCommaSeparatedArrayOfStrings(words)
    if text is None:
        return default
    if isinstance(default, bool):
        return text.lower() == "true"
    if isinstance(default, (int, float)):
        try:
            return type(default)(text)
        except ValueError:
            return default
    return text


_DEFAULTS = {
    "agent_data_path": "/var/lib/scalyr-agent-2",
    "agent_log_path": "/var/log/scalyr-agent-2",
    "additional_monitor_module_paths": "",
    "agent_status_timeout": 30,
    "allow_http_monitors": True,
    "bandwidth_stats_log_interval": 60.0,
    "calculate_rate_metric_names": (),
    "check_remote_if_no_tty": False,
    "close_old_files_duration_in_seconds": 3600,
    "compression_level": 6,
    "compression_type": "deflate",
    "config_change_check_interval": 30.0,
    "copy_staleness_threshold": 900.0,
    "debug_init": False,
    "debug_level": 0,
    "debug_level_logger_names": (),
    "default_sessions_per_worker": 1,
    "default_worker_session_status_message_interval": 600.0,
    "enforce_monotonic_timestamps": False,
    "failure_request_spacing_adjustment": 1.5,
    "full_checkpoint_interval": 60,
    "garbage_collect_interval": 300,
    "global_monitor_sample_interval": 30.0,
    "healthy_max_time_since_last_copy_attempt": 60.0,
    "high_water_bytes_sent": 102400,
    "high_water_request_spacing_adjustment": 0.6,
    "ignore_checkpoints_on_startup_path_globs": (),
    "implicit_agent_log_collection": True,
    "implicit_agent_process_metrics_monitor": True,
    "implicit_metric_monitor": True,
    "include_raw_timestamp_field": True,
    "instrumentation_stats_log_interval": 0,
    "internal_parse_max_line_size": 65536,
    "json_library": "auto",
    "k8s_api_url": "https://kubernetes.default",
    "k8s_cache_expiry_fuzz_secs": 0,
    "k8s_cache_expiry_secs": 30,
    "k8s_cache_purge_secs": 300,
    "k8s_cache_query_timeout_secs": 20,
    "k8s_cache_start_fuzz_secs": 0,
    "k8s_controlled_warmer_blacklist_time": 300,
    "k8s_controlled_warmer_max_attempts": 5,
    "k8s_controlled_warmer_max_query_retries": 3,
    "k8s_docker_client_max_pool_size": None,
    "k8s_docker_client_timeout": None,
    "k8s_events_disable": False,
    "k8s_explorer_enable": False,
    "k8s_fallback_urls_disable": False,
    "k8s_ignore_namespaces": ("kube-system",),
    "k8s_include_namespaces": ("*",),
    "k8s_kubelet_ca_cert": "/run/secrets/kubernetes.io/serviceaccount/ca.crt",
    "k8s_log_api_exclude_200s": False,
    "k8s_log_api_min_latency": 0.0,
    "k8s_log_api_min_response_len": 0,
    "k8s_log_api_ratelimit_interval": 0.0,
    "k8s_log_api_responses": False,
    "k8s_ratelimit_backoff_factor": 0.5,
    "k8s_ratelimit_cluster_num_agents": 1,
    "k8s_ratelimit_cluster_rps_init": 1000.0,
    "k8s_ratelimit_cluster_rps_max": 1000000000.0,
    "k8s_ratelimit_cluster_rps_min": 1.0,
    "k8s_ratelimit_consecutive_increase_threshold": 5,
    "k8s_ratelimit_increase_factor": 2.0,
    "k8s_ratelimit_max_concurrency": 1,
    "k8s_ratelimit_strategy": "multiply",
    "k8s_service_account_cert": "/run/secrets/kubernetes.io/serviceaccount/ca.crt",
    "k8s_service_account_namespace": "/var/run/secrets/kubernetes.io/serviceaccount/namespace",
    "k8s_service_account_token": "/var/run/secrets/kubernetes.io/serviceaccount/token",
    "k8s_token_re_read_interval": 300,
    "k8s_verify_api_queries": True,
    "k8s_verify_kubelet_queries": True,
    "line_completion_wait_time": 5.0,
    "log_deletion_delay": 600.0,
    "log_rotation_backup_count": 2,
    "log_rotation_max_bytes": 20971520,
    "low_water_bytes_sent": 20480,
    "low_water_request_spacing_adjustment": 1.5,
    "max_allowed_checkpoint_age": 900,
    "max_allowed_request_size": 5900000,
    "max_error_request_spacing_interval": 30.0,
    "max_existing_log_offset_size": 200000000,
    "max_line_size": 49900,
    "max_log_offset_size": 200000000,
    "max_new_log_detection_time": 60.0,
    "max_profile_interval_minutes": 60,
    "max_request_spacing_interval": 5.0,
    "max_send_rate_enforcement": "unlimited",
    "max_sequence_number": 1099511627776,
    "merge_json_parsed_lines": False,
    "metric_name_blacklist": (),
    "metric_functions_cleanup_interval": 1800,
    "min_allowed_request_size": 102400,
    "min_request_spacing_interval": 0.0,
    "minimum_scan_interval": None,
    "network_proxies": None,
    "new_ingestion_bootstrap_address": "127.0.0.1:4772",
    "new_ingestion_use_tls": False,
    "overall_stats_log_interval": 600.0,
    "pidfile_advanced_reuse_guard": False,
    "pipeline_threshold": 0.0,
    "read_page_size": 65536,
    "request_deadline": 60.0,
    "request_too_large_adjustment": 0.5,
    "scalyr_server": "https://agent.scalyr.com",
    "stdout_severity": "NOTSET",
    "strip_domain_from_default_server_host": False,
    "syslog_processing_thread_count": 16,
    "use_multiprocess_workers": False,
    "use_new_ingestion": False,
    "use_requests_lib": False,
    "use_tlslite": False,
    "use_unsafe_debugging": False,
    "user_agent_refresh_interval": 60.0,
    "verify_server_certificate": True,
    "win32_max_open_fds": 512,
}
