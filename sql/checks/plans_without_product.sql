-- question: Which plans belong to no product?
-- reads: plans, products
-- lock: ACCESS SHARE
-- role: pg_read_all_data
-- cost: instant; both tables are small
SELECT plans.id          AS plan_id,
       plans.product_id  AS product_id
  FROM plans
  LEFT JOIN products ON products.id = plans.product_id
 WHERE products.id IS NULL
 ORDER BY plan_id;
