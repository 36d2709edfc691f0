-- A heartbeat that the cluster writes about itself, by pg_cron: once a minute a row with its resource id.
--
-- What for: a restored copy then says of which cluster it is and how much time was lost (RPO achieved), also where nothing else is written.
-- Drill and verify-restored-cluster read it where it is there. Nothing of this collection installs it: run this by hand, as a member of rds_superuser.
--
-- Before you do:
-- * A cluster whose floor is 0 ACU never pauses while something beats in it.
-- * pg_cron runs in a restored copy too, with every job that the source has. This one beats only on the instances that are named, so a copy stays as it
--   was restored; other jobs that write would be told as rows of after the restore point. A copy that is drilled is best given a parameter
--   group without pg_cron in shared_preload_libraries, or jobs that ask where they are, as this one does.
-- * An instance that is added has to be added to the list: where the writer is none of it, the heart stands still, and a drill says so.
--
-- 1. In the database that is to hold it.
CREATE SCHEMA IF NOT EXISTS ops;
CREATE TABLE IF NOT EXISTS ops.heartbeat (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  beat_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
  cluster_resource_id TEXT
);
ALTER TABLE ops.heartbeat ADD COLUMN IF NOT EXISTS cluster_resource_id TEXT;
CREATE OR REPLACE FUNCTION ops.beat(resource_id text, instances text[]) RETURNS void LANGUAGE sql AS $$
  INSERT INTO ops.heartbeat (cluster_resource_id) SELECT resource_id WHERE aurora_db_instance_identifier() = ANY (instances);
  DELETE FROM ops.heartbeat WHERE beat_at < clock_timestamp() - interval '1 day' AND aurora_db_instance_identifier() = ANY (instances);
$$;
-- 2. In the database postgres, with pg_cron in the cluster's shared_preload_libraries. DbClusterResourceId is told by `aws rds describe-db-clusters`.
CREATE EXTENSION IF NOT EXISTS pg_cron;
SELECT cron.schedule_in_database('aurora-ops heartbeat', '* * * * *', $$SELECT ops.beat('cluster-ABCDEFGHIJKL', '{orders-1,orders-2}')$$, 'orders');
-- To end it: SELECT cron.unschedule('aurora-ops heartbeat');
