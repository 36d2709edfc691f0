-- question: Which payments succeeded but were never paid, or were paid but did not succeed?
-- reads: payments
-- lock: ACCESS SHARE
-- role: pg_read_all_data
-- cost: one pass over payments
SELECT payments.id       AS payment_id,
       payments.status   AS status,
       payments.paid_at  AS paid_at
  FROM payments
 WHERE (payments.status IN ('succeeded', 'refunded')) <> (payments.paid_at IS NOT NULL)
 ORDER BY payment_id;
