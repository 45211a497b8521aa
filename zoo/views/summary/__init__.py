"""A network as a table: shapes, parameters and MACs, beside the figures its paper states."""
