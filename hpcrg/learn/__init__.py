"""Networks trained on banks: data by chain, one DDP loop, honest baselines, outputs as series. Only here is
torch used."""
