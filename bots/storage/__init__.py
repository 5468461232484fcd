"""All SQL lives here. Functions take and return domain values; rows stay inside."""
