"""``mien doctor``: what is installed here, and what would be used."""

from typing import Any

import typer

from mien.cli._console import write_line, write_table
from mien.cli._options import Json

_EXTRAS = {
    "fast": ("openvino",),
    "video": ("av", "scipy"),
    "heif": ("pillow_heif",),
    "dlib": ("dlib", "face_recognition_models"),
    "cluster": ("sklearn",),
    "interop": ("pandas", "supervision"),
    "demo": ("skimage",),
    "studio": ("numba",),
    "train": ("torch", "accelerate", "safetensors"),
    "server": ("fastapi", "uvicorn", "gradio", "prometheus_client"),
    "scale": ("pymilvus", "milvus_lite", "ray"),
    "postgres": ("psycopg", "pgvector"),
}


def doctor(json: Json = False) -> None:
    """Show engines, threads against the quota, weights and licences, extras, caches."""
    record = _examine()
    if json:
        write_line(record)
    else:
        _print(record)
    if any(not weight["available"] and weight["needed"] for weight in record["weights"]):
        raise typer.Exit(4)


def _examine() -> dict[str, Any]:
    import os
    import platform
    from importlib.metadata import version

    from mien.core.optional import is_installed
    from mien.core.threads import available_threads, read_quota
    from mien.core.weights import cache_root, list_weights
    from mien.faces.engines import PROVIDERS, available_providers
    from mien.faces.parts import DETECTOR_GROUP, EMBEDDER_GROUP, list_parts

    return {
        "mien": version("mien"),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "quota": read_quota(),
        "threads": available_threads(),
        "providers": {name: name in available_providers() for name in PROVIDERS},
        "detectors": list_parts(DETECTOR_GROUP),
        "embedders": list_parts(EMBEDDER_GROUP),
        "cache": str(cache_root()),
        "extras": {
            extra: all(is_installed(package) for package in packages)
            for extra, packages in _EXTRAS.items()
        },
        "weights": [
            {
                "name": status.card.name,
                "task": status.card.task,
                "available": status.available,
                "needed": status.card.extra is None,
                "origin": status.origin,
                "problem": status.problem,
                "weight_licence": status.card.weight_licence,
                "training_data": status.card.training_data,
                "commercial": status.card.commercial,
                "commercial_reason": status.card.commercial_reason,
            }
            for status in list_weights()
        ],
    }


def _print(record: dict[str, Any]) -> None:
    quota = "no limit" if record["quota"] is None else f"{record['quota']:g} cores"
    providers = [name for name, present in record["providers"].items() if present]
    facts = [
        ("mien", record["mien"]),
        ("Python", record["python"]),
        ("threads", f"{record['threads']} of {record['cores']} cores; quota: {quota}"),
        ("engines", f"{', '.join(providers)}; in use unless told otherwise: onnxruntime"),
        ("detectors", ", ".join(record["detectors"])),
        ("embedders", ", ".join(record["embedders"])),
        ("weight cache", record["cache"]),
    ]
    write_table("This machine", ("", ""), facts)
    extras = [
        (name, "installed" if present else f"absent: pip install 'mien[{name}]'")
        for name, present in record["extras"].items()
    ]
    write_table("Extras", ("extra", "state"), extras)
    weights = [
        (
            weight["name"],
            weight["task"],
            weight["origin"] if weight["available"] else weight["problem"],
            weight["weight_licence"],
            weight["commercial"],
        )
        for weight in record["weights"]
    ]
    write_table("Weights", ("name", "task", "from", "licence", "commercial use"), weights)
