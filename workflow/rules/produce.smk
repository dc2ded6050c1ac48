rule produce:
    output:
        f"{OUT}/series/{{series}}.h5",
    params:
        campaign=CAMPAIGN_FILE,
        request=lambda wildcards: SERIES[wildcards.series].request(),
        state=f"{OUT}/state",
    threads: cores_of(CAMPAIGN.resources.ranks)
    resources:
        tasks=at_most(CAMPAIGN.resources.ranks),
        mpi=LAUNCHER,
        **asked("produce", SITE.sampling_nodes(at_most(CAMPAIGN.resources.ranks))),
        slurm_extra=STOP_EARLY,
        **SITE.sampling(at_most(CAMPAIGN.resources.ranks)),
    shell:
        "{resources.mpi} -n {resources.tasks} python -m mpi4py -m hpcrg produce {params.campaign:q}"
        " --series {wildcards.series} --output {output:q} --state {params.state:q} --ranks {resources.tasks} --interval {CAMPAIGN.resources.interval}"
