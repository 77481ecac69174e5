"""Tasks by where their text comes from."""
