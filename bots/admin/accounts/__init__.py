"""Connecting accounts and keeping them well."""
