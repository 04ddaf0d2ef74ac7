"""Recipes, one TOML file each; read by `services.trainer.recipe`."""
