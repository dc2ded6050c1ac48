rule tune:
    output:
        f"{OUT}/ladders/{{label}}.json",
    params:
        campaign=CAMPAIGN_FILE,
        request=lambda wildcards: ENSEMBLES[wildcards.label].request(),
        spec=lambda wildcards: CAMPAIGN.ensembles_[ENSEMBLES[wildcards.label].group].ladder.model_dump_json(),
    resources:
        **asked("tune"),
        **SITE.place("cpu"),
    shell:
        "hpcrg tune {params.campaign:q} --ensemble {wildcards.label} --output {output:q}"


rule sample:
    input:
        lambda wildcards: f"{OUT}/ladders/{wildcards.label}.json" if wildcards.label in TUNED else [],
    output:
        f"{OUT}/banks/{{label}}.h5",
    params:
        campaign=CAMPAIGN_FILE,
        request=lambda wildcards: ENSEMBLES[wildcards.label].request(),
        state=f"{OUT}/state",
        ladder=lambda wildcards, input: f"--ladder {input[0]}" if wildcards.label in TUNED else "",
    threads: CORES_OF_RANKS
    resources:
        **MPI,
        **asked("sample", SITE.sampling_nodes(RANKS)),
        slurm_extra=STOP_EARLY,
        **SITE.sampling(RANKS),
    shell:
        "{HPCRG} sample {params.campaign:q}"
        " --ensemble {wildcards.label} --output {output:q} --state {params.state:q} {SAMPLING} {params.ladder}"


rule inspect:
    input:
        [f"{OUT}/banks/{label}.h5" for label in ENSEMBLES],
    output:
        f"{OUT}/inspect.figures.json",
    resources:
        **asked("inspect"),
        **SITE.place("cpu"),
    shell:
        "hpcrg inspect {input:q} --figures {output:q} > /dev/null"
