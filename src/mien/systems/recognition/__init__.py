"""How embedders are measured. Recognition itself lives in `mien.faces` and `mien.gallery`."""
