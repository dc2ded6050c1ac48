rule flow:
    input:
        lambda wildcards: banks_of(CAMPAIGN.flow[wildcards.flow].ensemble),
    output:
        estimates=f"{OUT}/flow/{{flow}}.json",
        figures=f"{OUT}/flow/{{flow}}.figures.json",
    params:
        campaign=CAMPAIGN_FILE,
        spec=lambda wildcards: CAMPAIGN.flow[wildcards.flow].model_dump_json(),
    threads: at_most(CAMPAIGN.resources.workers) if not DASK else 1
    resources:
        **asked("flow"),
        **SITE.place("cpu"),
    shell:
        "hpcrg flow {params.campaign:q} {input:q} --flow {wildcards.flow} --workers {threads} {DASK} --output {output.estimates:q}"
