"""64 sites of one lattice in the bits of a word: their block and measurements."""
