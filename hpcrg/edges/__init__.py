"""Where hpcrg meets its engines: MPI, Dask, torchrun, SLURM. Nothing else imports them."""
