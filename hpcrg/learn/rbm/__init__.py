"""Restricted Boltzmann machines: exact sums, training, annealed importance sampling, variational RG."""
