"""Comparison -> pictures, one file each."""
