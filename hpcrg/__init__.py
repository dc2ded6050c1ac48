"""hpcrg: where is the critical point, what are its exponents, and do all the ways of finding out agree?"""

__version__ = "0.1.0"
