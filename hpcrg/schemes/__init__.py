"""Block-spin transformations. One file and one line in SCHEMES add one."""

from __future__ import annotations

from hpcrg.schemes.base import Scheme, SchemeType, blocked_shape, tie_keys
from hpcrg.schemes.decimation import Decimation
from hpcrg.schemes.majority import Majority

SCHEMES: dict[str, SchemeType] = {"majority": Majority, "decimation": Decimation}

__all__ = ["SCHEMES", "Decimation", "Majority", "Scheme", "SchemeType", "blocked_shape", "tie_keys"]
