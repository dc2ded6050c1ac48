"""Population annealing (Hukushima and Iba 2003): free energies and averages from walkers that are cooled together."""

from hpcrg.population.cooling import Cooling
from hpcrg.population.run import Population, Schedule

__all__ = ["Cooling", "Population", "Schedule"]
