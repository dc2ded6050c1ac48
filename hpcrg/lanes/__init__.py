"""64 walkers in the bits of a word: their block, random words, counters and measurements."""
