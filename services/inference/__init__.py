"""The inference service: predicts with published models and exchanges them."""
