-- question: Which webhooks count as processed although their event is missing or not marked as processed?
-- reads: processed_webhooks, payment_events
-- lock: ACCESS SHARE
-- role: pg_read_all_data
-- cost: one pass over processed_webhooks and payment_events
SELECT processed_webhooks.webhook_id  AS webhook_id,
       payment_events.processed_at    AS event_processed_at
  FROM processed_webhooks
  LEFT JOIN payment_events ON payment_events.stripe_event_id = processed_webhooks.webhook_id
 WHERE payment_events.processed_at IS NULL
 ORDER BY webhook_id;
