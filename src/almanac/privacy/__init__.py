"""Consent, personal data, erasure."""
