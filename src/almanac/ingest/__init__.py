"""From a request to a stored event."""
