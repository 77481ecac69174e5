"""The contract with plugin authors, and the machine that finds their parts."""
