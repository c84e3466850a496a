"""How fast, how dear and how hot a model answers on a machine: rooflines, memory, life of a device."""
