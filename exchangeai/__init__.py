"""What an ECG is, and how the processes of the platform meet; knows no service."""

__version__ = "0.1.0"
