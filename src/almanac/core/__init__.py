"""Words and promises."""
