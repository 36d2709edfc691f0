-- question: Which subscriptions have a period that ends at or before its start?
-- reads: subscriptions
-- lock: ACCESS SHARE
-- role: pg_read_all_data
-- cost: one pass over subscriptions
SELECT subscriptions.id                    AS subscription_id,
       subscriptions.current_period_start  AS current_period_start,
       subscriptions.current_period_end    AS current_period_end
  FROM subscriptions
 WHERE subscriptions.current_period_end <= subscriptions.current_period_start
 ORDER BY subscription_id;
