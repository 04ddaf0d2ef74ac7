"""Takes ECG files in, de-identifies them and keeps the catalogue of recordings."""
