"""The spec language: from YAML to graph. No framework is imported here."""
