PROCESSES = at_most(CAMPAIGN.resources.processes)
NODES = 1 if CORES else SITE.training_nodes(PROCESSES)
ONE_A_NODE = f"srun --nodes={NODES} --ntasks-per-node=1 " if NODES > 1 else ""


for name, teacher in CAMPAIGN.train.items():
    missing = [file for file in teacher.taught_files if not Path("results", file).exists()]
    if missing and not Path(OUT, "train", name, "series.h5").exists():
        raise WorkflowError(expected(f"results/{missing[0]}", teacher.taught_by.first, "no such file"))


rule train:
    input:
        banks=lambda wildcards: banks_of(CAMPAIGN.train[wildcards.train].ensemble),
        networks=lambda wildcards: [f"results/{file}" for file in CAMPAIGN.train[wildcards.train].taught_files],
    output:
        series=f"{OUT}/train/{{train}}/series.h5",
        figures=f"{OUT}/train/{{train}}/series.figures.json",
    params:
        campaign=CAMPAIGN_FILE,
        spec=lambda wildcards: CAMPAIGN.train[wildcards.train].model_dump_json(),
        seed=CAMPAIGN.seed,
        state=lambda wildcards: f"{OUT}/state/train-{wildcards.train}",
        networks=lambda wildcards, input: f"--networks {Path(input.networks[0]).parent}" if input.networks else "",
    threads: -(-PROCESSES // NODES)
    resources:
        **asked("train", NODES),
        slurm_extra=STOP_EARLY,
        **SITE.training(PROCESSES, 0 if CORES else int(config.get("gpus", 0))),
    shell:
        "{ONE_A_NODE}hpcrg train {params.campaign:q} {input.banks:q} --train {wildcards.train} --processes {threads} --nodes {NODES}"
        " --output {output.series:q} --state {params.state:q} {params.networks}"
