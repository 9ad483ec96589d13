"""What every figure is made with: sizes and inks, tables, export, provenance, the registry."""
