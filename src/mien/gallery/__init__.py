"""People: who is enrolled, who somebody is, and who of the unknown belong together."""
