-- question: Which users belong to no tenant?
-- reads: users, tenants
-- lock: ACCESS SHARE
-- role: pg_read_all_data
-- cost: one pass over users and tenants
SELECT users.id         AS user_id,
       users.tenant_id  AS tenant_id
  FROM users
  LEFT JOIN tenants ON tenants.id = users.tenant_id
 WHERE tenants.id IS NULL
 ORDER BY user_id;
