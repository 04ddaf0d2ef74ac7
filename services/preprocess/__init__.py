"""Makes recordings into the tensor contract, measures them and builds data sets."""
