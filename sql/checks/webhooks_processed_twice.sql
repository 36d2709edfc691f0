-- question: Which webhooks were processed more than once?
-- reads: processed_webhooks
-- lock: ACCESS SHARE
-- role: pg_read_all_data
-- cost: one pass over processed_webhooks
-- The unique index is what should prevent this, so the rows are counted without it: the expression keeps the planner off the index.
SELECT processed_webhooks.webhook_id || ''  AS webhook_id,
       count(*)                             AS times
  FROM processed_webhooks
 GROUP BY processed_webhooks.webhook_id || ''
HAVING count(*) > 1
 ORDER BY webhook_id;
