"""The lowest floor: errors, types, config, records, weights. Standard library and numpy only."""
