-- question: Which settings differ from PostgreSQL's default, and which wait for a restart?
-- reads: pg_settings
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
SELECT setting.name                                                           AS setting,
       concat(setting.setting, CASE WHEN setting.unit IS NOT NULL THEN ' ' || setting.unit END) AS value,
       setting.boot_val                                                       AS built_in_default,
       setting.source                                                         AS set_by,
       setting.pending_restart                                                AS waits_for_restart
  FROM pg_settings AS setting
 WHERE setting.pending_restart
    OR setting.source NOT IN ('default', 'override', 'client') AND setting.setting IS DISTINCT FROM setting.boot_val
 ORDER BY setting.pending_restart DESC, setting.name;
