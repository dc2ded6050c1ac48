rule produce:
    output:
        f"{OUT}/series/{{series}}.h5",
    params:
        campaign=CAMPAIGN_FILE,
        request=lambda wildcards: SERIES[wildcards.series].request(),
        state=f"{OUT}/state",
    threads: CORES_OF_RANKS
    resources:
        **MPI,
        **asked("produce", SITE.sampling_nodes(RANKS)),
        slurm_extra=STOP_EARLY,
        **SITE.sampling(RANKS),
    shell:
        "{HPCRG} produce {params.campaign:q}"
        " --series {wildcards.series} --output {output:q} --state {params.state:q} {SAMPLING}"
