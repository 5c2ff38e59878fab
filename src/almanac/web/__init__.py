"""Faces over HTTP; each walks the registry."""
