"""The catalog's schema, in numbered steps; run by `almanac.adapters.catalog_sql` when a catalog is opened."""
