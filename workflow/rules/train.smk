PROCESSES = at_most(CAMPAIGN.resources.processes)
NODES = 1 if CORES else SITE.training_nodes(PROCESSES)
ONE_A_NODE = f"srun --nodes={NODES} --ntasks-per-node=1 " if NODES > 1 else ""


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
    threads: -(-PROCESSES // NODES)
    resources:
        **asked("train", NODES),
        slurm_extra=STOP_EARLY,
        **SITE.training(PROCESSES, 0 if CORES else int(config.get("gpus", 0))),
    shell:
        "{ONE_A_NODE}hpcrg train {params.campaign:q} {input:q} --train {wildcards.train} --processes {threads} --nodes {NODES}"
        " --output {output.series:q} --state {params.state:q}"
