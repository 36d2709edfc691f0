"""Parameters of a family without a default of Aurora's own: their names, and PostgreSQL 15's ranges.

Types and ranges are those of `postgres --describe-config`. Which of them only a cluster group has is documented for few; here those of autovacuum.
"""

_BOOLEANS = """
    array_nulls check_function_bodies debug_pretty_print default_transaction_deferrable default_transaction_read_only enable_bitmapscan
    enable_gathermerge enable_hashagg enable_hashjoin enable_incremental_sort enable_indexonlyscan enable_indexscan enable_material
    enable_memoize enable_mergejoin enable_nestloop enable_parallel_append enable_parallel_hash enable_partition_pruning
    enable_partitionwise_aggregate enable_partitionwise_join enable_seqscan enable_sort enable_tidscan escape_string_warning geqo
    hot_standby_feedback log_duration log_executor_stats log_hostname log_parser_stats log_planner_stats log_replication_commands
    log_statement_stats parallel_leader_participation quote_all_identifiers row_security standard_conforming_strings synchronize_seqscans
    track_activities track_counts transform_null_equals auto_explain.log_analyze auto_explain.log_buffers auto_explain.log_nested_statements
    auto_explain.log_settings auto_explain.log_timing auto_explain.log_triggers auto_explain.log_verbose auto_explain.log_wal
    pg_stat_statements.track_planning
"""
BOOLEANS = _BOOLEANS.split()

INTEGERS = {
    "autovacuum_analyze_threshold": "0-2147483647",
    "autovacuum_vacuum_cost_limit": "-1-10000",
    "autovacuum_vacuum_insert_threshold": "-1-2147483647",
    "autovacuum_vacuum_threshold": "0-2147483647",
    "autovacuum_work_mem": "-1-2147483647",
    "commit_delay": "0-100000",
    "commit_siblings": "0-1000",
    "extra_float_digits": "-15-3",
    "from_collapse_limit": "1-2147483647",
    "geqo_threshold": "2-2147483647",
    "gin_fuzzy_search_limit": "0-2147483647",
    "gin_pending_list_limit": "64-2147483647",
    "join_collapse_limit": "1-2147483647",
    "log_min_duration_sample": "-1-2147483647",
    "log_parameter_max_length": "-1-1073741823",
    "log_parameter_max_length_on_error": "-1-1073741823",
    "logical_decoding_work_mem": "64-2147483647",
    "maintenance_io_concurrency": "0-1000",
    "max_parallel_maintenance_workers": "0-1024",
    "max_parallel_workers": "0-1024",
    "max_stack_depth": "100-2147483647",
    "max_standby_archive_delay": "-1-2147483647",
    "max_standby_streaming_delay": "-1-2147483647",
    "min_parallel_index_scan_size": "0-715827882",
    "min_parallel_table_scan_size": "0-715827882",
    "tcp_keepalives_count": "0-2147483647",
    "tcp_keepalives_interval": "0-2147483647",
    "tcp_user_timeout": "0-2147483647",
    "temp_file_limit": "-1-2147483647",
    "vacuum_cost_page_dirty": "0-10000",
    "vacuum_cost_page_hit": "0-10000",
    "vacuum_cost_page_miss": "0-10000",
    "vacuum_failsafe_age": "0-2100000000",
    "vacuum_freeze_min_age": "0-1000000000",
    "vacuum_freeze_table_age": "0-2000000000",
    "vacuum_multixact_freeze_min_age": "0-1000000000",
}

FLOATS = {
    "auto_explain.sample_rate": "0-1",
    "autovacuum_vacuum_cost_delay": "-1-100",
    "autovacuum_vacuum_insert_scale_factor": "0-100",
    "cpu_index_tuple_cost": "0-1.79769e+308",
    "cpu_operator_cost": "0-1.79769e+308",
    "cpu_tuple_cost": "0-1.79769e+308",
    "cursor_tuple_fraction": "0-1",
    "hash_mem_multiplier": "1-1000",
    "jit_above_cost": "-1-1.79769e+308",
    "jit_inline_above_cost": "-1-1.79769e+308",
    "jit_optimize_above_cost": "-1-1.79769e+308",
    "log_statement_sample_rate": "0-1",
    "log_transaction_sample_rate": "0-1",
    "parallel_setup_cost": "0-1.79769e+308",
    "parallel_tuple_cost": "0-1.79769e+308",
    "seq_page_cost": "0-1.79769e+308",
    "vacuum_cost_delay": "0-100",
}

CHOICES = {
    "auto_explain.log_format": "text,xml,json,yaml",
    "bytea_output": "escape,hex",
    "constraint_exclusion": "partition,on,off",
    "default_transaction_isolation": "serializable,repeatable read,read committed,read uncommitted",
    "intervalstyle": "postgres,postgres_verbose,sql_standard,iso_8601",
    "log_error_verbosity": "terse,default,verbose",
    "password_encryption": "md5,scram-sha-256",
    "plan_cache_mode": "auto,force_generic_plan,force_custom_plan",
}

STATIC_INTEGERS = {
    "autovacuum_freeze_max_age": "100000-2000000000",
    "autovacuum_multixact_freeze_max_age": "10000-2000000000",
    "max_pred_locks_per_transaction": "10-2147483647",
    "max_prepared_transactions": "0-262143",
}

# Where a server listens, what it archives and which clients it admits: set by RDS, here by the sandbox.
_NOT_MODIFIABLE = """
    archive_command archive_mode archive_timeout config_file data_directory hba_file ident_file listen_addresses log_directory port
    primary_conninfo restore_command ssl_cert_file ssl_key_file unix_socket_directories wal_level
"""
NOT_MODIFIABLE = _NOT_MODIFIABLE.split()
