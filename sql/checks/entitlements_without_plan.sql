-- question: Which entitlements belong to no plan?
-- reads: entitlements, plans
-- lock: ACCESS SHARE
-- role: pg_read_all_data
-- cost: instant; both tables are small
SELECT entitlements.id       AS entitlement_id,
       entitlements.plan_id  AS plan_id
  FROM entitlements
  LEFT JOIN plans ON plans.id = entitlements.plan_id
 WHERE plans.id IS NULL
 ORDER BY entitlement_id;
