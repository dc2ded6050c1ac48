rule scale:
    input:
        lambda wildcards: banks_of(CAMPAIGN.scale[wildcards.scale].ensemble),
    output:
        estimates=f"{OUT}/scale/{{scale}}.json",
        figures=f"{OUT}/scale/{{scale}}.figures.json",
    params:
        campaign=CAMPAIGN_FILE,
        spec=lambda wildcards: CAMPAIGN.scale[wildcards.scale].model_dump_json(),
    threads: at_most(CAMPAIGN.resources.workers) if not DASK else 1
    resources:
        **asked("scale"),
        **SITE.place("cpu"),
    shell:
        "hpcrg scale {params.campaign:q} {input:q} --scale {wildcards.scale} --workers {threads} {DASK} --output {output.estimates:q}"


rule scale_network:
    input:
        f"{OUT}/train/{{train}}/series.h5",
    output:
        estimates=f"{OUT}/train/{{train}}/estimates.json",
        figures=f"{OUT}/train/{{train}}/estimates.figures.json",
    params:
        campaign=CAMPAIGN_FILE,
        spec=lambda wildcards: CAMPAIGN.train[wildcards.train].model_dump_json(),
    resources:
        **asked("scale --train"),
        **SITE.place("cpu"),
    shell:
        "hpcrg scale {params.campaign:q} {input:q} --train {wildcards.train} --output {output.estimates:q}"
