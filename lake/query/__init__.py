"""SQL over the lake: the product's own, and queries that somebody typed."""
