"""Records -> what is claimed of multi-step strategies, and which strategy to use."""

from msbench.claims.assess import claims
from msbench.claims.recommend import recommend

__all__ = ["claims", "recommend"]
