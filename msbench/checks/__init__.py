"""Whether parts keep the contract: what `msbench check` and `msbench.testing` run."""
