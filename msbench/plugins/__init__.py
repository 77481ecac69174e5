"""The contract with plugin authors, and the code that finds, checks and builds their parts."""
