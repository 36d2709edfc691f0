-- question: Which extensions are older than what the server has?
-- reads: pg_extension, pg_available_extensions
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
SELECT extension.extname                                                      AS extension,
       extension.extversion                                                   AS installed,
       available.default_version                                              AS on_the_server,
       extension.extversion IS DISTINCT FROM available.default_version        AS differs,
       format('ALTER EXTENSION %I UPDATE', extension.extname)                 AS mends_it
  FROM pg_extension AS extension
  LEFT JOIN pg_available_extensions AS available ON available.name = extension.extname
 ORDER BY differs DESC, extension;
