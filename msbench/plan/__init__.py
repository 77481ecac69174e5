"""Suite -> trials. Everything that can be wrong in a suite is said here."""
