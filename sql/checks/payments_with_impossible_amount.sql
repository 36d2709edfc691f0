-- question: Which payments have a negative amount, or a currency that is no ISO 4217 code?
-- reads: payments
-- lock: ACCESS SHARE
-- role: pg_read_all_data
-- cost: one pass over payments
SELECT payments.id        AS payment_id,
       payments.amount    AS amount,
       payments.currency  AS currency
  FROM payments
 WHERE payments.amount < 0
    OR payments.currency !~ '^[A-Z]{3}$'
 ORDER BY payment_id;
