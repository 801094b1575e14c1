-- A re-delivered session may only add its end; the latest end wins. ?4 is that end in milliseconds since the
-- start of the day ?2; the session's own start, which is the first delivery's, is not moved.
UPDATE sessions
SET duration = ?4 - start
WHERE app = ?1 AND day = ?2 AND session_id = ?3
  AND ?4 - start BETWEEN 0 AND 604800000
  AND (duration IS NULL OR duration < ?4 - start)
