"""Arrays in, intervals out; no SQL."""
