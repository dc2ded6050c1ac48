"""The Ising model on the periodic square lattice with one bit a site, 64 neighbours of a row in a word."""
