rule stack:
    input:
        lambda wildcards: banks_of(CAMPAIGN.stack[wildcards.stack].ensemble),
    output:
        f"{OUT}/stack/{{stack}}/seed{{number}}.stack",
    params:
        campaign=CAMPAIGN_FILE,
        spec=lambda wildcards: CAMPAIGN.stack[wildcards.stack].model_dump_json(exclude={"seeds"}),
        seed=CAMPAIGN.seed,
        state=lambda wildcards: f"{OUT}/state/stack-{wildcards.stack}",
    resources:
        **asked("stack"),
        slurm_extra=STOP_EARLY,
        **SITE.training(1, 0 if CORES else int(config.get("gpus", 0))),
    shell:
        "hpcrg stack {params.campaign:q} {input:q} --stack {wildcards.stack} --number {wildcards.number}"
        " --output {output:q} --state {params.state:q}"


rule fields:
    input:
        lambda wildcards: [f"{OUT}/{file}" for file in CAMPAIGN.stack_files(wildcards.stack)],
    output:
        estimates=f"{OUT}/stack/{{stack}}.json",
        figures=f"{OUT}/stack/{{stack}}.figures.json",
    params:
        campaign=CAMPAIGN_FILE,
    resources:
        **asked("fields"),
        **SITE.place("cpu"),
    shell:
        "hpcrg fields {params.campaign:q} {input:q} --stack {wildcards.stack} --output {output.estimates:q}"


rule hierarchy:
    input:
        lambda wildcards: banks_of(CAMPAIGN.hierarchy[wildcards.hierarchy].ensemble),
    output:
        estimates=f"{OUT}/hierarchy/{{hierarchy}}.json",
        figures=f"{OUT}/hierarchy/{{hierarchy}}.figures.json",
    params:
        campaign=CAMPAIGN_FILE,
        spec=lambda wildcards: CAMPAIGN.hierarchy[wildcards.hierarchy].model_dump_json(),
        seed=CAMPAIGN.seed,
    resources:
        **asked("hierarchy"),
        **SITE.place("cpu"),
    shell:
        "hpcrg hierarchy {params.campaign:q} {input:q} --hierarchy {wildcards.hierarchy} --output {output.estimates:q}"
