"""Event analytics in one Python package."""
