SELECT quarter, sessions, segments FROM counters WHERE app = ?1
