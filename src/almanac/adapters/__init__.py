"""Technology behind the promises of core/ports.py."""
