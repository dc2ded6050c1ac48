rule evaluate:
    input:
        lambda wildcards: [f"{OUT}/series/{s.label}.h5" for s in CAMPAIGN.series_of(wildcards.group)],
    output:
        estimates=f"{OUT}/evaluate/{{group}}.json",
        figures=f"{OUT}/evaluate/{{group}}.figures.json",
    params:
        campaign=CAMPAIGN_FILE,
        spec=lambda wildcards: CAMPAIGN.series_specs[wildcards.group].model_dump_json(),
    resources:
        **asked("evaluate"),
        **SITE.place("cpu"),
    shell:
        "hpcrg evaluate {params.campaign:q} {input:q} --series {wildcards.group} --output {output.estimates:q}"
