"""Trials -> records."""
