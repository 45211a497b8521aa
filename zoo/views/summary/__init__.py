"""A network as a table: shapes, parameters and MACs, next to the figures in its paper."""
