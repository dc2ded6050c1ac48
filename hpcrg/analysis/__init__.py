"""Analyses of banks: each reads files, computes estimates and figure data, and writes neither."""
