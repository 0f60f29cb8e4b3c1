"""The crawler: one operator on the core, the fastest and the best kept."""
