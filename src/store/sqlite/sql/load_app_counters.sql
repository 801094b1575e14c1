SELECT quarter, sessions FROM counters WHERE app = ?1 AND segment = 0
