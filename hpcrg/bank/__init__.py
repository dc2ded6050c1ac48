"""Configuration banks: immutable checksummed segments behind one file, and per-draw series (docs/format.md)."""

from hpcrg.bank.export import export
from hpcrg.bank.read import Bank, open_bank
from hpcrg.bank.series import SeriesBlock, read_series, write_series
from hpcrg.bank.write import write_bank

__all__ = ["Bank", "SeriesBlock", "export", "open_bank", "read_series", "write_bank", "write_series"]
