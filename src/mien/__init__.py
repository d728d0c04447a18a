"""mien: face recognition that says how sure it is."""
