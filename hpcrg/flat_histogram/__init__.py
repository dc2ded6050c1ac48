"""Flat-histogram sampling: Wang-Landau finds the density of states, multicanonical production measures with it."""
