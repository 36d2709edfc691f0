-- question: Which payments belong to no subscription?
-- reads: payments, subscriptions
-- lock: ACCESS SHARE
-- role: pg_read_all_data
-- cost: one pass over payments and subscriptions
SELECT payments.id               AS payment_id,
       payments.subscription_id  AS subscription_id
  FROM payments
  LEFT JOIN subscriptions ON subscriptions.id = payments.subscription_id
 WHERE subscriptions.id IS NULL
 ORDER BY payment_id;
