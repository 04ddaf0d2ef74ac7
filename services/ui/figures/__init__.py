"""What is drawn: the geometry of ECG paper, and figures as plain Plotly JSON."""
