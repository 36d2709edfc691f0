-- question: Which events are marked as processed without a record that prevents processing them again?
-- reads: payment_events, processed_webhooks
-- lock: ACCESS SHARE
-- role: pg_read_all_data
-- cost: one pass over payment_events and processed_webhooks
SELECT payment_events.stripe_event_id  AS stripe_event_id,
       payment_events.processed_at     AS processed_at
  FROM payment_events
  LEFT JOIN processed_webhooks ON processed_webhooks.webhook_id = payment_events.stripe_event_id
 WHERE payment_events.processed_at IS NOT NULL
   AND processed_webhooks.id IS NULL
 ORDER BY stripe_event_id;
