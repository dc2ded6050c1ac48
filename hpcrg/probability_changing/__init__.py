"""Probability-changing clusters: Swendsen-Wang sweeps that find the critical temperature by themselves."""

from hpcrg.probability_changing.run import HALF, RULES, SELF_DUAL, Finder

__all__ = ["HALF", "RULES", "SELF_DUAL", "Finder"]
