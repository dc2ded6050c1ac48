"""Configuration banks: immutable checksummed segments behind one file, and per-draw series (docs/format.md)."""

from hpcrg.bank.export import export
from hpcrg.bank.produced import ProducedFile, is_produced, read_produced, write_produced
from hpcrg.bank.read import Bank, Headline, headline, open_bank
from hpcrg.bank.schema import packed, stored_shape
from hpcrg.bank.series import SeriesBlock, read_series, write_series
from hpcrg.bank.write import write_bank

__all__ = [
    "Bank", "Headline", "ProducedFile", "SeriesBlock", "export", "headline", "is_produced", "open_bank",
    "packed", "read_produced", "read_series", "stored_shape", "write_bank", "write_produced", "write_series",
]  # fmt: skip
