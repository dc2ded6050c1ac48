rule train:
    input:
        lambda wildcards: banks_of(CAMPAIGN.train[wildcards.train].ensemble),
    output:
        series=f"{OUT}/train/{{train}}/series.h5",
        figures=f"{OUT}/train/{{train}}/series.figures.json",
    params:
        campaign=CAMPAIGN_FILE,
        spec=lambda wildcards: CAMPAIGN.train[wildcards.train].model_dump_json(),
        seed=CAMPAIGN.seed,
        state=lambda wildcards: f"{OUT}/state/train-{wildcards.train}",
    threads: at_most(CAMPAIGN.resources.processes)
    resources:
        mem_mb=lambda wildcards, threads: 2000 * threads,
        runtime=240,
        gpu=config.get("gpus", 0),
    shell:
        "hpcrg train {params.campaign} {input} --train {wildcards.train} --processes {threads}"
        " --output {output.series} --state {params.state}"
