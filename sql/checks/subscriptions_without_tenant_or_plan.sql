-- question: Which subscriptions belong to no tenant or to no plan?
-- reads: subscriptions, tenants, plans
-- lock: ACCESS SHARE
-- role: pg_read_all_data
-- cost: one pass over subscriptions, tenants and plans
SELECT subscriptions.id         AS subscription_id,
       subscriptions.tenant_id  AS tenant_id,
       subscriptions.plan_id    AS plan_id
  FROM subscriptions
  LEFT JOIN tenants ON tenants.id = subscriptions.tenant_id
  LEFT JOIN plans ON plans.id = subscriptions.plan_id
 WHERE tenants.id IS NULL
    OR plans.id IS NULL
 ORDER BY subscription_id;
