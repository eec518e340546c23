"""What every stage shares: records, tables, recipe, manifest, errors, progress. Imports no other part, no torch."""
