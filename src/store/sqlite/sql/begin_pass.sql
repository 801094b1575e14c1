UPDATE pass
SET app = 0, day = 0, session_id = '', done = 0,
    total = (
        SELECT COALESCE(SUM(sessions), 0)
        FROM counters
        WHERE app IN (
            SELECT ordinal FROM apps WHERE workspace IN (SELECT workspace FROM segments WHERE state = 2)
        )
    )
