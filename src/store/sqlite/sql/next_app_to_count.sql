-- The first app after ?1 whose workspace has a segment that is being counted.
SELECT MIN(ordinal)
FROM apps
WHERE ordinal > ?1 AND workspace IN (SELECT workspace FROM segments WHERE state = 2)
