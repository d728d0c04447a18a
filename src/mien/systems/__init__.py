"""The research systems, one folder each with the same rooms. They never import each other."""
